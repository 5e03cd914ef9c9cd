"""The benchmarks that have a name: their libraries are built inside the run folder from the source files."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from templ.benchmark.definition import SPLITS, Benchmark, read_benchmark
from templ.disk import make_folder, replacing
from templ.errors import InputError, RunError
from templ.library.build import build_library
from templ.library.store import open_library
from templ.selection.splits import write_splits
from templ.sources.demo import DEMO_DATE_PROPERTY, DEMO_FIRST_TARGET_DATE, demo_files, verify_demo_data
from templ.sources.ledger import Ledger
from templ.sources.polaris import (
    TEMPLATE_GROUPS,
    FrameCheck,
    find_polaris,
    read_targets,
    read_templates,
)
from templ.sources.sdf import read_sdf
from templ.sources.splits import SPLIT_NAMES, SPLIT_TEMPLATES, TemplateRule, read_split_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from templ.records import Entry

LIBRARY, TARGETS = "library.templ", "targets.templ"
RECIPE = "inputs.json"
"""Written last into the inputs: checksums of the files they were made from, and notes for the user."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user may choose of a benchmark that has a name; each is for some benchmarks only.

    Attributes
    ----------
    data : Path or None
        Folder with the files of ``polaris``.
    library : Path or None
        Library of complexes of ``loo`` and ``timesplit``.
    splits : Path or None
        Folder with the id lists of ``timesplit``.
    split : str
        Which of them are the targets: ``train``, ``val``, ``test``, or ``all`` three.
    rule : {"split", "date", "both"}
        Whether templates of ``timesplit`` are told by the lists, by their date, or must pass both.
    exclude_same_ligand : bool
        No template with the target's own ligand.
    max_identity : float
        No template whose receptor shares more of its sequence with the target's, 0 to 1.
    """

    data: Path | None = None
    library: Path | None = None
    splits: Path | None = None
    split: str = "test"
    rule: str = "split"
    exclude_same_ligand: bool = False
    max_identity: float = 1.0


NEEDS = {"demo": (), "polaris": ("data",), "loo": ("library",), "timesplit": ("library", "splits")}
"""Choices that a benchmark needs."""
TAKES = {"loo": ("max_identity",), "timesplit": ("split", "rule", "exclude_same_ligand", "max_identity")}
"""Choices that it takes besides."""
RULES = ("split", "date", "both")
ALL = "all"


def find_benchmark(name: str, choices: Choices | None = None) -> Callable[[Path], Benchmark]:
    """Return what makes a benchmark, given a folder for what it builds.

    Parameters
    ----------
    name : str
        ``demo``, ``polaris``, ``loo``, ``timesplit``, or the path of a TOML file (see `read_benchmark`).
    choices : Choices, optional
        What the benchmark needs and may be told.

    Raises
    ------
    InputError
        When the name is unknown, or a choice is missing, not wanted, or none of those there are.
    """
    choices = choices or Choices()
    custom = Path(name).suffix == ".toml"
    if name not in NEEDS and not custom:
        raise InputError(f"'{name}' is no benchmark; expected {', '.join(NEEDS)} or a TOML file")
    needs = NEEDS.get(name, ())
    for choice in fields(Choices):
        given = getattr(choices, choice.name) != choice.default
        option = "--" + choice.name.replace("_", "-")
        if given and choice.name not in (*needs, *TAKES.get(name, ())):
            raise InputError(f"the benchmark {name} takes no {option}")
        if not given and choice.name in needs:
            raise InputError(f"the benchmark {name} needs {option}")
    if choices.split not in (*SPLIT_NAMES, ALL):
        raise InputError(f"--split {choices.split}: expected {', '.join(SPLIT_NAMES)} or {ALL}")
    if choices.rule not in RULES:
        raise InputError(f"--rule {choices.rule}: expected {', '.join(RULES)}")
    if custom:
        return lambda inputs: read_benchmark(Path(name), inputs)
    if name == "polaris":
        return partial(polaris_benchmark, data=cast("Path", choices.data))
    if name == "demo":
        return demo_benchmark
    return partial(loo_benchmark if name == "loo" else timesplit_benchmark, choices=choices)


def loo_benchmark(inputs: Path, choices: Choices) -> Benchmark:
    """Every complex of a library from all the others, but those with its own ligand."""
    del inputs
    library = cast("Path", choices.library)
    return Benchmark(
        name="loo",
        library=library,
        targets=library,
        rule=TemplateRule(exclude_same_ligand=True, max_identity=choices.max_identity),
    )


def timesplit_benchmark(inputs: Path, choices: Choices) -> Benchmark:
    """Targets of one list of a split, templates of the lists that it may see, or of earlier dates, or both.

    Raises
    ------
    InputError
        When the lists cannot be read, or the library has none of the targets.
    LeakageError
        When an id is in two lists.
    """
    library, folder = cast("Path", choices.library), cast("Path", choices.splits)
    lists = read_split_lists(folder)
    make_folder(inputs)
    with open_library(library) as opened:
        write_splits(inputs / SPLITS, opened, lists)
    return Benchmark(
        name=f"timesplit-{choices.split}",
        library=library,
        targets=library,
        rule=TemplateRule(
            before_date=choices.rule != "split",
            exclude_same_ligand=choices.exclude_same_ligand,
            splits=SPLIT_TEMPLATES if choices.rule != "date" else {},
            max_identity=choices.max_identity,
        ),
        listed=tuple(chain(*lists.values()) if choices.split == ALL else lists[choices.split]),
        splits=inputs / SPLITS,
    )


def demo_benchmark(inputs: Path) -> Benchmark:
    """Rolling time split over the shipped Mpro ligands: a target of a day sees what was known before it.

    Ligands without a date are never used, nor is the target's own ligand under another name.
    """
    demo = demo_files()

    def make() -> list[str]:
        verify_demo_data()
        with Ledger(inputs / "ledger.csv") as ledger:
            entries = read_sdf(demo.ligands, ledger, date_property=DEMO_DATE_PROPERTY)
            sources = [demo.ligands.name]
            receptors = {"": demo.receptor}
            build_library(inputs / LIBRARY, entries, ledger=ledger, sources=sources, receptors=receptors)
        return _left_out(ledger)

    notes = _made_once(inputs, [demo.ligands, demo.receptor], make)
    return Benchmark(
        name="demo",
        library=inputs / LIBRARY,
        targets=inputs / LIBRARY,
        rule=TemplateRule(before_date=True, exclude_same_ligand=True),
        first_date=DEMO_FIRST_TARGET_DATE,
        notes=notes,
    )


def polaris_benchmark(inputs: Path, data: Path) -> Benchmark:
    """ASAP antiviral pose challenge: SARS targets see SARS templates, MERS ones MERS and moved SARS.

    Raises
    ------
    InputError
        When `data` lacks files of the challenge.
    """
    files = find_polaris(data)
    receptors = {"sars": files.receptor_sars, "mers": files.receptor_mers}

    def make() -> list[str]:
        frames = FrameCheck()
        with Ledger(inputs / "ledger.csv") as ledger:
            build_library(
                inputs / LIBRARY,
                _seen(read_templates(files, ledger), frames.add_template),
                ledger=ledger,
                sources=[p.name for p in (files.train_sars, files.train_mers, files.train_sars_on_mers)],
                receptors={group: path for group, path in receptors.items() if path is not None},
            )
            build_library(
                inputs / TARGETS,
                _seen(read_targets(files, ledger), frames.add_target),
                ledger=ledger,
                sources=[files.test.name],
            )
        return [*str(frames.summary()).splitlines(), *_left_out(ledger)]

    used = [files.train_sars, files.train_mers, files.train_sars_on_mers, files.test]
    notes = _made_once(inputs, [*used, *filter(None, receptors.values())], make)
    return Benchmark(
        name="polaris",
        library=inputs / LIBRARY,
        targets=inputs / TARGETS,
        rule=TemplateRule(groups=TEMPLATE_GROUPS),
        notes=notes,
    )


def _made_once(inputs: Path, files: Sequence[Path], make: Callable[[], list[str]]) -> tuple[str, ...]:
    """Make the inputs of a run, unless they are there; return the notes about them.

    Raises
    ------
    RunError
        When those that are there were made from other files.
    """
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    recipe = inputs / RECIPE
    if recipe.exists():
        stored = json.loads(recipe.read_bytes())
        changed = [name for name in digests if stored["files"].get(name) != digests[name]]
        if changed:
            raise RunError(
                f"{inputs.parent} was started with another {changed[0]}; choose another folder for a new run"
            )
        return tuple(stored["notes"])
    _clear(inputs)
    make_folder(inputs)
    notes = make()
    with replacing(recipe) as file:
        file.write(json.dumps({"files": digests, "notes": notes}, indent=1).encode())
    return tuple(notes)


def _clear(inputs: Path) -> None:
    """Remove inputs whose making was interrupted."""
    if inputs.exists():
        shutil.rmtree(inputs)


def _seen(entries: Iterable[Entry], look: Callable[[Entry], None]) -> Iterator[Entry]:
    for entry in entries:
        look(entry)
        yield entry


def _left_out(ledger: Ledger) -> list[str]:
    return [f"{count} records left out: {reason}" for reason, count in sorted(ledger.counts.items())]
