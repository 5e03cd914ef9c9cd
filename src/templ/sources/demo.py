"""The data sets that ship inside the package, with dates: CDK2 complexes; Mpro ligands and their receptor."""

from __future__ import annotations

import datetime
import hashlib
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from templ.disk import make_folder, replacing
from templ.errors import InputError, LibraryError

DEMO_DATE_PROPERTY: Final = "date"
DEMO_FIRST_TARGET_DATE: Final = datetime.date(2020, 6, 1)
"""Mpro ligands dated from this day on are the targets of ``demo-mpro``."""
CDK2_FIRST_TARGET_DATE: Final = datetime.date(2012, 1, 1)
"""Complexes deposited from this day on are the targets of ``demo``."""
CDK2_INDEX: Final = "cdk2.csv"
"""Ids, dates, groups and SMILES of the CDK2 complexes, inside their archive."""

STRUCTURE: Final = "5and.cif"
"""One of the raw structures, to predict into."""
ITS_LIGAND: Final = "5JE"


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The shipped files.

    Attributes
    ----------
    ligands : Path
        SDF.gz of 235 Mpro ligands in one frame; the title is the crystal's id.
    receptor : Path
        PDB.gz of one Mpro protein in that frame.
    complexes : Path
        Archive of 232 CDK2 complexes: folders as `templ.sources.complexes` reads them, and `CDK2_INDEX`.
    structures : Path
        Archive of 20 of them as PDB and mmCIF files with the ligand inside.
    """

    ligands: Path
    receptor: Path
    complexes: Path
    structures: Path


def demo_files() -> DemoFiles:
    """Return where the demo data lie inside the installed package."""
    folder = _data_folder()
    names = ("mpro_ligands.sdf.gz", "mpro_receptor.pdb.gz", "cdk2.tar.xz", "structures.tar.xz")
    return DemoFiles(*(folder / name for name in names))


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
        for path in (demo.ligands, demo.receptor, demo.complexes, demo.structures):
            if hashlib.sha256(path.read_bytes()).hexdigest() != expected.get(path.name):
                raise LibraryError(f"{path} is not the file that was shipped; {mend}")
    except OSError as error:
        raise LibraryError(f"{error.filename} cannot be read: {error.strerror}; {mend}") from None


def copy_demo(name: str, folder: str | Path) -> list[Path]:
    """Copy a demo set to a folder of the user's, made if need be.

    Parameters
    ----------
    name : {"cdk2", "mpro", "structures"}
        Which.
    folder : str or Path
        Where to.

    Returns
    -------
    list of Path
        What was made at the top of the folder: files, and folders of complexes.

    Raises
    ------
    InputError
        When there is no such set, or one of the files is there already; nothing is copied then.
    StorageError
        When the disk refuses.
    """
    if name not in DEMO_SETS:
        raise InputError(f"'{name}' is no demo set; expected {' or '.join(DEMO_SETS)}")
    folder, contents = Path(folder), list(DEMO_SETS[name]())
    made: dict[Path, None] = {}
    for path, _ in contents:
        top = folder / Path(path).parts[0]
        if top.exists():
            raise InputError(f"{top} exists and is not overwritten; name another folder or remove it")
        made[top] = None
    for path, data in contents:
        make_folder((folder / path).parent)
        with replacing(folder / path) as output:
            output.write(data)
    return list(made)


def _mpro() -> Iterator[tuple[str, bytes]]:
    demo = demo_files()
    return ((path.name, path.read_bytes()) for path in (demo.ligands, demo.receptor))


def _unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    archive = io.BytesIO(lzma.decompress(path.read_bytes()))
    with tarfile.open(fileobj=archive) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None:
                yield entry.name, content.read()


DEMO_SETS: Final[dict[str, Callable[[], Iterator[tuple[str, bytes]]]]] = {
    "cdk2": lambda: _unpacked(demo_files().complexes),
    "mpro": _mpro,
    "structures": lambda: _unpacked(demo_files().structures),
}
"""Names and contents of the files of each set."""


def _data_folder() -> Path:
    return Path(str(files("templ") / "data"))
