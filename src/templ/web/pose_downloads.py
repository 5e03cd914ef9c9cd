"""A pose as files for other programs: SDF, complex, and sessions of PyMOL and ChimeraX."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Receptor, residues_near
from templ.errors import RunError
from templ.evaluation.run import load_run
from templ.export.complex_file import complex_text
from templ.export.pdb import to_pdb
from templ.export.run_export import file_name
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
    blocks = {
        "pose": Chem.MolToMolBlock(pose),
        **({} if template is None else {"template": Chem.MolToMolBlock(template)}),
        **({} if truth is None else {"crystal": Chem.MolToMolBlock(truth)}),
    }
    if kind == "pymol":
        return name, pymol_script(receptor, blocks, pose).encode()
    return name, chimerax_archive(receptor, blocks, pose)


COLOURS = {"pose": "0x0072b2", "template": "0xd98200", "crystal": "0xa3417b"}


def pymol_script(receptor: Receptor, blocks: dict[str, str], pose: Chem.Mol) -> str:
    """Write a script of PyMOL that has all in it: the receptor, and the MOL blocks, by name."""
    lines = ["python", "from pymol import cmd", f"cmd.read_pdbstr({to_pdb(receptor)!r}, 'receptor')"]
    lines += [f"cmd.read_molstr({block!r}, {name!r})" for name, block in blocks.items()]
    lines += ["python end", "hide everything", "show cartoon, receptor", "color grey70, receptor and elem C"]
    lines += [f"show sticks, receptor and ({_pymol_residues(receptor, pose)})"]
    for name in blocks:
        lines += [f"show sticks, {name}", f"color {COLOURS[name]}, {name} and elem C"]
    thickness = {"pose": 0.25, "crystal": 0.18, "template": 0.12}
    lines += [f"set stick_radius, {thickness[name]}, {name}" for name in blocks]
    lines += ["distance hydrogen_bonds, pose, receptor, 3.5, mode=2", "orient pose", "zoom pose, 6"]
    return "\n".join(lines) + "\n"


def chimerax_archive(receptor: Receptor, blocks: dict[str, str], pose: Chem.Mol) -> bytes:
    """Pack a session script of ChimeraX (``view.cxc``) with the files that it opens."""
    files = {
        "receptor.pdb": to_pdb(receptor),
        **{f"{name}.sdf": f"{block}$$$$\n" for name, block in blocks.items()},
    }
    lines = [f"open {name}" for name in files]
    lines += ["hide atoms", "cartoon #1", "color #1 gray target c"]
    lines += [f"show {_chimerax_residues(receptor, pose)} atoms"]
    for number, name in enumerate(blocks, 2):
        lines += [f"show #{number} atoms", f"style #{number} stick"]
        lines += [f"color #{number} #{COLOURS[name][2:]} atoms", f"color #{number} byhetero"]
    lines += ["hbonds #2 restrict #1 reveal true", "view #2"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**files, "view.cxc": "\n".join(lines) + "\n"}.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), text)
    return packed.getvalue()


def _near(receptor: Receptor, pose: Chem.Mol) -> list[tuple[str, str]]:
    """Chain and number of the residues at a pose, the chains as a PDB file names them."""
    found = []
    for name in residues_near(receptor, positions(pose)):
        chain, _, residue = name.partition(":")
        found.append((chain, residue.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")))
    return found


def _pymol_residues(receptor: Receptor, pose: Chem.Mol) -> str:
    parts = [
        f"chain {chain} and resi {number}" if chain else f"resi {number}"
        for chain, number in _near(receptor, pose)
    ]
    return " or ".join(f"({part})" for part in parts) or "none"


def _chimerax_residues(receptor: Receptor, pose: Chem.Mol) -> str:
    return (
        "".join(
            f"#1/{chain}:{number}" if chain else f"#1:{number}" for chain, number in _near(receptor, pose)
        )
        or "#1"
    )
