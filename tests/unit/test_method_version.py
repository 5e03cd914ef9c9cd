"""Poses that move need another METHOD_VERSION: a run begun with the old ones must not be gone on with.

After a change that is meant to move poses, raise METHOD_VERSION in src/templ/pipeline.py and store them anew:

    python tests/unit/test_method_version.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rdkit
from rdkit import Chem

from templ.benchmark.builtin import find_benchmark
from templ.jobs.target import target_of
from templ.library.store import open_library
from templ.pipeline import METHOD_VERSION, predict
from templ.templates.target_receptor import TargetReceptors

STORED = Path(__file__).with_name("method_poses.json")
TOLERANCE = 0.05
"""Angstrom: another processor rounds otherwise, and a minimum is found a little beside."""
MEND = (
    "raise METHOD_VERSION in src/templ/pipeline.py, then store them anew: "
    "python tests/unit/test_method_version.py"
)
IDS = (
    "Mpro-x10976",  # the first four by their core
    "Mpro-x11041",
    "Mpro-x11317",
    "Mpro-x11431",
    "Mpro-x10329",  # by a part of it
    "Mpro-x10638",
    "Mpro-x11204",  # moved by Monte Carlo
    "Mpro-x11164",
)
"""Targets whose first pose is well ahead of the second, so that rounding changes no ranks."""


def first_pose(folder, id):
    """SMILES and heavy atoms (Angstrom) of the first pose of a demo target."""
    benchmark = find_benchmark("demo-mpro").make(folder)
    with open_library(benchmark.library) as library, open_library(benchmark.targets) as targets:
        target = target_of(targets.entry(targets.row_of(id)))
        receptor = TargetReceptors(library, targets).of(id)
        outcome = predict(target, library, benchmark.settings, rule=benchmark.rule, receptor=receptor)
    mol = Chem.RemoveHs(outcome.poses[0].mol)
    smiles = Chem.MolToSmiles(mol)
    order = list(mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"])
    return smiles, mol.GetConformer().GetPositions()[order]


def moved(stored, id, find):
    """How far the first pose of a target is from the stored one, Angstrom, at its farthest atom."""
    smiles, atoms = find(id)
    assert smiles == stored["poses"][id]["smiles"], f"{id} is another molecule"
    return float(np.linalg.norm(atoms - np.array(stored["poses"][id]["atoms"]), axis=1).max())


@pytest.fixture(scope="module")
def stored():
    return json.loads(STORED.read_text("utf-8"))


@pytest.fixture(scope="module")
def find(tmp_path_factory):
    return partial(first_pose, tmp_path_factory.mktemp("demo"))


def test_the_stored_poses_are_of_this_method(stored):
    assert stored["method_version"] == METHOD_VERSION, f"the poses stored are of another method: {MEND}"
    assert tuple(stored["poses"]) == IDS


@pytest.mark.parametrize("id", IDS)
def test_poses_move_only_with_the_method_version(stored, find, id):
    if stored["rdkit"] != rdkit.__version__:
        pytest.skip(f"stored with RDKit {stored['rdkit']}: another makes other conformers")
    distance = moved(stored, id, find)
    assert distance < TOLERANCE, f"the first pose of {id} moved by {distance:.2f} Angstrom: {MEND}"


def store():
    """Write the poses of the method as it is now, unless they moved and the version did not."""
    with tempfile.TemporaryDirectory() as folder:
        find = partial(first_pose, Path(folder))
        if STORED.exists():
            old = json.loads(STORED.read_text("utf-8"))
            same_method = (old["method_version"], old["rdkit"]) == (METHOD_VERSION, rdkit.__version__)
            if same_method and any(moved(old, id, find) >= TOLERANCE for id in old["poses"]):
                sys.exit(f"poses moved and METHOD_VERSION is still {METHOD_VERSION}: {MEND}")
        poses = {}
        for id in IDS:
            smiles, atoms = find(id)
            poses[id] = {"smiles": smiles, "atoms": np.round(atoms, 3).tolist()}
    content = {"method_version": METHOD_VERSION, "rdkit": rdkit.__version__, "poses": poses}
    STORED.write_text(json.dumps(content).replace('}, "', '},\n"') + "\n", "utf-8")


if __name__ == "__main__":
    store()
