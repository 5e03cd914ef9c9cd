from __future__ import annotations

import datetime

import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from templ.library.build import build_library
from templ.library.store import open_library
from templ.records import Entry
from templ.sources.ledger import Ledger

SMILES = {
    "ibuprofen": "CC(C)Cc1ccc(cc1)[C@H](C)C(=O)O",
    "glucose": "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
    "tamoxifen": r"CC/C(=C(\c1ccccc1)/c1ccc(OCCN(C)C)cc1)/c1ccccc1",
    "memantine": "C[C@]12C[C@@H]3C[C@](C)(C1)C[C@@](N)(C3)C2",
    "acetate": "CC(=O)[O-].[Na+]",
    "zwitterion": "[NH3+][C@@H](Cc1c[nH]cn1)C(=O)[O-]",
    "deuterated": "[2H]C([2H])([2H])Oc1ccccc1S(=O)(=O)N",
}


def embed(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=7) == 0
    return mol


@pytest.fixture(scope="session")
def molecules():
    return {name: embed(smiles) for name, smiles in SMILES.items()}


@pytest.fixture(scope="session")
def entries(molecules):
    return [
        Entry(
            id=name,
            mol=mol,
            source=f"made.sdf#{number}",
            name=name.title(),
            date=datetime.date(2020, 1, number) if number % 2 else None,
            group="odd" if number % 2 else "even",
        )
        for number, (name, mol) in enumerate(molecules.items(), 1)
    ]


@pytest.fixture(scope="session")
def built(entries, tmp_path_factory):
    """A finished library that no test may change."""
    folder = tmp_path_factory.mktemp("library")
    receptor = folder / "site.pdb"
    receptor.write_text("END\n", encoding="utf-8")
    out = folder / "small.templ"
    build_library(
        out, entries, ledger=Ledger(), sources=["made.sdf"], receptors={"": receptor, "odd/one": receptor}
    )
    return out


@pytest.fixture
def library(built):
    with open_library(built) as library:
        yield library
