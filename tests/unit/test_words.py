"""One word for one thing, the literature's where there is one: private words that went do not come back."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from templ.cli import app
from templ.evaluation.run_table import SCHEMA
from templ.poses.pose_file import MOLECULE_PROPERTIES, POSE_PROPERTIES
from templ.records import Outcome, Pose, Target
from templ.runs.record import Cost, PoseRecord, Record

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "templ"
TEXTS = {".py", ".j2", ".js", ".css", ".toml"}

PRIVATE = {
    r"answers?": "selected pose",
    r"voters?|votes?|voting": "atom-environment density",
    r"precedents?": "atom-environment density",
    r"firmness": "receptor atom reliability",
    r"walls|wall that gives? way": "excluded volume, flexible residues",
    r"shak(e|es|en|ing)": "Monte Carlo move",
    r"settl(e|es|ed|ing)": "clash removal",
    r"shortest way out": "clash removal",
    r"likeness(es)?": "weight",
    r"strains?": "intramolecular clash",
    r"bump(s|ed|ing)?": "intramolecular clash",
    r"prospects?": "prior confidence",
    r"(stand|stands|stood|standing) in": "representative",
    r"let_go": "release_pages",
    r"(core|query|template) covers?": "query coverage",
    r"mcs_(atoms|smarts)": "core_atoms, core_smarts",
}
"""Words of no other use here, as regular expressions, and what to write instead."""
NAMES = {
    *("agreement", "answer", "answers", "bump", "cover", "firmness", "likeness", "mass"),
    *("place", "places", "precedent", "prospect", "settle", "settled", "shake", "shaken", "strain", "vote"),
    *("voters", "votes", "walls", "way", "ways", "worth"),
}
"""Words that prose may use, but no name of anything: they stood for several things."""
FREE = ("ANSWER_S", "place_query")
"""What a process sends back; and a verb."""
ELSEWHERE = ("answers at once", "InChI has no answer", "has no answer (some")
"""Where a private word has its ordinary meaning."""


def private_words(text):
    """Each private word in a text, with its line and what to write instead."""
    for line_number, line in enumerate(text.splitlines(), 1):
        for allowed in ELSEWHERE:
            line = line.replace(allowed, "")
        for pattern, instead in PRIVATE.items():
            for found in re.finditer(rf"\b({pattern})\b", line, re.IGNORECASE):
                yield f"line {line_number}: {found[0]!r}, say {instead}: {line.strip()}"


def private_names(source):
    """Each name, or text that is a name, with a private word in it."""
    for node in ast.walk(ast.parse(source)):
        for name in ("id", "arg", "attr", "name", "value"):
            value = getattr(node, name, None)
            if isinstance(value, str) and value.isidentifier() and not is_free(value):
                yield f"line {getattr(node, 'lineno', '?')}: {value}"


def is_free(name):
    """Whether none of the words that a name is made of is private."""
    if name in FREE:
        return True
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    return not NAMES & set(parts)


def found_in(paths, look):
    return [f"{path.relative_to(ROOT)}, {said}" for path in paths for said in look(path.read_text())]


def sources():
    return sorted(path for path in SOURCE.rglob("*") if path.suffix in TEXTS)


def commands(command, words=()):
    """Words of every command there is."""
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


def test_what_is_looked_for_is_found():
    assert [
        said.partition(",")[0] for said in private_words("Shaken poses\nand strain, two\nwall seconds")
    ] == [
        "line 1: 'Shaken'",
        "line 2: 'strain'",
    ]
    assert list(private_names("def f(place, by_way): x.cover = 'mass'")) != []
    assert {said.split()[-1] for said in private_names("def f(place, byWay): x.cover = 'way'")} == {
        *("place", "byWay", "cover", "way")
    }
    assert list(private_names("replace(always, 'in its place')")) == []


def test_the_source_has_no_private_word():
    assert found_in(sources(), private_words) == []


def test_no_name_in_the_source_is_a_private_word():
    assert found_in((path for path in sources() if path.suffix == ".py"), private_names) == []


def test_no_name_in_the_scripts_of_pages_is_a_private_word():
    scripts = "\n".join(path.read_text() for path in sources() if path.suffix in (".js", ".j2"))
    names = set(
        re.findall(r"\b(?:const|let|function|for \(const)\s+(\w+)|[(,]\s*(\w+)\s*(?:,|\) =>)", scripts)
    )
    assert {("index", ""), ("", "index")} & names
    assert [name for pair in names for name in pair if name and not is_free(name)] == []


def test_no_field_of_records_tables_and_files_is_a_private_word():
    names = [*SCHEMA.names, *POSE_PROPERTIES, *MOLECULE_PROPERTIES]
    for kind in (Record, PoseRecord, Cost, Pose, Outcome, Target):
        names += [field.name for field in fields(kind)]
    assert len(names) > 80
    assert [name for name in names if not is_free(name)] == []
    assert list(private_words("\n".join(names))) == []
    assert {"placement_method", "prior_confidence", "core_atoms", "core_smarts"} <= set(names)


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_no_help_has_a_private_word(words):
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    assert list(private_words(shown.stdout)) == []


DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
HISTORY = re.compile(r"\b(was called|were called|formerly|renamed|old name)\b")
"""A decision may name the old word where it says that it was renamed."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_has_a_private_word(path):
    text = path.read_text()
    if path.parent.name == "decisions":
        text = "\n".join("" if HISTORY.search(line) else line for line in text.splitlines())
    assert list(private_words(text)) == []


def test_no_two_modules_share_a_name():
    """Packages included: what is imported is known by its last name."""
    homes = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        homes[path.parent.name if path.stem == "__init__" else path.stem].append(str(path.relative_to(ROOT)))
    assert len(homes) > 100
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_module_is_longer_than_four_hundred_lines():
    """CONTRIBUTING.md promises it: a longer one is asking to be two."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
