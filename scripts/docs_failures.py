"""Draw three failures of the demo for the documentation: what was predicted, beside the crystal.

    python scripts/docs_failures.py RUN

RUN is a finished run of the demo (`templ benchmark run demo -o RUN`). Writes docs/pictures/failures.png: the
first pose, the crystal's and the template, seen along the axis in which they spread least.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.receptor_file import read_receptor
from templ.evaluation.run import load_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rdkit import Chem

FAILURES = {
    "Mpro-x11587": "nothing to copy: {copied} of {query_atoms} atoms,\nnearest Tanimoto {tanimoto:.2f}",
    "Mpro-x11764": "a pocket that moves: in this receptor an\natom is {gap:.1f} A from the crystal's ligand",
    "Mpro-x11001": "covalent: the crystal's ligand is\n{gap:.1f} A from this receptor's cysteine",
}
LOOKS = {"crystal": ("0.55", 4.0), "template": ("tab:blue", 1.5), "first pose": ("tab:orange", 2.0)}
OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "failures.png"


def draw(axes: Axes, mols: dict[str, Chem.Mol]) -> None:
    """Draw the bonds of molecules that share a frame."""
    every = np.concatenate([positions(mol) for mol in mols.values()])
    middle = every.mean(axis=0)
    _, spread = np.linalg.eigh(np.cov((every - middle).T))
    for name, mol in mols.items():
        flat = (positions(mol) - middle) @ spread[:, :0:-1]
        colour, width = LOOKS[name]
        for number, bond in enumerate(mol.GetBonds()):
            ends = flat[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]]
            label = name if number == 0 else None
            axes.plot(*ends.T, color=colour, linewidth=width, solid_capstyle="round", label=label)
    axes.set_aspect("equal")
    axes.axis("off")


def main() -> None:
    """Draw the failures of one run."""
    run = load_run(sys.argv[1])
    library = run.templates()
    path = library.receptor_path()
    assert path is not None
    receptor = read_receptor(path).atoms.xyz
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, (id, reason) in zip(figure.subplots(1, 3), FAILURES.items(), strict=True):
        record = run[id]
        first = record.poses[0]
        mols = {
            "crystal": library[id],
            "template": library[first.template],
            "first pose": heavy(run.poses(id)[0]),
        }
        draw(axes, mols)
        gap = np.linalg.norm(positions(mols["crystal"])[:, None] - receptor, axis=-1).min()
        axes.set_title(
            f"{id}: {first.rmsd:.1f} A, confidence {first.confidence:.2f}\n"
            + reason.format(
                gap=gap, copied=len(first.core), query_atoms=record.query_atoms, tanimoto=record.tanimoto
            ),
            fontsize=9,
        )
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, dpi=90)


if __name__ == "__main__":
    main()
