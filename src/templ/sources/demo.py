"""The data set that ships inside the package: Mpro ligands with dates, and their receptor."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from templ.disk import make_folder, replacing
from templ.errors import InputError, LibraryError

DEMO_DATE_PROPERTY: Final = "date"
DEMO_FIRST_TARGET_DATE: Final = datetime.date(2020, 6, 1)
"""Ligands dated from this day on are the targets of the demo benchmark."""


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The shipped files.

    Attributes
    ----------
    ligands : Path
        SDF.gz of 240 ligands in one frame; the title is the crystal's id.
    receptor : Path
        PDB.gz of one protein in that frame.
    """

    ligands: Path
    receptor: Path


def demo_files() -> DemoFiles:
    """Return where the demo data lie inside the installed package."""
    folder = _data_folder()
    return DemoFiles(folder / "mpro_ligands.sdf.gz", folder / "mpro_receptor.pdb.gz")


def verify_demo_data() -> None:
    """Compare the shipped files with their SHA-256 checksums.

    Raises
    ------
    LibraryError
        When a file is absent or differs.
    """
    demo, sums = demo_files(), _data_folder() / "SHA256SUMS"
    mend = "install templ-pose again"
    try:
        lines = [line.split() for line in sums.read_text(encoding="utf-8").splitlines()]
        expected = {name: digest for digest, name in lines}
        for path in (demo.ligands, demo.receptor):
            if hashlib.sha256(path.read_bytes()).hexdigest() != expected.get(path.name):
                raise LibraryError(f"{path} is not the file that was shipped; {mend}")
    except OSError as error:
        raise LibraryError(f"{error.filename} cannot be read: {error.strerror}; {mend}") from None


def copy_demo(folder: str | Path) -> list[Path]:
    """Copy the demo data to a folder of the user's, made if need be.

    Returns
    -------
    list of Path
        The copies.

    Raises
    ------
    InputError
        When one of them is there already; nothing is copied then.
    StorageError
        When the disk refuses.
    """
    demo, folder = demo_files(), Path(folder)
    copies = {source: folder / source.name for source in (demo.ligands, demo.receptor)}
    for copy in copies.values():
        if copy.exists():
            raise InputError(f"{copy} exists and is not overwritten; name another folder or remove it")
    make_folder(folder)
    for source, copy in copies.items():
        data = source.read_bytes()
        with replacing(copy) as output:
            output.write(data)
    return list(copies.values())


def _data_folder() -> Path:
    return Path(str(files("templ") / "data"))
