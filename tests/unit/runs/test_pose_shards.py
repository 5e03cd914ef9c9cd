"""Poses come back by address, and no others in their place."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.checksums import checksum
from templ.errors import RunError
from templ.runs import pose_shards
from templ.runs.pose_shards import OwnShard, PoseShards, read_poses
from templ.runs.record import PoseAddress


@pytest.fixture(autouse=True)
def two_molecules_a_shard(monkeypatch):
    monkeypatch.setattr(pose_shards, "MOLECULES_A_SHARD", 2)


def shards(run):
    return {path.name: path.read_text() for path in sorted((run / "poses").iterdir())}


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_poses_come_back_whatever_the_text_and_the_order(poses, reopened):
    with tempfile.TemporaryDirectory() as folder:
        run, addresses = Path(folder), []
        writer = PoseShards(run)
        for position, text in poses:
            if reopened:  # a resumed run goes on where the last one ended
                writer.close()
                writer = PoseShards(run)
            addresses.append(writer.append(position, text))
        writer.close()
        assert [read_poses(run, address) for address in addresses] == [text for _, text in poses]
        names = {f"part-{position // 2:04d}.sdf" for position, _ in poses}
        assert {path.name for path in (run / "poses").iterdir()} == names


def test_an_sdf_record_can_be_read_by_rdkit_from_its_address(tmp_path):
    mol = Chem.AddHs(Chem.MolFromSmiles("OCc1ccncc1"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    with PoseShards(tmp_path) as poses:
        poses.append(0, Chem.MolToMolBlock(Chem.MolFromSmiles("C")) + "$$$$\n")
        address = poses.append(1, Chem.MolToMolBlock(mol) + "$$$$\n")
    again = Chem.MolFromMolBlock(read_poses(tmp_path, address))
    assert Chem.MolToSmiles(again) == "OCc1ccncc1"


def test_neighbours_in_the_list_share_a_shard(tmp_path):
    with PoseShards(tmp_path) as poses:
        found = [poses.append(position, f"p{position}") for position in (3, 0, 1, 2)]
    assert [(address.shard, address.offset) for address in found] == [
        *[("poses/part-0001.sdf", 0), ("poses/part-0000.sdf", 0), ("poses/part-0000.sdf", 2)],
        ("poses/part-0001.sdf", 2),
    ]
    assert found[0].checksum == checksum(b"p3")
    with PoseShards(tmp_path / "other", in_order=True) as poses:
        assert poses.append(3, "p3").shard == "poses/0001.sdf"


def test_what_no_record_points_to_is_discarded(tmp_path):
    with PoseShards(tmp_path) as poses, PoseShards(tmp_path, in_order=True) as final:
        for position in range(4):
            poses.append(position, f"p{position}")
        final.append(9, "final")
        poses.discard_after({"poses/part-0000.sdf": 2, "poses/0000.sdf": 2})
        assert shards(tmp_path) == {"part-0000.sdf": "p0", "0004.sdf": "final"}
        poses.discard_after({"poses/part-0000.sdf": 2, "poses/0004.sdf": 3})
        assert shards(tmp_path)["0004.sdf"] == "fin"
        poses.discard_after({"poses/part-0000.sdf": 200})
        assert shards(tmp_path)["part-0000.sdf"] == "p0", "never made longer"
        assert poses.append(1, "new") == replace(poses.append(0, "new"), offset=2)


def test_a_shard_of_one_process_is_discarded_as_others_are(tmp_path):
    own, other = OwnShard(tmp_path), OwnShard(tmp_path)
    first, second = own.append("ab"), own.append("cd")
    assert (first.offset, second.offset, second.shard) == (0, 2, first.shard)
    assert read_poses(tmp_path, second) == "cd"
    with PoseShards(tmp_path) as poses:
        poses.discard_after({first.shard: 2})
    assert list(shards(tmp_path).values()) == ["ab"]
    assert other.append("ab") is None


WRITTEN = PoseAddress("poses/part-0000.sdf", 2, 3, "352441c2")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (replace(WRITTEN, length=4), "ends before byte 6"),
        (replace(WRITTEN, offset=2**61), "ends before byte"),
        (replace(WRITTEN, length=2**61), "ends before byte"),
        (replace(WRITTEN, shard="poses/7000.sdf"), "is missing"),
        (replace(WRITTEN, offset=1), "was altered after byte 1"),
        (replace(WRITTEN, checksum="352441c3"), "was altered after byte 2"),
    ],
)
def test_poses_that_are_not_there_are_named_with_the_mend(tmp_path, address, says):
    with PoseShards(tmp_path) as poses:
        poses.append(0, "ab")
        assert poses.append(1, "abc") == WRITTEN
    assert read_poses(tmp_path, WRITTEN) == "abc"
    with pytest.raises(RunError, match=f"{tmp_path / address.shard} {says}.*start the command of the run ag"):
        read_poses(tmp_path, address)


def test_poses_that_are_no_text_are_named(tmp_path):
    (tmp_path / "poses").mkdir()
    (tmp_path / WRITTEN.shard).write_bytes(b"a\xff\xfe")
    with pytest.raises(RunError, match="no text at byte 0, expected SDF"):
        read_poses(tmp_path, PoseAddress(WRITTEN.shard, 0, 3, checksum(b"a\xff\xfe")))


def test_poses_are_on_the_disk_when_they_have_their_address(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), fsync(file)))
    with PoseShards(tmp_path) as poses:
        poses.append(0, "a")
        before = len(synced)
        poses.append(1, "b")
        assert len(synced) == before + 1
        poses.append(1, "c", durable=False)
        assert len(synced) == before + 1
    assert len(synced) == before + 2
