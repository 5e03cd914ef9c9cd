"""Pharmacophore features of atoms: what an overlay compares besides shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

FEATURES = {
    "donor": "[$([N;!H0;v3,v4&+1]),$([O,S;H1;+0]),$([n;H1;+0])]",
    "acceptor": "[$([O,S;H1;v2]-[!$(*=[O,N,P,S])]),$([O,S;H0;v2]),$([O,S;-]),"
    "$([N;v3;!$(N-*=!@[O,N,P,S]);!$(N-a)]),$([nH0;+0]),$([N;v3;$(N=*)]),$(N#*)]",
    "aromatic": "a",
    "hydrophobic": "[$([C;!$(C~[O,N,S]);!a]),$([c]),F,Cl,Br,I,$([S;D2](C)C)]",
    "cation": "[+,$([NX3;!$(N-*=*);!$(N-a);!$(N#*);$(N([CX4])[CX4,#1]),$([NH2][CX4])])]",
    "anion": "[-,$([O;H1]-C=O)]",
}
"""SMARTS of the usual six features, by atom; donor and acceptor in the manner of Lipinski's counts."""

_PATTERNS = [Chem.MolFromSmarts(smarts) for smarts in FEATURES.values()]


def atom_features(mol: Chem.Mol) -> NDArray[np.float32]:
    """Which atom has which feature, 0 or 1, shape (atoms, features)."""
    flags = np.zeros((mol.GetNumAtoms(), len(_PATTERNS)), np.float32)
    for column, pattern in enumerate(_PATTERNS):
        for (atom,) in mol.GetSubstructMatches(pattern, maxMatches=10_000):
            flags[atom, column] = 1
    return flags
