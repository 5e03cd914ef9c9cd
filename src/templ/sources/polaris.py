"""The ASAP antiviral pose challenge (Polaris): SARS and MERS Mpro templates and targets, in two frames."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from templ.errors import InputError
from templ.molecules import positions
from templ.records import Entry
from templ.sources.sdf import read_records, read_sdf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from templ.sources.ledger import Ledger

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


def find_polaris(folder: Path) -> PolarisFiles:
    """Find the files by the names of the challenge or by the short ones, compressed or not.

    Raises
    ------
    InputError
        When the folder is absent or lacks files; the message names all of them.
    """
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


@dataclass(frozen=True, slots=True)
class FrameReport:
    """What does not sit where its label says, by count.

    Attributes
    ----------
    templates, off_site : Mapping[str, int]
        By template group: all, and those whose centroid lies more than 15 Angstrom off the site.
    targets, in_other_frame : Mapping[str, int]
        By label: all, and those whose centroid is nearer the other frame's site.
    """

    templates: Mapping[str, int]
    off_site: Mapping[str, int]
    targets: Mapping[str, int]
    in_other_frame: Mapping[str, int]

    def __str__(self) -> str:
        lines = [
            f"templates {group}: {self.off_site[group]} of {count} more than {OFF_SITE:g} A off the site"
            for group, count in self.templates.items()
        ]
        lines += [
            f"targets {label}: {self.in_other_frame[label]} of {count} nearer the other frame's site"
            for label, count in self.targets.items()
        ]
        return "\n".join(lines)


class FrameCheck:
    """Compares, while entries stream by, where molecules lie with where their group should lie.

    Only centroids are kept. The site of a frame is the componentwise median of the centroids of all
    templates in that frame, so that the few off it do not move it.
    """

    def __init__(self) -> None:
        self._templates: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self._targets: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)

    def add_template(self, entry: Entry) -> None:
        """Note where a template lies."""
        self._templates[entry.group].append(positions(entry.mol).mean(axis=0))

    def add_target(self, entry: Entry) -> None:
        """Note where a target's crystal pose lies."""
        self._targets[entry.group].append(positions(entry.mol).mean(axis=0))

    def summary(self) -> FrameReport:
        """Count what lies elsewhere; a label without templates has no site and is not compared."""
        sites = {
            label: np.median(np.concatenate([self._templates[group] for group in present]), axis=0)
            for label, groups in TEMPLATE_GROUPS.items()
            if (present := [group for group in groups if group in self._templates])
        }
        off_site = {
            group: int((_distances(self._templates[group], sites[label]) > OFF_SITE).sum())
            for label, groups in TEMPLATE_GROUPS.items()
            for group in groups
            if group in self._templates
        }
        return FrameReport(
            templates={group: len(self._templates[group]) for group in off_site},
            off_site=off_site,
            targets={label: len(centroids) for label, centroids in self._targets.items()},
            in_other_frame={
                label: sum(name != label for name in _nearest(centroids, sites)) if label in sites else 0
                for label, centroids in self._targets.items()
            },
        )


def _distances(centroids: list[NDArray[np.float64]], site: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angstrom from each centroid to the site, shape (centroids,)."""
    distances: NDArray[np.float64] = np.linalg.norm(np.array(centroids) - site, axis=1)
    return distances


def _nearest(centroids: list[NDArray[np.float64]], sites: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Label of the site nearest to each centroid."""
    distances = [_distances(centroids, site) for site in sites.values()]
    labels = list(sites)
    return [labels[i] for i in np.argmin(distances, axis=0)]
