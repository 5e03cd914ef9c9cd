"""The ASAP antiviral pose challenge (Polaris): SARS and MERS Mpro templates and targets, in two frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.molecules import positions
from templ.errors import InputError
from templ.records import Entry
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_records, read_sdf

TEMPLATE_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {"sars": ("sars",), "mers": ("mers", "sars-on-mers")}
"""Which template groups a target of each label may use; they are also the groups in that label's frame."""

OFF_SITE: Final = 15.0
"""Angstrom between a template's centroid and the site beyond which it sits somewhere else."""

NAMES: Final = {
    "train_sars": ("train_sarsmols.sdf", "train_sars.sdf"),
    "train_mers": ("train_mersmols.sdf", "train_mers.sdf"),
    "train_sars_on_mers": ("train_sarsmols_aligned_to_mers.sdf", "train_sars_aligned_to_mers.sdf"),
    "test": ("test_poses_with_properties.sdf", "test_dev.sdf"),
    "receptor_sars": ("sarsA_apo.pdb",),
    "receptor_mers": ("mersA_apo.pdb",),
}
"""Names under which each file is looked for, each also with ``.gz``; the first one found is taken."""

Point = NDArray[np.float64]
Centroids = defaultdict[str, list[Point]]
OPTIONAL: Final = ("receptor_sars", "receptor_mers")


@dataclass(frozen=True, slots=True)
class PolarisFiles:
    """The files of the challenge as they were found in one folder."""

    train_sars: Path
    train_mers: Path
    train_sars_on_mers: Path
    test: Path
    receptor_sars: Path | None
    receptor_mers: Path | None


def find_polaris(folder: str | Path) -> PolarisFiles:
    """Find the files by the names of the challenge or by the short ones, compressed or not.

    Raises
    ------
    InputError
        When the folder is absent or lacks files; the message names all of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected one with the Polaris files")
    found = {what: _first(folder, names) for what, names in NAMES.items()}
    missing = [
        " or ".join(NAMES[what]) for what, path in found.items() if path is None and what not in OPTIONAL
    ]
    if missing:
        raise InputError(f"{folder} lacks {'; '.join(missing)} (each may end in .gz)")
    return PolarisFiles(**found)  # type: ignore[arg-type]  # only the optional ones can be None here


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    candidates = (folder / (name + suffix) for name in names for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def read_templates(files: PolarisFiles, ledger: Ledger) -> Iterator[Entry]:
    """Stream the templates of all three groups; ids are ``<group>-<record>``, for the records have no names.

    Raises
    ------
    InputError
        When one of the files as a whole cannot be read.
    """
    for group, path in (
        ("sars", files.train_sars),
        ("mers", files.train_mers),
        ("sars-on-mers", files.train_sars_on_mers),
    ):
        for entry in read_sdf(path, ledger, group=group):
            yield replace(entry, id=f"{group}-{entry.source.rpartition('#')[2]}")


def read_targets(files: PolarisFiles, ledger: Ledger) -> Iterator[Entry]:
    """Stream the test poses; the group is the label of the protein, ``sars`` or ``mers``.

    The id is the title without ``.pdb``, or ``test-<record>``. A record whose ``Protein_Label`` names
    neither protein goes to the ledger.

    Raises
    ------
    InputError
        When the file as a whole cannot be read.
    """
    path = files.test
    for record in read_records(path, ledger):
        id = record.title.removesuffix(".pdb") or f"test-{record.number}"
        label = record.properties.get("Protein_Label", "")
        group = next((name for name in TEMPLATE_GROUPS if name in label.lower()), None)
        if group is None:
            reason = f"unknown Protein_Label: '{label}', expected SARS or MERS in it"
            ledger.add(str(path), record.number, record.line, reason, id)
        else:
            yield Entry(id, record.mol, f"{path.name}#{record.number}", record.title, group=group)


def noting(entries: Iterable[Entry], centroids: Centroids) -> Iterator[Entry]:
    """Pass entries on, and note the centroid of each, Angstrom, by its group."""
    for entry in entries:
        centroids[entry.group].append(positions(entry.mol).mean(axis=0))
        yield entry


def frame_notes(templates: Mapping[str, list[Point]], targets: Mapping[str, list[Point]]) -> list[str]:
    """Count by group what does not lie where its label says: off the site, or nearer the other frame's.

    The site of a frame is the componentwise median of the centroids of all templates in it, so that the few
    that are off do not move it. A label without templates has no site and is not compared.

    Parameters
    ----------
    templates, targets : Mapping of str to list of array, shape (3,)
        Centroids by group, Angstrom.
    """
    sites: dict[str, Point] = {}
    notes = []
    for label, groups in TEMPLATE_GROUPS.items():
        present = {group: templates[group] for group in groups if group in templates}
        if not present:
            continue
        sites[label] = np.median(np.concatenate(list(present.values())), axis=0)
        for group, centroids in present.items():
            off = int((_distances(centroids, sites[label]) > OFF_SITE).sum())
            notes.append(
                f"templates {group}: {off} of {len(centroids)} more than {OFF_SITE:g} A off the site"
            )
    for label, centroids in targets.items():
        elsewhere = 0
        if label in sites:
            nearest = np.argmin([_distances(centroids, site) for site in sites.values()], axis=0)
            elsewhere = int((nearest != list(sites).index(label)).sum())
        notes.append(f"targets {label}: {elsewhere} of {len(centroids)} nearer the other frame's site")
    return notes


def _distances(centroids: list[Point], site: Point) -> NDArray[np.float64]:
    """Angstrom from each centroid to the site, shape (centroids,)."""
    distances: NDArray[np.float64] = np.linalg.norm(np.array(centroids) - site, axis=1)
    return distances
