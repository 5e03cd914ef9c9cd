from __future__ import annotations

import gzip

import gemmi
import numpy as np
import pytest

from templ.errors import InputError
from templ.molecules import positions
from templ.scoring.pocket import CONTACT, clash, read_receptor
from templ.sources.demo import demo_files


def test_clash_is_its_definition():
    random = np.random.default_rng(3)
    receptor = random.uniform(-8, 8, (150, 3)).astype(np.float32)
    poses = random.uniform(-6, 6, (100, 7, 3))
    for pose, value in zip(poses, clash(poses, receptor), strict=True):
        nearest = [np.linalg.norm(receptor - atom, axis=1).min() for atom in pose]
        expected = np.mean([max(0.0, CONTACT - distance) ** 2 for distance in nearest])
        assert value == pytest.approx(expected, abs=1e-3)


def test_far_from_everything_nothing_clashes():
    assert clash(np.full((2, 3, 3), 500.0), np.zeros((4, 3), np.float32)).tolist() == [0, 0]


def test_crystal_ligands_fit_their_pocket_and_do_not_fit_beside_it(demo_library):
    receptor = read_receptor(demo_files().receptor)
    ligands = [positions(demo_library.ligand(row)) for row in range(40)]
    fits = [clash(ligand[None], receptor)[0] for ligand in ligands]
    shifted = [clash(ligand[None] + [3, 0, 0], receptor)[0] for ligand in ligands]
    assert np.median(shifted) > 5 * np.median(fits)


def test_formats_and_what_is_left_out(tmp_path):
    structure = gemmi.read_structure(str(demo_files().receptor))
    structure.setup_entities()
    (tmp_path / "r.pdb").write_text(structure.make_pdb_string())
    (tmp_path / "r.cif").write_text(structure.make_mmcif_document().as_string())
    (tmp_path / "r.pdb.gz").write_bytes(gzip.compress((tmp_path / "r.pdb").read_bytes()))
    sizes = {len(read_receptor(tmp_path / name)) for name in ("r.pdb", "r.cif", "r.pdb.gz")}
    assert sizes == {len(read_receptor(demo_files().receptor))}
    water = "HETATM    1  O   HOH A   1       1.000   1.000   1.000  1.00  0.00           O\n"
    hydrogen = "ATOM      2  H   GLY A   2       1.000   2.000   1.000  1.00  0.00           H\n"
    carbon = "ATOM      3  CA  GLY A   2       1.000   3.000   1.000  1.00  0.00           C\n"
    (tmp_path / "small.pdb").write_text(water + hydrogen + carbon)
    assert read_receptor(tmp_path / "small.pdb").tolist() == [[1, 3, 1]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pdb", b""),
        ("text.pdb", b"no structure at all\n"),
        ("bad.cif", b"\x00\xff\x10"),
        ("bad.pdb.gz", b"xx"),
    ],
)
def test_what_is_no_receptor_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_receptor(tmp_path / name)


def test_a_missing_receptor_and_a_folder(tmp_path):
    for path in (tmp_path / "absent.pdb", tmp_path):
        with pytest.raises(InputError, match="no such receptor file"):
            read_receptor(path)
