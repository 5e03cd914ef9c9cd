"""The receptors that all ligands of a group share, kept in a library as PDB files."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from templ.disk import storage_errors, sync_file
from templ.errors import InputError
from templ.library.format import RECEPTORS, receptor_file, verify_file
from templ.library.store import Library
from templ.sources.files import DAMAGED, open_input


def copy_receptors(folder: Path, libraries: Sequence[Library]) -> list[str]:
    """Copy the files of receptors that groups of these libraries have; return their names."""
    names = []
    for library in libraries:
        for name in library.stored_receptors:
            source = verify_file(library.path, name, library.manifest)
            with storage_errors(folder / name):
                (folder / RECEPTORS).mkdir(exist_ok=True)
                shutil.copyfile(source, folder / name)
            names.append(name)
    return names


def write_receptors(folder: Path, receptors: Mapping[str, str | Path]) -> list[str]:
    """Store the receptors gzipped, the same bytes whenever it is done; return their names in the library."""
    names = []
    for group, given in receptors.items():
        path, name = Path(given), receptor_file(group)
        if name in names:
            raise InputError(f"{path}: the group 'receptor' and the default receptor cannot both be given")
        if path.name.removesuffix(".gz").rpartition(".")[2].lower() not in {"pdb", "ent"}:
            raise InputError(f"{path} is not a PDB file by its name; expected .pdb, .ent, .pdb.gz or .ent.gz")
        with open_input(path) as source:
            try:
                content = source.read()
            except DAMAGED as error:
                raise InputError(f"{path} is a damaged gzip file ({error}); fetch it again") from None
        stored = gzip.compress(content, mtime=0)
        if (folder / name).exists() and (folder / name).read_bytes() != stored:
            raise InputError(
                f"{path} is not the receptor that the library has for the group '{group}': give that one, or "
                "another --group"
            )
        with storage_errors(folder / name):
            (folder / RECEPTORS).mkdir(exist_ok=True)
            with (folder / name).open("wb") as file:
                file.write(stored)
                sync_file(file)
        names.append(name)
    return names
