"""The benchmarks that have a name: a class each, whose fields are the options that it takes.

To add one, write its class and name it in `BUILT_IN`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from templ.benchmark.custom import TomlBenchmark
from templ.benchmark.definition import Benchmark, BenchmarkSource, label_splits
from templ.checksums import checksum_agrees, with_checksum
from templ.disk import make_folder, replacing
from templ.errors import InputError, RunError
from templ.library.build import build_library
from templ.library.store import is_sound
from templ.records import Entry
from templ.sources.annotations import read_annotations
from templ.sources.complexes import read_complexes
from templ.sources.demo import (
    CDK2_FIRST_TARGET_DATE,
    DEMO_DATE_PROPERTY,
    DEMO_FIRST_TARGET_DATE,
    copy_demo,
    demo_files,
    verify_demo_data,
)
from templ.sources.ledger import Ledger
from templ.sources.polaris import (
    TEMPLATE_GROUPS,
    Centroids,
    find_polaris,
    frame_notes,
    noting,
    read_targets,
    read_templates,
)
from templ.sources.sdf import read_sdf
from templ.sources.split_lists import SPLIT_NAMES, SPLIT_TEMPLATES, read_split_lists
from templ.templates.rule import TemplateRule
from templ.templates.target_receptor import NEAREST, OWN

LIBRARY, TARGETS = "library.templ", "targets.templ"
RECIPE = "inputs.json"
"""Written last into the inputs: checksums of the files they were made from, and notes for the user."""
RULES = ("split", "date", "both")
ALL = "all"


@dataclass(frozen=True, slots=True)
class DemoBenchmark:
    """Rolling time split over the shipped CDK2 complexes: each from those deposited before it.

    Each target in its own receptor and frame, or in what `receptor` says (see `Benchmark`); its own ligand in
    another crystal is never a template.
    """

    name: ClassVar[str] = "demo"
    receptor: str | Path = OWN

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark, given a folder for its library."""
        demo, library = demo_files(), inputs / LIBRARY

        def build(ledger: Ledger) -> list[str]:
            verify_demo_data()
            complexes = inputs / "complexes"
            index, *_ = copy_demo("cdk2", complexes)
            entries = read_complexes(complexes, ledger, read_annotations(index))
            names = [demo.complexes.name]
            build_library(library, entries, ledger=ledger, sources=names, complexes=True)
            shutil.rmtree(complexes)
            return []

        return Benchmark(
            name=self.name,
            library=library,
            targets=library,
            rule=TemplateRule(before_date=True, exclude_same_ligand=True),
            first_date=CDK2_FIRST_TARGET_DATE,
            receptor=self.receptor,
            notes=_made_once(inputs, [demo.complexes], build),
        )


@dataclass(frozen=True, slots=True)
class MproBenchmark:
    """Rolling time split over the shipped Mpro ligands: a target of a day sees what was known before it.

    Ligands without a date are never used, nor is the target's own ligand under another name.
    """

    name: ClassVar[str] = "demo-mpro"

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark, given a folder for its library."""
        demo = demo_files()

        def build(ledger: Ledger) -> list[str]:
            verify_demo_data()
            entries = read_sdf(demo.ligands, ledger, date_property=DEMO_DATE_PROPERTY)
            _build(inputs / LIBRARY, entries, ledger, [demo.ligands], {"": demo.receptor})
            return []

        return Benchmark(
            name=self.name,
            library=inputs / LIBRARY,
            targets=inputs / LIBRARY,
            rule=TemplateRule(before_date=True, exclude_same_ligand=True),
            first_date=DEMO_FIRST_TARGET_DATE,
            notes=_made_once(inputs, [demo.ligands, demo.receptor], build),
        )


@dataclass(frozen=True, slots=True)
class PolarisBenchmark:
    """ASAP antiviral pose challenge: SARS targets see SARS templates, MERS ones MERS and moved SARS.

    Its files are in the folder `data`.
    """

    name: ClassVar[str] = "polaris"
    data: str | Path

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark, given a folder for its libraries; `InputError` when `data` lacks files."""
        files = find_polaris(Path(self.data))
        named = {"sars": files.receptor_sars, "mers": files.receptor_mers}
        receptors = {group: path for group, path in named.items() if path is not None}
        used = [files.train_sars, files.train_mers, files.train_sars_on_mers]

        def build(ledger: Ledger) -> list[str]:
            templates: Centroids = defaultdict(list)
            targets: Centroids = defaultdict(list)
            _build(
                inputs / LIBRARY, noting(read_templates(files, ledger), templates), ledger, used, receptors
            )
            _build(inputs / TARGETS, noting(read_targets(files, ledger), targets), ledger, [files.test], {})
            return frame_notes(templates, targets)

        return Benchmark(
            name=self.name,
            library=inputs / LIBRARY,
            targets=inputs / TARGETS,
            rule=TemplateRule(groups=TEMPLATE_GROUPS),
            notes=_made_once(inputs, [*used, files.test, *receptors.values()], build),
        )


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Every complex of `library` from all the others, but those with its own ligand.

    No template's receptor shares more of its sequence with the target's than `max_identity`, 0 to 1;
    `receptor` is what each is posed in (see `Benchmark`).
    """

    name: ClassVar[str] = "loo"
    library: str | Path
    max_identity: float = 1.0
    receptor: str | Path = OWN

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark; nothing is built."""
        del inputs
        library = Path(self.library)
        rule = TemplateRule(exclude_same_ligand=True, max_identity=self.max_identity)
        return Benchmark(name=self.name, library=library, targets=library, rule=rule, receptor=self.receptor)


@dataclass(frozen=True, slots=True)
class CrossReceptor:
    """Leave one out, each target in the receptor of another crystal: what a query without a crystal meets.

    The options are those of `LeaveOneOut`.
    """

    name: ClassVar[str] = "cross"
    library: str | Path
    max_identity: float = 1.0

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark; nothing is built."""
        made = LeaveOneOut(self.library, self.max_identity, NEAREST).make(inputs)
        return replace(made, name=self.name)


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Targets of one list of a split, templates of the lists that it may see, or of earlier dates, or both.

    Attributes
    ----------
    library : str or Path
        Library of complexes.
    splits : str or Path
        Folder with the id lists.
    split : {"test", "train", "val", "all"}
        Which of them are the targets; ``all`` three.
    rule : {"split", "date", "both"}
        Whether templates are told by the lists, by their date, or must pass both.
    exclude_same_ligand : bool
        No template with the target's own ligand.
    max_identity : float
        No template whose receptor shares more of its sequence with the target's, 0 to 1.
    receptor : str or Path
        What each target is posed in (see `Benchmark`).

    Raises
    ------
    InputError
        When there is no such split or rule.
    """

    name: ClassVar[str] = "timesplit"
    library: str | Path
    splits: str | Path
    split: str = "test"
    rule: str = "split"
    exclude_same_ligand: bool = False
    max_identity: float = 1.0
    receptor: str | Path = OWN

    def __post_init__(self) -> None:
        if self.split not in (*SPLIT_NAMES, ALL):
            raise InputError(f"--split {self.split}: expected {', '.join(SPLIT_NAMES)} or {ALL}")
        if self.rule not in RULES:
            raise InputError(f"--rule {self.rule}: expected {', '.join(RULES)}")

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark, given a folder for the labels; `LeakageError` when an id is in two lists."""
        library = Path(self.library)
        lists = read_split_lists(Path(self.splits))
        return Benchmark(
            name=f"{self.name}-{self.split}",
            library=library,
            targets=library,
            rule=TemplateRule(
                before_date=self.rule != "split",
                exclude_same_ligand=self.exclude_same_ligand,
                splits=SPLIT_TEMPLATES if self.rule != "date" else {},
                max_identity=self.max_identity,
            ),
            listed=tuple(chain(*lists.values()) if self.split == ALL else lists[self.split]),
            splits=label_splits(inputs, library, lists),
            receptor=self.receptor,
        )


BUILT_IN: tuple[
    type[DemoBenchmark | MproBenchmark | PolarisBenchmark | LeaveOneOut | CrossReceptor | TimeSplit], ...
]
BUILT_IN = (DemoBenchmark, MproBenchmark, PolarisBenchmark, LeaveOneOut, CrossReceptor, TimeSplit)


def find_benchmark(name: str | Path, **options: Any) -> BenchmarkSource:  # noqa: ANN401  as the fields say
    """Choose a benchmark.

    Parameters
    ----------
    name : str or Path
        ``demo``, ``demo-mpro``, ``polaris``, ``loo``, ``cross``, ``timesplit``, or the path of a TOML file
        (see `TomlBenchmark`).
    **options
        What it needs and may be told: the fields of its class, such as ``data`` of `PolarisBenchmark`. Those
        that are None count as not given.

    Returns
    -------
    BenchmarkSource
        What `templ.run_benchmark` takes; its ``make`` makes the benchmark in a folder.

    Raises
    ------
    InputError
        When the name is unknown, or an option is missing, not wanted, or none of those there are.

    Examples
    --------
    >>> find_benchmark("loo", library="crystals.templ").library
    'crystals.templ'
    """
    kind = next((kind for kind in BUILT_IN if kind.name == str(name)), None)
    if kind is None and Path(name).suffix != ".toml":
        known = ", ".join(kind.name for kind in BUILT_IN)
        raise InputError(f"'{name}' is no benchmark; expected {known} or a TOML file")
    takes = {} if kind is None else {field.name: field.default is MISSING for field in fields(kind)}
    given = {option: value for option, value in options.items() if value is not None}
    wrong = [("takes no", option) for option in given if option not in takes]
    wrong += [("needs", option) for option, needed in takes.items() if needed and option not in given]
    for what, option in wrong:
        raise InputError(f"the benchmark {name} {what} --{option.replace('_', '-')}")
    return TomlBenchmark(name) if kind is None else kind(**given)


def _made_once(inputs: Path, files: Sequence[Path], build: Callable[[Ledger], list[str]]) -> tuple[str, ...]:
    """Build the inputs of a run, unless they are there; return the notes about them.

    Raises
    ------
    RunError
        When those that are there were made from other files.
    """
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    recipe = inputs / RECIPE
    if (made := _read_recipe(recipe)) is not None:
        changed = [name for name in digests if made["files"].get(name) != digests[name]]
        if changed:
            raise RunError(
                f"{inputs.parent} was started with another {changed[0]}; choose another folder for a new run"
            )
        if all(is_sound(inputs / name) for name in made["libraries"]):
            return tuple(made["notes"])
    if inputs.exists():  # their making was interrupted, or they are damaged: what is made is the same again
        shutil.rmtree(inputs)
    make_folder(inputs)
    with Ledger(inputs / "ledger.csv") as ledger:
        notes = build(ledger)
    notes += [f"{count} records left out: {reason}" for reason, count in sorted(ledger.counts.items())]
    libraries = sorted(path.name for path in inputs.glob("*.templ"))
    with replacing(recipe) as file:
        content = with_checksum({"files": digests, "libraries": libraries, "notes": notes})
        file.write(json.dumps(content, indent=1).encode())
    return tuple(notes)


def _read_recipe(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and checksum_agrees(content) else None


def _build(
    out: Path, entries: Iterable[Entry], ledger: Ledger, files: Sequence[Path], receptors: Mapping[str, Path]
) -> None:
    names = [file.name for file in files]
    build_library(out, entries, ledger=ledger, sources=names, receptors=receptors)
