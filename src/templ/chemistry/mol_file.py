"""Molecules from MOL and MOL2 blocks as real programs write them: read as they are meant, or refused.

Fields of a query in a file of a molecule (X-TOOL sets the hydrogen count of every atom) would make RDKit keep
hydrogens and match other atoms than the file has; they are resolved here.
"""

from __future__ import annotations

from rdkit import Chem

from templ.chemistry.molecules import has_3d, heavy, largest_fragment, quiet_rdkit, sanitise
from templ.errors import InputError

MENDED = "_templ_mended"
"""Property of a molecule in which something was mended: what, in words."""
COVALENT = 1.2
"""A bond of no order between atoms nearer than this times the sum of their covalent radii is a real one."""
CHARGES = {("N", 4): 1, ("P", 4): 1, ("O", 3): 1, ("S", 3): 1, ("B", 4): -1, ("Al", 4): -1}
"""Charge of an atom with so many bonds, where a file gives none."""
NO_ORDER = (Chem.BondType.UNSPECIFIED, Chem.BondType.ZERO, Chem.BondType.HYDROGEN, Chem.BondType.OTHER)
DIRECTIONS = ("_UnknownStereo", "_MolFileBondStereo", "_MolFileBondCfg")


def parse_mol_block(block: str) -> Chem.Mol:
    """Read one MOL block (V2000 or V3000), hydrogens kept, stereochemistry taken from 3D where it is 3D.

    Restrictions of a query (hydrogen count, substitution, ring bonds) say nothing about a molecule and are
    dropped. Bonds of no order (0, 8, 10, 14) to metals, and between atoms that do not touch, are dropped too.
    Charges that the valences ask for are set, and said in the property `MENDED`.

    Raises
    ------
    InputError
        When the block is malformed, has no atoms, is a pattern (atom lists, bonds that may be single or
        double), or its chemistry does not add up; the message says which.
    """
    with quiet_rdkit():
        mol = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False, strictParsing=True)
        if mol is None:
            raise InputError("the MOL block is malformed")
        return as_molecule(mol)


def parse_mol2_block(block: str) -> Chem.Mol:
    """Read one MOL2 block (Tripos, with Corina's atom types), stereochemistry taken from 3D.

    Raises
    ------
    InputError
        When the block is malformed, has no atoms, or its chemistry does not add up; the message says which.
    """
    with quiet_rdkit():
        mol = Chem.MolFromMol2Block(block, sanitize=False, removeHs=False)
        if mol is None or mol.GetNumAtoms() == 0:
            raise InputError("the MOL2 block is malformed")
        return as_molecule(mol)


def as_template(mol: Chem.Mol) -> tuple[Chem.Mol, str]:
    """Reduce a molecule to what templates are: the largest fragment, without dummy atoms and hydrogens.

    Returns
    -------
    mol : rdkit.Chem.Mol
        With its coordinates.
    note : str
        What was done to it, mended when it was read included; empty where nothing was.
    """
    whole, dummies = without_dummies(mol)
    fragment, dropped = largest_fragment(whole)
    mended = mol.GetProp(MENDED) if mol.HasProp(MENDED) else ""
    return heavy(fragment), "; ".join(filter(None, (mended, dummies, dropped)))


def without_dummies(mol: Chem.Mol) -> tuple[Chem.Mol, str]:
    """Leave out atoms that stand for something else (attachment points, lone pairs); say how many.

    Returns
    -------
    mol : rdkit.Chem.Mol
        The same object where there are none.
    note : str
        Empty where there are none.
    """
    dummies = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
    if not dummies:
        return mol, ""
    editable = Chem.RWMol(mol)
    for index in reversed(dummies):
        for neighbour in editable.GetAtomWithIdx(index).GetNeighbors():
            neighbour.SetNoImplicit(False)
        editable.RemoveAtom(index)
    rest = editable.GetMol()
    with quiet_rdkit():
        sanitise(rest, "the molecule without its dummy atoms")
    return rest, f"dummy atoms left out: {len(dummies)}"


def as_molecule(mol: Chem.Mol) -> Chem.Mol:
    """Make a molecule of atoms and bonds as a file has them: sanitised or mended, stereochemistry from 3D.

    Raises
    ------
    InputError
        When it has no atoms, is a pattern, or its chemistry does not add up.
    """
    if mol.GetNumAtoms() == 0:
        raise InputError("the molecule has no atoms")
    mol = _without_bonds_of_no_order(_without_queries(mol))
    asked = Chem.Mol(mol)  # sanitising may stop half-way
    try:
        sanitise(mol, "the molecule")
    except InputError:
        mol, what = _mended(asked)
        if not what:
            raise
        sanitise(mol, "the molecule")
        mol.SetProp(MENDED, what)
    if has_3d(mol):
        for bond in mol.GetBonds():
            # "Not known", say flags of double and of wavy bonds; the coordinates know.
            if bond.GetStereo() == Chem.BondStereo.STEREOANY:
                bond.SetStereo(Chem.BondStereo.STEREONONE)
            bond.SetBondDir(Chem.BondDir.NONE)
            for name in DIRECTIONS:
                bond.ClearProp(name)
        Chem.AssignStereochemistryFrom3D(mol)
    else:
        Chem.AssignChiralTypesFromBondDirs(mol)
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    return mol


def _without_queries(mol: Chem.Mol) -> Chem.Mol:
    """Turn atoms and bonds of a query into those of a molecule; those that may be several are refused."""
    atoms = [atom for atom in mol.GetAtoms() if atom.HasQuery()]
    bonds = [bond for bond in mol.GetBonds() if bond.HasQuery()]
    if not atoms and not bonds:
        return mol
    made = Chem.RWMol(mol)
    for atom in atoms:
        if not atom.GetAtomicNum() and atom.DescribeQuery().strip() != "AtomNull":
            raise InputError(
                f"atom {atom.GetIdx() + 1} is a pattern that fits several elements; expected one of them"
            )
        plain = Chem.Atom(atom.GetAtomicNum())
        plain.SetFormalCharge(atom.GetFormalCharge())
        plain.SetIsotope(atom.GetIsotope())
        plain.SetNumRadicalElectrons(atom.GetNumRadicalElectrons())
        plain.SetChiralTag(atom.GetChiralTag())
        plain.SetNoImplicit(not atom.GetAtomicNum())
        made.ReplaceAtom(atom.GetIdx(), plain, preserveProps=True)
    for bond in bonds:
        kind = bond.GetBondType()
        if kind == Chem.BondType.UNSPECIFIED and bond.DescribeQuery().strip() != "BondNull":
            ends = f"{bond.GetBeginAtomIdx() + 1} and {bond.GetEndAtomIdx() + 1}"
            raise InputError(f"the bond between atoms {ends} may be of several orders; expected one of them")
        made.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        made.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), kind)
        made.GetBondBetweenAtoms(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()).SetBondDir(bond.GetBondDir())
    return made.GetMol()


def _without_bonds_of_no_order(mol: Chem.Mol) -> Chem.Mol:
    """Drop bonds that are none; refuse those of no order that hold a molecule together."""
    doubtful = [bond for bond in mol.GetBonds() if bond.GetBondType() in NO_ORDER]
    if not doubtful:
        return mol
    made, table = Chem.RWMol(mol), Chem.GetPeriodicTable()
    for bond in doubtful:
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        if all(_is_organic(end) for end in ends) and mol.GetNumConformers():
            first, second = (mol.GetConformer().GetAtomPosition(end.GetIdx()) for end in ends)
            reach = COVALENT * sum(table.GetRcovalent(end.GetAtomicNum()) for end in ends)
            if (first - second).Length() < reach:
                numbers = f"{ends[0].GetIdx() + 1} and {ends[1].GetIdx() + 1}"
                raise InputError(f"the bond between atoms {numbers} has no order; expected 1, 2, 3 or 4")
        made.RemoveBond(ends[0].GetIdx(), ends[1].GetIdx())
    return made.GetMol()


def _is_organic(atom: Chem.Atom) -> bool:
    return atom.GetAtomicNum() in (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53)


def _mended(mol: Chem.Mol) -> tuple[Chem.Mol, str]:
    """Give charges where the bonds ask for them, and a hydrogen to the nitrogen that a ring asks for one.

    Returns
    -------
    mol : rdkit.Chem.Mol
        A copy, not sanitised.
    what : str
        What was done; empty when nothing helps.
    """
    made, done = Chem.Mol(mol), []
    for problem in Chem.DetectChemistryProblems(made):
        if problem.GetType() != "AtomValenceException":
            continue
        atom = made.GetAtomWithIdx(problem.GetAtomIdx())
        orders = round(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))
        charge = CHARGES.get((atom.GetSymbol(), orders))
        if charge is None or atom.GetFormalCharge() == charge:
            return mol, ""
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(False)
        done.append(f"charge {charge:+d} given to {atom.GetSymbol()} {atom.GetIdx() + 1}")
        if charge == 1 and atom.GetSymbol() == "N":
            done += _with_oxygen(atom)
    problems = Chem.DetectChemistryProblems(made)
    for problem in problems:
        if problem.GetType() != "KekulizeException":
            return mol, ""
        nitrogen = next(
            (index for index in problem.GetAtomIndices() if _lacks_hydrogen(made, index)),
            None,
        )
        if nitrogen is None:
            return mol, ""
        made.GetAtomWithIdx(nitrogen).SetNumExplicitHs(1)
        done.append(f"hydrogen given to aromatic N {nitrogen + 1}")
    return made, "; ".join(done)


def _with_oxygen(nitrogen: Chem.Atom) -> list[str]:
    """Give the charge that balances a nitrogen's to an oxygen that has only it (nitro group, N-oxide)."""
    for oxygen in nitrogen.GetNeighbors():
        alone = oxygen.GetDegree() == 1 and not oxygen.GetNumExplicitHs() and not oxygen.GetFormalCharge()
        bond = oxygen.GetOwningMol().GetBondBetweenAtoms(nitrogen.GetIdx(), oxygen.GetIdx())
        if oxygen.GetSymbol() == "O" and alone and bond.GetBondType() == Chem.BondType.SINGLE:
            oxygen.SetFormalCharge(-1)
            return [f"charge -1 given to O {oxygen.GetIdx() + 1}"]
    return []


def _lacks_hydrogen(mol: Chem.Mol, index: int) -> bool:
    """Tell an aromatic nitrogen of two bonds that takes a hydrogen and lets its ring be aromatic."""
    atom = mol.GetAtomWithIdx(index)
    if atom.GetAtomicNum() != 7 or atom.GetDegree() != 2 or atom.GetFormalCharge() or atom.GetNumExplicitHs():
        return False
    tried = Chem.Mol(mol)
    tried.GetAtomWithIdx(index).SetNumExplicitHs(1)
    return not any(
        problem.GetType() == "KekulizeException" and index in problem.GetAtomIndices()
        for problem in Chem.DetectChemistryProblems(tried)
    )
