"""Poses come back by address, from shards without strays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.errors import RunError
from templ.runs.pose_shards import PoseShards, read_poses
from templ.runs.record import PoseAddress


def shards(run):
    return {path.name: path.read_text() for path in sorted((run / "poses").iterdir())}


@settings(max_examples=50)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=8),
    st.integers(1, 20),
)
def test_poses_come_back_whatever_the_text_and_the_size_of_shards(texts, per_shard_bytes):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        addresses = []
        for text in texts:  # reopened for each: a resumed run goes on where the last one ended
            with PoseShards(run, per_shard_bytes=per_shard_bytes) as poses:
                addresses.append(poses.append(text))
        assert [read_poses(run, address) for address in addresses] == texts
        sizes = [path.stat().st_size for path in sorted((run / "poses").iterdir())]
        assert all(size >= per_shard_bytes for size in sizes[:-1])


def test_an_sdf_record_can_be_read_by_rdkit_from_its_address(tmp_path):
    mol = Chem.AddHs(Chem.MolFromSmiles("OCc1ccncc1"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    with PoseShards(tmp_path) as poses:
        poses.append(Chem.MolToMolBlock(Chem.MolFromSmiles("C")) + "$$$$\n")
        address = poses.append(Chem.MolToMolBlock(mol) + "$$$$\n")
    again = Chem.MolFromMolBlock(read_poses(tmp_path, address))
    assert Chem.MolToSmiles(again) == "OCc1ccncc1"


def test_shards_are_named_in_order(tmp_path):
    with PoseShards(tmp_path, per_shard_bytes=4) as poses:
        addresses = [poses.append(text) for text in ("ab", "cd", "ef")]
    assert addresses == [
        PoseAddress("poses/part-0000.sdf", 0, 2),
        PoseAddress("poses/part-0000.sdf", 2, 2),
        PoseAddress("poses/part-0001.sdf", 0, 2),
    ]


def test_what_no_record_points_to_is_discarded(tmp_path):
    with PoseShards(tmp_path, per_shard_bytes=4) as poses:
        first, *_ = [poses.append(text) for text in ("ab", "cd", "ef")]
        poses.discard_after([first])
        assert shards(tmp_path) == {"part-0000.sdf": "ab"}
        assert poses.append("gh") == PoseAddress("poses/part-0000.sdf", 2, 2)
        assert shards(tmp_path) == {"part-0000.sdf": "abgh"}


def test_shards_of_another_prefix_are_left_alone(tmp_path):
    with PoseShards(tmp_path) as running, PoseShards(tmp_path, prefix="") as final:
        running.append("running")
        final.append("final")
        final.discard_after([])
        assert shards(tmp_path) == {"part-0000.sdf": "running"}
        final.append("final")
        running.discard_after([])
        assert shards(tmp_path) == {"0000.sdf": "final"}


@pytest.mark.parametrize(
    "address", [PoseAddress("poses/part-0000.sdf", 0, 3), PoseAddress("poses/7.sdf", 0, 1)]
)
def test_poses_that_are_missing_are_named(tmp_path, address):
    with PoseShards(tmp_path) as poses:
        poses.append("ab")
        with pytest.raises(RunError, match=f"{tmp_path / address.shard} is absent or shorter than the"):
            poses.discard_after([address])
    with pytest.raises(RunError, match=f"{tmp_path / address.shard} .*poses of this run are incomplete"):
        read_poses(tmp_path, address)
    assert shards(tmp_path) == {"part-0000.sdf": "ab"}


def test_poses_that_are_no_text_are_named(tmp_path):
    with PoseShards(tmp_path) as poses:
        address = poses.append("abc")
    (tmp_path / address.shard).write_bytes(b"a\xff\xfe")
    with pytest.raises(RunError, match=f"{tmp_path / address.shard} is damaged at byte 0"):
        read_poses(tmp_path, address)
