"""Writes poses in their receptors with a script that shows them in PyMOL or ChimeraX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from templ.disk import make_folder, replacing
from templ.errors import InputError
from templ.evaluation.run import load_run
from templ.export.complex_file import LIGAND, write_complexes
from templ.export.run_export import Exported, file_name
from templ.runs.pose_shards import read_poses

COMPLEXES, POSES = "complexes", "poses"
NEAR = 5
"""Angstrom from the pose to the residues that are drawn."""
COLOURS = {"complex": "0072b2", "poses": "8fbcd9", "template": "d98200", "crystal": "a3417b"}
"""Carbons of what is shown, the same as in the web app; of a complex those of the pose."""
RADII = {"complex": 0.25, "crystal": 0.18, "template": 0.12, "poses": 0.06}
"""Angstrom, of sticks: readers who do not tell the colours apart tell the thickness."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A molecule in a session: what it is called there, and its files.

    Attributes
    ----------
    name : str
        Of letters, digits and underscores.
    files : Mapping of str to str
        By what they are, a key of `COLOURS`; the first is ``complex``, a receptor with the pose as ``LIG``.
    """

    name: str
    files: Mapping[str, str]


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
    name, suffix, script = SESSIONS[format]
    scenes = [
        Scene(
            object_name,
            {
                "complex": f"{COMPLEXES}/{file_name(id)}{suffix}",
                "poses": f"{POSES}/{file_name(id)}.sdf",
            },
        )
        for id, object_name in zip(ids, _names(ids), strict=True)
    ]
    with replacing(out / name) as file:
        file.write(script(scenes).encode())
    manifest = loaded.manifest
    return Exported(out / name, targets, poses, targets - count, manifest.targets, manifest.molecules)


def pymol_script(scenes: Sequence[Scene], texts: Mapping[str, str] | None = None) -> str:
    """Write a script of PyMOL: the first molecule is shown, the others are loaded and switched off.

    Parameters
    ----------
    texts : Mapping of str to str, optional
        What is in the files: the script has it all in it, and needs none of them.
    """
    lines = ["set retain_order, 1"]
    for scene in scenes:
        for what, file in scene.files.items():
            if texts is None:
                lines.append(f"load {file}, {_object(scene, what)}")
            else:
                kind = Path(file).suffix[1:]
                given = f"{texts[file]!r}, {kind!r}, {_object(scene, what)!r}"
                lines += ["python", f"cmd.load_raw({given})", "python end"]
    pose = f"resn {LIGAND}"
    lines += [
        "hide everything",
        "show cartoon, polymer",
        "show sticks, organic",
        "show nb_spheres, inorganic",
        f"show lines, byres (polymer within {NEAR} of {pose})",
        "hide everything, elem H and neighbor elem C",
        "color grey70, polymer and elem C",
    ]
    for scene in scenes:
        for what in scene.files:
            atoms = f"{_object(scene, what)} and {pose}" if what == "complex" else _object(scene, what)
            lines.append(f"color 0x{COLOURS[what]}, {atoms} and elem C")
            lines.append(f"set_bond stick_radius, {RADII[what]}, {atoms}")
        complex_ = _object(scene, "complex")
        lines.append(f"distance {scene.name}_hbonds, {complex_} and {pose}, {complex_} and polymer, mode=2")
        members = " ".join((*(_object(scene, what) for what in scene.files), f"{scene.name}_hbonds"))
        lines.append(f"group {scene.name}_all, {members}")
    lines += [f"disable {scene.name}_all" for scene in scenes[1:]]
    for scene in scenes[:1]:
        lines += [f"disable {scene.name}_poses"] if "poses" in scene.files else []
        lines.append(f"zoom {_object(scene, 'complex')} and {pose}, 6")
    return "\n".join([*lines, ""])


def chimerax_script(scenes: Sequence[Scene]) -> str:
    """Write a script of ChimeraX, to lie beside its files: the first molecule is shown, the others hidden."""
    shown = [(number, what) for number, scene in enumerate(scenes, 1) for what in scene.files]
    files = [file for scene in scenes for file in scene.files.values()]
    lines = [f'open "{file}"' for file in files]
    lines += [
        "hide atoms",
        "cartoon",
        "color gray target c",
        "show ligand",
        f"show (:{LIGAND} @<{NEAR}) & protein",
        "hide HC",
    ]
    for model, (number, what) in enumerate(shown, 1):
        atoms = f"#{model}:{LIGAND}" if what == "complex" else f"#{model}"
        lines += [f"show {atoms}", f"style {atoms} stick", f"size {atoms} stickRadius {RADII[what]}"]
        lines.append(f"color {atoms} #{COLOURS[what]} target a")
        if number > 1 or what == "poses":
            lines.append(f"hide #{model} models")
    lines += ["color byhetero", f"hbonds :{LIGAND} reveal true"]
    return "\n".join([*lines, *([f"view #1:{LIGAND}"] if scenes else []), ""])


def _object(scene: Scene, what: str) -> str:
    """Name of an object of PyMOL; that of the molecule alone could be one of its words, such as ``b``."""
    return f"{scene.name}_{what}"


def _listed(scenes: Sequence[Scene]) -> str:
    """Paths of the complexes, one a line."""
    return "".join(f"{scene.files['complex']}\n" for scene in scenes)


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


SESSIONS: dict[str, tuple[str, str, Callable[[Sequence[Scene]], str]]] = {
    "complex": ("complexes.txt", ".cif", _listed),
    # PyMOL looks up the bonds of amino acids of a mmCIF file in the network; those of a PDB file it finds.
    "pymol": ("view.pml", ".pdb", pymol_script),
    "chimerax": ("view.cxc", ".cif", chimerax_script),
}
"""By format: the file beside the poses, the kind of complexes that it names, and how it is written."""
