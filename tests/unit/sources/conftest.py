"""Small real records and a user without root's rights, shared by the tests of the sources."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem


@pytest.fixture(scope="session")
def sdf_record() -> Callable[..., str]:
    """Write one SDF record of a molecule with 3D coordinates."""

    def record(title: str, smiles: str = "CC(=O)Nc1ccccc1", **items: str) -> str:
        mol = Chem.MolFromSmiles(smiles)
        AllChem.EmbedMolecule(mol, randomSeed=7, useRandomCoords=True)
        mol.SetProp("_Name", title)
        data = "".join(f"> <{name}>\n{value}\n\n" for name, value in items.items())
        return Chem.MolToMolBlock(mol) + data + "$$$$\n"

    return record


@pytest.fixture
def as_nobody() -> Callable[[], AbstractContextManager[None]]:
    """Run a block without root's rights, so that file permissions mean something in a container too."""

    @contextmanager
    def switch() -> Iterator[None]:
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)

    return switch
