"""Which atom bonds to which residue, on Mpro's ligands; and what is posed then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from templ.chemistry.covalent import CovalentBond
from templ.chemistry.molecules import heavy, parse_smiles, positions
from templ.chemistry.reactive_residue import is_called, reactive_residues, turned_side_chain
from templ.chemistry.receptor_file import read_receptor
from templ.chemistry.warheads import AT_RESIDUE, LENGTHS
from templ.errors import InputError, Refusal
from templ.pipeline import predict
from templ.prediction import Prediction
from templ.records import Target
from templ.runs.record import Record
from templ.scoring.bond_restraint import NEAREST
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates import covalent_choice, residue_choice
from templ.templates.covalent_choice import ChosenBond, bonded_atoms, choose_bond, doubts, said_bonds
from templ.templates.covalent_reaction import find_reactions, free_warheads, other_residues
from templ.templates.residue_choice import AUTO, NONE, check_residue, find_residues
from templ.templates.rule import TemplateRule

FAST = PredictionSettings(conformers=5, minimised=15, rounds=0, top=3, starts=60, docked=15)
KETOAMIDE = "Mpro-6y2f"  # given as its adduct, an alcohol
ISATIN = "Mpro-x11204"
ACETAMIDE = "CC(=O)N1CCN(Cc2cccc(Cl)c2)CC1"
ALDEHYDE = "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@H](C=O)C[C@@H]1CCNC1=O"
HARMLESS = "CC(=O)Nc1cnccc1C"


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@pytest.fixture(scope="module")
def screened(demo_library, receptor):
    def screen(smiles):
        work = Prediction(
            Target("q", smiles), demo_library, FAST, TemplateRule(exclude_same_ligand=True), receptor
        )
        return work.screen()

    return screen


def choice(demo_library, receptor, found, wanted):
    return choose_bond(found.query.mol, found.templates, demo_library, receptor, wanted)


def smiles_of(library, id):
    return library.entry(library.row_of(id)).smiles


@pytest.mark.parametrize("id", [KETOAMIDE, ISATIN])
def test_covalent_templates_tell_of_the_bond(demo_library, receptor, screened, id):
    found = screened(smiles_of(demo_library, id))
    bond = choice(demo_library, receptor, found, AUTO)
    assert bond.residue.label == "A:CYS145"
    assert "of the templates" in bond.why
    truth = demo_library.ligand(demo_library.row_of(id))
    match = truth.GetSubstructMatch(found.query.mol)
    gaps = np.linalg.norm(positions(truth) - bond.residue.before[0], axis=1)
    assert match[bond.atom] == gaps.argmin(), "the atom that the crystal has there"


def test_the_bonded_atoms_of_templates_are_near_the_residue(demo_library, receptor, screened):
    found = screened(smiles_of(demo_library, KETOAMIDE))
    [cysteine] = find_residues(receptor, found.templates, "CYS145")
    bonded = bonded_atoms(found.templates, said_bonds(found.templates, demo_library), cysteine)
    assert len(bonded) > 20
    by_id = {template.id: template for template in found.templates}
    for id, atom in bonded.items():
        assert np.linalg.norm(positions(by_id[id].mol)[atom] - cysteine.before[0]) < 3.3


def test_an_acetamide_is_bonded_only_where_the_residue_is_named(demo_library, receptor, screened):
    found = screened(ACETAMIDE)
    assert choice(demo_library, receptor, found, AUTO) is None
    bond = choice(demo_library, receptor, found, "A:CYS145")
    assert found.query.mol.GetAtomWithIdx(bond.atom).GetTotalNumHs() == 3
    assert choice(demo_library, receptor, found, NONE) is None


def test_an_ordinary_group_is_bonded_by_no_share_of_the_templates(
    demo_library, receptor, screened, monkeypatch
):
    monkeypatch.setattr(covalent_choice, "LIKELY", 0.0)
    found = screened(ACETAMIDE)
    bond = choice(demo_library, receptor, found, AUTO)
    assert bond is None or found.query.mol.GetAtomWithIdx(bond.atom).GetTotalNumHs() < 3
    assert choice(demo_library, receptor, screened(smiles_of(demo_library, ISATIN)), AUTO) is not None


def test_a_residue_that_is_not_there_is_refused_with_those_that_are(receptor, screened):
    found = screened(HARMLESS)
    for name in ("CYS146", "B:CYS145", "HIS41"):
        with pytest.raises(Refusal, match=f"--covalent {name}: .*A:CYS145") as caught:
            find_residues(receptor, found.templates, name)
        assert caught.value.reason == "no-such-residue"


@pytest.mark.parametrize(
    ("smiles", "auto", "named"),
    [
        (ALDEHYDE, "aldehyde", "aldehyde"),
        ("C=CC(=O)Nc1cccnc1", "acrylamide", "acrylamide"),
        ("CC(NC(=O)c1cccnc1)C#N", None, "nitrile"),  # most nitriles do not bond
        (HARMLESS, None, None),
    ],
)
def test_a_free_warhead_bonds_to_a_residue_in_reach(receptor, screened, smiles, auto, named):
    found, mol = screened(smiles), heavy(parse_smiles(smiles))
    for wanted, expected in ((AUTO, auto), ("CYS145", named)):
        residues = find_residues(receptor, found.templates, wanted)
        reactions = find_reactions(free_warheads(mol, wanted), residues, wanted)
        assert (reactions[0][0].name if reactions else None) == expected


def test_a_free_molecule_is_posed_as_its_adduct_and_all_say_so(demo_library, receptor):
    outcome = predict(ALDEHYDE, demo_library, FAST, receptor=receptor)
    said = "\n".join(outcome.notes)
    assert "posed as aldehyde bonded to A:CYS145, without the residue: " in said
    assert "bonded to the receptor, by its aldehyde; the first pose by atom " in said
    for pose in outcome.poses:
        assert "CO)" in pose.smiles
        bond, atom = pose.bond, pose.mol.GetAtomWithIdx(pose.bond.atom)
        assert (bond.residue, bond.residue_atom) == ("A:CYS145", "SG")
        xyz = pose.mol.GetConformer().GetPositions()
        assert np.linalg.norm(xyz[bond.atom] - bond.position) == pytest.approx(bond.length, abs=1e-3)
        assert bond.length == pytest.approx(LENGTHS[atom.GetAtomicNum(), 16], abs=0.1)
        assert bond.at_residue == pytest.approx(AT_RESIDUE[16], abs=15)
        hydrogens = [other.GetIdx() for other in atom.GetNeighbors() if other.GetAtomicNum() == 1]
        gaps = sorted(float(np.linalg.norm(xyz[other] - bond.position)) for other in hydrogens)
        assert gaps[0] == pytest.approx(bond.length - 1.09, abs=0.02), "one stands in the residue's place"
        assert gaps[1] > 2, "and no other"


def test_none_poses_without_a_bond_and_warns(demo_library, receptor):
    settings = FAST.model_copy(update={"covalent": "none"})
    outcome = predict(ALDEHYDE, demo_library, settings, receptor=receptor)
    assert all(pose.bond is None for pose in outcome.poses)
    assert any("an aldehyde near A:CYS145" in note and "--covalent CYS145" in note for note in outcome.notes)


def test_a_named_residue_that_is_absent_refuses_the_query(demo_library, receptor):
    settings = FAST.model_copy(update={"covalent": "CYS999"})
    outcome = predict(HARMLESS, demo_library, settings, receptor=receptor)
    assert (outcome.status, outcome.reason) == ("refused", "no-such-residue")


def test_what_has_no_group_that_bonds_is_posed_and_says_so(demo_library, receptor):
    settings = FAST.model_copy(update={"covalent": "CYS145"})
    outcome = predict("c1ccc(-c2ccncc2)cc1", demo_library, settings, receptor=receptor)
    assert outcome.poses[0].bond is None
    assert any("no group of the query is known to bond to A:CYS145" in note for note in outcome.notes)


def test_the_same_seed_gives_the_same_bonded_poses(demo_library, receptor):
    first, second = (predict(ALDEHYDE, demo_library, FAST, receptor=receptor) for _ in range(2))
    assert [pose.bond for pose in first.poses] == [pose.bond for pose in second.poses]


def test_other_crystals_of_the_adduct_are_the_same_ligand(demo_library, receptor):
    """A query is not posed from its own crystal because it is drawn there as it is once bonded."""
    adduct = smiles_of(demo_library, "Mpro-6wtk")
    free = adduct.replace("(CO)", "(C=O)")
    assert free != adduct
    settings = FAST.model_copy(update={"covalent": "CYS145"})
    rule = TemplateRule(exclude_same_ligand=True)
    outcome = predict(Target("q", free), demo_library, settings, rule=rule, receptor=receptor)
    assert outcome.poses[0].bond is not None
    same = {"Mpro-6wtj", "Mpro-6wtk", "Mpro-6wtt", "Mpro-7c6u", "Mpro-7c8u", "Mpro-7cbt"}
    assert same.isdisjoint(pose.template_id for pose in outcome.poses)


def test_a_library_with_receptors_says_which_templates_are_bonded(demo_library, receptor, screened):
    found = screened(smiles_of(demo_library, KETOAMIDE))
    [cysteine] = find_residues(receptor, found.templates, "CYS145")
    measured = bonded_atoms(found.templates, None, cysteine)
    id, atom = next(iter(measured.items()))
    bond = CovalentBond("CYS", "B", 17, " ", "SG", atom, 1.8)  # as its own file numbers it
    for kind, expected in (("CYS", {id: atom}), ("SER", {})):
        said = [replace(bond, residue=kind) if each.id == id else None for each in found.templates]
        assert bonded_atoms(found.templates, said, cysteine) == expected


TWO_WARHEADS = "C=CC(=O)Nc1cccc(C=O)c1"


def told(outcome):
    return "\n".join(outcome.notes)


def test_of_two_warheads_each_is_posed(demo_library, receptor):
    settings = FAST.model_copy(update={"covalent": "CYS145"})
    outcome = predict(TWO_WARHEADS, demo_library, settings, receptor=receptor)
    said = told(outcome)
    assert "posed as aldehyde bonded to A:CYS145, without the residue: C=CC(=O)Nc1cccc(CO)c1" in said
    assert "posed as acrylamide bonded to A:CYS145, without the residue: CCC(=O)Nc1cccc(C=O)c1" in said
    bonded = {pose.mol.GetAtomWithIdx(pose.bond.atom).GetTotalDegree() for pose in outcome.poses}
    assert bonded == {4}
    with_nitrile = predict("C[C@H](C#N)NC(=O)c1cccc(C=O)c1", demo_library, settings, receptor=receptor)
    assert "nitrile" not in told(with_nitrile), "what mostly does not bond leaves it to what does"


def test_to_which_residues_a_query_could_bond_instead_is_said(receptor, screened):
    mol = parse_smiles("O=Cc1ccccc1")
    residues = find_residues(receptor, screened(ALDEHYDE).templates, AUTO)
    plain = [replace(residue, activated=False) for residue in residues if residue.kind == "CYS"]
    found = find_reactions(free_warheads(mol, AUTO), plain, AUTO)
    assert other_residues(found) == "it could bond to A:CYS44 instead, which --covalent names"
    found = find_reactions(free_warheads(mol, AUTO), residues, AUTO)
    assert found[0][1].label == "A:CYS145"
    assert other_residues(found) == "", "CYS145 has a base, CYS44 has none"


@pytest.mark.parametrize(
    ("smiles", "others"),
    [
        ("CC(=O)N1CCC(CNC(C)=O)CC1", 1),
        ("CC(=O)N1CCN(C(C)=O)CC1", 0),  # alike by symmetry
        ("CC(=O)Nc1cccnc1", 0),
    ],
)
def test_which_other_atoms_could_have_bonded_is_said(demo_library, receptor, screened, smiles, others):
    found = screened(smiles)
    bond = choice(demo_library, receptor, found, "CYS145")
    assert len(bond.others) == others
    atoms = [found.query.mol.GetAtomWithIdx(atom) for atom in bond.others]
    assert all(atom.GetTotalNumHs() == 3 for atom in atoms)
    said = [note for note in doubts(bond, found.templates) if "others could as well" in note]
    assert len(said) == bool(others)
    for note in said:
        assert note.startswith(f"atom {bond.atom + 1} bonds")
        assert f"(atoms {bond.others[0] + 1} of the poses)" in note


def test_a_named_residue_far_from_the_templates_is_said_to_be(demo_library, receptor):
    settings = FAST.model_copy(update={"covalent": "LYS61"})
    outcome = predict("O=Cc1cccc2c1ccnc2", demo_library, settings, receptor=receptor)
    assert outcome.poses[0].bond.residue == "A:LYS61"
    assert "A:LYS61 is 10 A from the templates" in told(outcome)


def test_a_disulfide_is_left_alone_unless_it_is_named(receptor, screened, monkeypatch):
    found = screened(ALDEHYDE)
    held = [
        replace(residue, held_by="A:CYS44") if is_called(residue.label, "CYS145") else residue
        for residue in find_residues(receptor, found.templates, AUTO)
    ]
    monkeypatch.setattr(residue_choice, "reactive_residues", lambda *_, **__: held)
    assert "A:CYS145" not in {each.label for each in find_residues(receptor, found.templates, AUTO)}
    [cysteine] = [residue for residue in held if residue.held_by]
    assert "A:CYS145 is bonded to A:CYS44 in the receptor" in "\n".join(
        doubts(ChosenBond(0, cysteine, ""), found.templates)
    )


def test_what_was_made_to_bond_is_never_posed_without(demo_library, receptor):
    """In the second of several receptors the residue may be another, or farther from the templates."""
    work = Prediction(Target("q", ALDEHYDE), demo_library, FAST, receptor=receptor)
    [work] = [replace(work, molecule=isomer) for isomer in work.isomers()]
    form, *_ = work.bonding_forms({})
    assert form.reaction.residue == "A:CYS145"
    atoms = receptor.atoms
    without = replace(receptor, atoms=atoms.only(atoms.names != "SG"))  # serines stay, with no base near
    outcome = replace(form, receptor=without).run()
    assert (outcome.status, outcome.reason) == ("refused", "no-such-residue")
    assert "posed as bonded to A:CYS145" in outcome.detail


def test_bonds_that_are_bent_are_said_of_every_pose(demo_library, receptor):
    """SER144 lies behind others: nothing reaches it with the angles of the table."""
    settings = FAST.model_copy(update={"covalent": "SER144"})
    outcome = predict("OB(O)c1cccc2c1ccnc2", demo_library, settings, receptor=receptor)
    bent = [
        str(pose.rank)
        for pose in outcome.poses
        if abs(pose.bond.at_residue - AT_RESIDUE[8]) > 15 or abs(pose.bond.at_ligand - 109.5) > 15
    ]
    assert bent
    assert f"{', '.join(bent)} to A:SER144 is bent or stretched" in told(outcome)


@pytest.mark.parametrize("name", ["C:CYS145", "SER145"])
def test_a_message_names_what_is_at_that_number_first(receptor, name):
    with pytest.raises(InputError, match=r"x\.pdb has no such residue .*; it has A:CYS145 A:"):
        check_residue(receptor, name, Path("x.pdb"))


def test_without_a_receptor_a_named_residue_is_said_to_be_of_no_use(demo_library):
    settings = FAST.model_copy(update={"covalent": "CYS145", "use_receptor": False})
    outcome = predict(ALDEHYDE, demo_library, settings)
    assert "--covalent CYS145: there is no receptor to bond to" in told(outcome)


def test_a_residue_that_nobody_named_bonds_where_it_would(receptor):
    """A serine without a base is as good as any alcohol; lysines take few acrylamides."""
    middle = receptor.atoms.xyz[:1].astype(np.float64)
    names = ("SER144", "THR25", "LYS61", "CYS145")
    residues = [residue for name in names for residue in reactive_residues(receptor, middle, called=name)]
    for smiles, auto, named in (
        ("O=Cc1ccccc1", ["CYS145", "LYS61"], ["CYS145", "SER144", "THR25", "LYS61"]),
        ("C=CC(=O)NC", ["CYS145"], ["CYS145", "LYS61"]),
        ("OB(O)c1ccccc1", ["CYS145"], ["CYS145", "SER144", "THR25"]),
    ):
        warheads = free_warheads(parse_smiles(smiles), AUTO)
        for wanted, expected in ((AUTO, auto), ("SER144", named)):
            found = [residue.label[2:] for _, residue in find_reactions(warheads, residues, wanted)]
            assert found == expected


def test_of_isomers_the_notes_of_poses_are_of_those_handed_out(demo_library, receptor):
    """An epoxide bonds at either carbon: each is posed, and what is said of a first pose is of one only."""
    settings = FAST.model_copy(update={"covalent": "CYS145"})
    outcome = predict("c1cc(OC[C@@H]2CO2)cnc1", demo_library, settings, receptor=receptor)
    assert len({pose.smiles for pose in outcome.poses}) == 2
    said = [note for note in outcome.notes if note.startswith("bonded to the receptor")]
    assert said == [f"bonded to the receptor, by its epoxide; the first pose by {outcome.poses[0].bond}"]
    assert not outcome.pose_notes


def test_the_record_keeps_the_bond(demo_library, receptor):
    outcome = predict(ALDEHYDE, demo_library, FAST, receptor=receptor)
    record = Record.of(outcome, Target("query", ALDEHYDE))
    assert Record.from_line(record.to_line()) == record
    assert [pose.bond.atom for pose in record.poses] == [pose.bond.atom for pose in outcome.poses]
    assert record.poses[0].bond.sound


def test_the_note_names_the_residue_of_the_receptor_that_the_poses_are_in(demo_library, receptor):
    """The reaction is found in the first receptor; the next may number its residues otherwise."""
    work = Prediction(Target("q", ALDEHYDE), demo_library, FAST, receptor=receptor)
    [work] = [replace(work, molecule=isomer) for isomer in work.isomers()]
    form, *_ = work.bonding_forms({})
    residues = receptor.residues
    other = replace(receptor, residues=replace(residues, numbers=residues.numbers - 150))
    outcome = replace(form, receptor=other).run()
    assert {pose.bond.residue for pose in outcome.poses} == {"A:CYS-5"}
    assert any(note.startswith("posed as aldehyde bonded to A:CYS-5, ") for note in outcome.notes)


@pytest.mark.parametrize("name", ["THR190", "LYS61", "SER46", "THR25"])
def test_no_pose_runs_into_the_side_chain_that_it_is_bonded_to(demo_library, receptor, name):
    """Its atoms push nothing while poses are made, and PoseBusters does not see them."""
    settings = FAST.model_copy(update={"covalent": name})
    outcome = predict("O=Cc1cccc2c1ccnc2", demo_library, settings, receptor=receptor)
    assert outcome.poses
    for pose in outcome.poses:
        turned = turned_side_chain(receptor, pose.bond.residue, pose.bond.position)
        [residue] = reactive_residues(turned, np.array([pose.bond.position]), called=name)
        free = np.delete(positions(heavy(pose.mol)), pose.bond.atom, axis=0)
        gaps = np.linalg.norm(free[:, None] - residue.others[0], axis=-1)
        assert gaps.min() >= NEAREST - 1e-3
