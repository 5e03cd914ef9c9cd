"""What is told of a bond that poses have, or have not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from templ.chemistry.molecules import parse_smiles
from templ.errors import Refusal
from templ.templates import bond_decision as module
from templ.templates.bond_decision import decide_bond

NOTHING = SimpleNamespace(atoms=None, receptor=None)
BENZENE = parse_smiles("c1ccccc1")


@pytest.fixture
def frame(monkeypatch):
    """A receptor with the residue A:CYS145, to which nothing bonds."""
    monkeypatch.setattr(module, "choose_bond", lambda *given: None)
    monkeypatch.setattr(module, "find_residues", lambda *given: [SimpleNamespace(label="A:CYS145")])
    return SimpleNamespace(atoms=object(), receptor=object())


@pytest.mark.parametrize("wanted", ["auto", "none"])
def test_without_a_receptor_there_is_no_bond_and_nothing_to_tell(wanted):
    assert decide_bond(BENZENE, [], None, NOTHING, wanted, None) == (None, [])


def test_a_residue_that_is_named_and_not_bonded_is_told(frame):
    bond, [note] = decide_bond(BENZENE, [], None, NOTHING, "CYS145", None)
    assert (bond, "there is no receptor to bond to" in note) == (None, True)
    bond, [note] = decide_bond(BENZENE, [], None, frame, "CYS145", None)
    told = "no group of the query is known to bond to A:CYS145: posed without a bond"
    assert (bond, note) == (None, told)


def test_what_was_made_to_bond_and_cannot_is_refused(frame):
    with pytest.raises(Refusal, match="posed as bonded to A:CYS145, and nothing it bonds to is near"):
        decide_bond(BENZENE, [], None, frame, "auto", SimpleNamespace(residue="A:CYS145"))
