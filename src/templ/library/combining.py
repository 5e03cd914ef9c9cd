"""What libraries must have in common before their rows are put one after the other, no molecule read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from templ.errors import LibraryError
from templ.library.format import FileRecord, receptor_for
from templ.library.store import Library

_KINDS = {True: "a receptor for each ligand", False: "ligands that share a frame"}


def check_same_kind(libraries: Sequence[Library]) -> None:
    """Refuse libraries whose rows cannot be in one.

    Raises
    ------
    LibraryError
        When only some have a receptor for each ligand, or embeddings of the same length; when two have
        different receptors for one group; or when an id is in two of them. It names both.
    """
    first = libraries[0]
    for other in libraries[1:]:
        kinds = [_KINDS[library.has_receptors] for library in (first, other)]
        if kinds[0] != kinds[1]:
            raise LibraryError(
                f"{first.path} has {kinds[0]} and {other.path} has {kinds[1]}: libraries of two kinds cannot "
                "be in one; build both with --complexes or --structures, or both with --ligands"
            )
        dimensions = [0 if not each.has_embeddings else each.embeddings.dimensions for each in (first, other)]
        if dimensions[0] != dimensions[1]:
            raise LibraryError(
                f"{first.path} has embeddings of {dimensions[0]} dimensions and {other.path} of "
                f"{dimensions[1]} (0: none); build both with --embeddings of one model, or both without"
            )
    _check_receptors(libraries)
    _check_ids(libraries)


def check_added(library: Library, *, complexes: bool, embeddings: bool) -> None:
    """Refuse entries that cannot be in a library: with or without a receptor each, and embeddings of these.

    Raises
    ------
    LibraryError
        When they are not as the library's own.
    """
    if library.has_receptors != complexes:
        raise LibraryError(
            f"{library.path} has {_KINDS[library.has_receptors]} and what is added has {_KINDS[complexes]}: "
            "add --complexes or --structures to the first kind, --ligands to the second"
        )
    if library.has_embeddings != embeddings:
        raise LibraryError(
            f"{library.path} has {'' if library.has_embeddings else 'no '}embeddings of its receptors and "
            f"what is added has {'some' if embeddings else 'none'}: --embeddings for both, or neither"
        )


def check_groups(library: Library, names: Iterable[str]) -> None:
    """Refuse files of receptors that give a group of a library another receptor than it has.

    Raises
    ------
    LibraryError
        When they do: the ligands of a group lie in the frame of its receptor.
    """
    names = list(names)
    for group in library.manifest.groups:
        own, other = receptor_for(group, library.stored_receptors), receptor_for(group, names)
        if own != other:
            raise LibraryError(
                f"{library.path} has {own or 'no receptor'} for the group '{group}' and would get "
                f"{other or 'none'}: give its ligands a group of their own with `templ library build --group`"
            )


def _check_receptors(libraries: Sequence[Library]) -> None:
    known: dict[str, tuple[Library, FileRecord]] = {}
    for library in libraries:
        for name in library.stored_receptors:
            record = library.manifest.files[name]
            other, its = known.setdefault(name, (library, record))
            if its != record:
                raise LibraryError(
                    f"{other.path} and {library.path} have different files {name}: their ligands may lie in "
                    "different frames; build them with the same --receptor, or with a --group each"
                )


def _check_ids(libraries: Sequence[Library]) -> None:
    """Look for an id in two libraries: first for equal hashes, then for the ids that have them."""
    seen = np.empty(0, np.uint64)
    for number, library in enumerate(libraries):
        hashes, rows = library.id_index
        shared = np.isin(hashes, seen)
        for row in rows[shared].tolist():
            id = library.entry(row).id
            earlier = next((other for other in libraries[:number] if id in other), None)
            if earlier is not None:
                more = int(shared.sum()) - 1
                raise LibraryError(
                    f"{earlier.path} and {library.path} both have '{id}'"
                    f"{f' (and {more} more ids are there twice)' if more else ''}: an id has to be unique; "
                    "leave one library out, or build one again without these"
                )
        seen = np.concatenate([seen, hashes])
