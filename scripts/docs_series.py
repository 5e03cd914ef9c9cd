"""Draw a series for the documentation: python scripts/docs_series.py FOLDER (extra report).

FOLDER is what `templ export RUN -f series -o FOLDER` wrote. Writes docs/pictures/series.png: all poses as
they lie, and each over the reference, with the atoms that are mapped onto it marked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from rdkit import Chem

from templ.chemistry.molecules import positions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "series.png"
MAPPED, REST, REFERENCE = "tab:blue", "tab:orange", "0.75"
COLUMNS = 4


def draw(axes: Axes, mol: Chem.Mol, flat: NDArray[np.float64], core: set[int], width: float) -> None:
    """Draw the bonds between heavy atoms, those of the core in a colour of their own."""
    for bond in mol.GetBonds():
        ends = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
        if any(mol.GetAtomWithIdx(end).GetAtomicNum() == 1 for end in ends):
            continue
        colour = MAPPED if set(ends) <= core else REST
        axes.plot(*flat[ends].T, color=colour, linewidth=width, solid_capstyle="round")
    axes.set_aspect("equal")
    axes.axis("off")


def main() -> None:
    """Draw the series of one folder."""
    folder = Path(sys.argv[1])
    ligands = {
        mol.GetProp("_Name"): mol for mol in Chem.SDMolSupplier(str(folder / "ligands.sdf"), removeHs=False)
    }
    content = json.loads((folder / "atom_maps.json").read_text())
    reference = content["reference"]
    every = np.concatenate([positions(mol) for mol in ligands.values()])
    middle = every.mean(axis=0)
    _, spread = np.linalg.eigh(np.cov((every - middle).T))
    flat = {name: (positions(mol) - middle) @ spread[:, :0:-1] for name, mol in ligands.items()}
    maps = {edge["componentB"]: edge for edge in content["maps"]}
    rows = -(-(len(maps) + 1) // COLUMNS)
    figure = Figure(figsize=(11, 2.6 * rows), layout="constrained")
    panels = iter(figure.subplots(rows, COLUMNS).flat)
    first = next(panels)
    for name, edge in maps.items():
        core = {b for _, b in edge["componentA_to_componentB"]}
        draw(first, ligands[name], flat[name], core, 1.2)
        axes = next(panels)
        whole = ligands[reference]
        for bond in whole.GetBonds():
            ends = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
            if all(whole.GetAtomWithIdx(end).GetAtomicNum() > 1 for end in ends):
                axes.plot(*flat[reference][ends].T, color=REFERENCE, linewidth=5, solid_capstyle="round")
        draw(axes, ligands[name], flat[name], core, 2.0)
        axes.set_title(f"{name}: {edge['core_atoms']} atoms, {edge['core_rmsd']:.2f} A", fontsize=9)
    first.set_title(f"all; the reference is {reference}", fontsize=9)
    for axes in panels:
        axes.axis("off")
    figure.savefig(OUT, dpi=90)


if __name__ == "__main__":
    main()
