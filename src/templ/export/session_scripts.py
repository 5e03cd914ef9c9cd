"""Writes poses in their receptors with a script that shows them in PyMOL or ChimeraX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from templ.disk import make_folder, replacing
from templ.errors import InputError
from templ.evaluation.run import load_run
from templ.export.complex_file import write_complexes
from templ.export.run_export import Exported, file_name
from templ.runs.pose_shards import read_poses

COMPLEXES, POSES = "complexes", "poses"
NEAR = 5
"""Angstrom from the ligand to the residues that are drawn."""


def export_session(
    run: str | Path, out: str | Path, format: str, *, libraries: Sequence[str | Path] = ()
) -> Exported:
    """Write each first pose with its receptor, all poses beside them, and a script that opens them.

    Parameters
    ----------
    run : str or Path
        A run folder, or the poses that `templ predict` wrote.
    out : str or Path
        Folder to make; it must be absent or empty.
    format : str
        One of `SESSIONS`.
    libraries : sequence of str or Path
        Where the libraries of the run are, should they have been moved.

    Raises
    ------
    InputError
        When there is no such format, `out` is in use, or poses have no receptor.
    RunError
        When `run` is no run, or its results or libraries are damaged or gone.
    StorageError
        When the disk refuses.
    """
    if format not in SESSIONS:
        raise InputError(f"'{format}' is no format; expected {', '.join(SESSIONS)}")
    loaded, out = load_run(run), Path(out)
    if out.resolve().is_relative_to(loaded.path.resolve()):
        raise InputError(f"{out} is in the run itself; choose another folder")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another folder")
    count = write_complexes(loaded, out / COMPLEXES, libraries=[Path(library) for library in libraries])
    make_folder(out / POSES)
    ids, poses, targets = [], 0, 0
    for record in loaded:
        targets += 1
        if record.address is None:
            continue
        ids.append(record.id)
        poses += len(record.poses)
        with replacing(out / POSES / f"{file_name(record.id)}.sdf") as file:
            file.write(read_poses(loaded.path, record.address).encode())
    name, lines = SESSIONS[format]
    with replacing(out / name) as file:
        file.write("\n".join([*lines(ids), ""]).encode())
    manifest = loaded.manifest
    return Exported(out / name, targets, poses, targets - count, manifest.targets, manifest.molecules)


def _listed(ids: Sequence[str]) -> list[str]:
    """Names of the complexes."""
    return [f"{COMPLEXES}/{file_name(id)}.cif" for id in ids]


def _pymol(ids: Sequence[str]) -> list[str]:
    """Commands of PyMOL: the first molecule is shown, the others are loaded and switched off."""
    lines = ["# In this folder: pymol view.pml", "set retain_order, 1"]
    names = _names(ids)
    for id, name in zip(ids, names, strict=True):
        lines.append(f"load {COMPLEXES}/{file_name(id)}.cif, {name}")
        lines.append(f"load {POSES}/{file_name(id)}.sdf, {name}_poses")
    lines += [
        "hide everything",
        "show cartoon, polymer",
        "show sticks, organic",
        f"show lines, byres (polymer within {NEAR} of organic)",
        "hide sticks, elem H and neighbor elem C",
        "util.cbag polymer",
        "util.cbac organic",
    ]
    for name in names:
        lines.append(f"distance {name}_hbonds, {name} and organic, {name} and polymer, mode=2")
        lines.append(f"group {name}_all, {name} {name}_poses {name}_hbonds")
    lines += [f"disable {name}_all" for name in names[1:]]
    lines += [f"disable {name}_poses" for name in names[:1]]
    return [*lines, *(f"zoom {name} and organic, 6" for name in names[:1])]


def _chimerax(ids: Sequence[str]) -> list[str]:
    """Commands of ChimeraX: models 2n - 1 and 2n are complex and poses of the n-th molecule."""
    lines = ["# In this folder: chimerax view.cxc"]
    for id in ids:
        lines.append(f'open "{COMPLEXES}/{file_name(id)}.cif"')
        lines.append(f'open "{POSES}/{file_name(id)}.sdf"')
    lines += [
        "hide atoms",
        "cartoon",
        "show ligand",
        "style ligand stick",
        f"show (ligand @<{NEAR}) & protein",
        "hide HC",
        "color byhetero",
        "hbonds ligand reveal true",
    ]
    if len(ids) > 1:
        lines.append(f"hide #2-{2 * len(ids)} models")
    elif ids:
        lines.append("hide #2 models")
    return [*lines, *(["view #1 & ligand"] if ids else [])]


def _names(ids: Sequence[str]) -> list[str]:
    """Name an object for each id, of letters, digits and underscores, no two alike.

    Examples
    --------
    >>> _names(["a-1", "a 1", "b"])
    ['a_1', 'a_1_2', 'b']
    """
    names: list[str] = []
    for id in ids:
        name = re.sub(r"\W", "_", id, flags=re.ASCII)
        alike = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{alike + 1}" if alike else name)
    return names


SESSIONS: dict[str, tuple[str, Callable[[Sequence[str]], list[str]]]] = {
    "complex": ("complexes.txt", _listed),
    "pymol": ("view.pml", _pymol),
    "chimerax": ("view.cxc", _chimerax),
}
"""By format: the file beside the poses, and what is in it."""
