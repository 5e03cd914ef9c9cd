"""A pose as files for other programs: SDF, complex, and sessions of PyMOL and ChimeraX."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.errors import RunError
from templ.evaluation.run import load_run
from templ.export.complex_file import complex_text
from templ.export.pdb import to_pdb
from templ.export.run_export import file_name
from templ.export.session_scripts import SESSIONS, Scene, chimerax_script, pymol_script
from templ.report.structures import Structures
from templ.runs.record import Record

KINDS: Final = {
    "sdf": ("chemical/x-mdl-sdfile", ".sdf"),
    "pdb": ("chemical/x-pdb", ".pdb"),
    "cif": ("chemical/x-cif", ".cif"),
    "receptor": ("chemical/x-pdb", "_receptor.pdb"),
    "pymol": ("text/plain", ".pml"),
    "chimerax": ("application/zip", "_chimerax.zip"),
}
"""What can be had of a pose: media type, and how the name of the file ends."""
DATE = (1980, 1, 1, 0, 0, 0)
"""Of files in an archive: the same poses always give the same bytes."""


def download(
    path: str, record: Record, rank: int, kind: str, libraries: Sequence[Path] = ()
) -> tuple[str, bytes]:
    """Make a file of one pose.

    Parameters
    ----------
    rank : int
        From 1.
    kind : str
        One of `KINDS`.

    Returns
    -------
    name, content : str, bytes

    Raises
    ------
    RunError
        When there is no such pose, or no receptor where the file needs one.
    """
    run = load_run(path)
    poses = run.poses(record)
    if not 1 <= rank <= len(poses):
        raise RunError(f"{record.id!r} has {len(poses)} poses, and no rank {rank}")
    pose, stem = poses[rank - 1], f"{file_name(record.id)}_{rank}"
    name = stem + KINDS[kind][1]
    if kind == "sdf":
        return name, (Chem.MolToMolBlock(pose) + "$$$$\n").encode()
    shown = Structures(run, libraries)
    receptor = shown.receptor(record)
    if receptor is None:
        raise RunError(f"{record.id!r} has no receptor: only the SDF can be had")
    if kind == "receptor":
        return name, to_pdb(receptor).encode()
    if kind in ("pdb", "cif"):
        return name, complex_text(receptor, pose, f".{kind}").encode()
    template = shown.template(record.poses[rank - 1], receptor, positions(pose))
    truth = shown.truth(record, receptor)
    _, suffix, _ = SESSIONS[kind]
    texts = {f"complex{suffix}": complex_text(receptor, pose, suffix)}
    for what, mol in (("template", template), ("crystal", truth)):
        if mol is not None:
            texts[f"{what}.sdf"] = Chem.MolToMolBlock(mol) + "$$$$\n"
    scene = Scene(f"rank_{rank}", {Path(file).stem: file for file in texts})
    if kind == "pymol":
        return name, pymol_script([scene], texts).encode()
    return name, _archive({**texts, "view.cxc": chimerax_script([scene])})


def _archive(files: Mapping[str, str]) -> bytes:
    """Pack files, by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), text)
    return packed.getvalue()
