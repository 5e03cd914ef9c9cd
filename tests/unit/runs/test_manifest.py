"""The manifest of a run: written once, read by whoever goes on with it, and not to be edited."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from templ.benchmark.merge import merge_runs
from templ.benchmark.runner import write_summary
from templ.checksums import with_checksum
from templ.errors import RunError
from templ.evaluation.run import load_run
from templ.pipeline import METHOD_VERSION
from templ.runs.identity import Identity
from templ.runs.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Host,
    RunManifest,
    mark_finished,
    read_manifest,
    start_run,
    write_manifest,
)

SETTINGS = {"seed": 42, "top": 5, "cutoffs": {"tanimoto": 0.15}}


def manifest(changes=(), **fields):
    """Make a manifest whose identity, then whose other fields have changes."""
    identity = Identity(
        **{
            "weights": "w",
            "versions": {"templ": "0.1.0"},
            "settings": SETTINGS,
            "rule": {"before_date": True},
            "library": "aa",
            "targets": "tt",
            **dict(changes),
        }
    )
    made = {
        "name": "demo",
        "identity": identity,
        "digest": identity.digest,
        "run_settings": {"workers": 2},
        "library": "/data/mpro.templ",
        "host": Host(name="node7", cores=2, memory_bytes=8_000_000_000, system="Linux", python="3.12.1"),
        "targets": 144,
        "created": datetime(2026, 1, 2, tzinfo=UTC),
        "command": ["templ", "benchmark", "run", "demo-mpro"],
    }
    return RunManifest(**made | fields)


def edit(run, change):
    """Edit the manifest by hand."""
    path = run / MANIFEST_NAME
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_new_run_is_written(tmp_path):
    assert start_run(tmp_path, manifest()) == manifest() == read_manifest(tmp_path)


def test_the_same_identity_resumes_and_keeps_the_first_manifest(tmp_path):
    write_manifest(tmp_path, manifest())
    again = start_run(tmp_path, manifest(run_settings={"workers": 8}, command=["again"]))
    assert again == manifest() == read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": SETTINGS | {"seed": 43, "top": 6}}, "settings.seed: 42 -> 43"),
        (
            {"settings": SETTINGS | {"cutoffs": {"tanimoto": 0.2}}},
            "settings.cutoffs: {'tanimoto': 0.15} -> {'tanimoto': 0.2}",
        ),
        ({"settings": {"seed": 42, "cutoffs": SETTINGS["cutoffs"]}}, "settings.top: 5 -> 'absent'"),
        ({"rule": {"before_date": False}}, "rule.before_date: True -> False"),
        ({"library": "bb"}, "another template library"),
        ({"weights": "x"}, "other fitted weights"),
        ({"method_version": 10**6}, f"method_version: {METHOD_VERSION} -> 1000000"),
        ({"targets": "uu"}, "another list of targets or queries"),
    ],
)
def test_other_settings_are_refused_and_named(tmp_path, changes, message):
    write_manifest(tmp_path, manifest())
    with pytest.raises(RunError) as caught:
        start_run(tmp_path, manifest(changes))
    assert f"{tmp_path} holds a run with other settings ({message}); choose another folder" in str(
        caught.value
    )
    assert read_manifest(tmp_path) == manifest()


def test_another_shard_is_refused_and_named(tmp_path):
    write_manifest(tmp_path, manifest(shard=(1, 2)))
    with pytest.raises(RunError, match=r"other settings \(shard: \(1, 2\) -> \(2, 2\)\)"):
        start_run(tmp_path, manifest(shard=(2, 2)))


EDITS = {
    "a setting": lambda content: content["identity"]["settings"].update(seed=43),
    "the rule": lambda content: content["identity"]["rule"].update(before_date=False),
    "the weights": lambda content: content["identity"].update(weights="x"),
    "the method": lambda content: content["identity"].update(method_version=METHOD_VERSION + 1),
    "the library": lambda content: content["identity"].update(library="bb"),
    "the number of targets": lambda content: content.update(targets=content["targets"] + 1),
    "a version": lambda content: content["identity"]["versions"].update(templ="9"),
    "the digest": lambda content: content.update(digest="0" * 64),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_an_edited_identity_is_found_by_whoever_reads_it(tmp_path, change):
    """At resume, also by who asks for just what it says now; by merge, summary and as an object."""
    run = tmp_path / "run"
    run.mkdir()
    write_manifest(run, manifest(shard=(1, 2), finished=datetime(2026, 1, 3, tzinfo=UTC)))
    edit(run, change)
    now = Identity.model_validate(json.loads((run / MANIFEST_NAME).read_text())["identity"])
    for use in (
        lambda: start_run(run, manifest(shard=(1, 2))),
        lambda: start_run(run, manifest(shard=(1, 2), identity=now, digest=now.digest)),
        lambda: read_manifest(run),
        lambda: load_run(run),
        lambda: write_summary(run),
        lambda: merge_runs(tmp_path / "merged", [run, run]),
        lambda: mark_finished(run),
    ):
        with pytest.raises(RunError, match=r"manifest\.json was edited or .* undo the change"):
            use()
    assert not (tmp_path / "merged").exists()


def test_a_folder_without_manifest_is_no_run(tmp_path):
    with pytest.raises(RunError, match=f"{tmp_path} is not a run"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (FORMAT_VERSION + 1, rf"a newer TEMPL .format 5; this one reads {FORMAT_VERSION}.: upgrade with pip"),
        (1, r"an older TEMPL .format 1; this one reads 4.: read it with that version, or run again"),
    ],
)
def test_another_format_is_refused_before_its_fields_are_looked_at(tmp_path, version, says):
    (tmp_path / "manifest.json").write_text(json.dumps({"format_version": version, "unheard": "of"}))
    for use in (read_manifest, load_run, lambda run: start_run(run, manifest())):
        with pytest.raises(RunError, match=says):
            use(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no JSON"),
        ("[" * 10**5, "no JSON"),
        ("\xff", "no JSON"),
        (json.dumps(with_checksum({"x": 1})), "name is missing"),
    ],
)
def test_another_manifest_is_refused(tmp_path, text, reason):
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunError, match=f"is not the manifest of a run .*{reason}"):
        read_manifest(tmp_path)


def test_every_flipped_bit_is_found(tmp_path):
    write_manifest(tmp_path, manifest())
    path = tmp_path / "manifest.json"
    sound = path.read_bytes()
    for bit in range(0, 8 * len(sound), 13):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            assert read_manifest(tmp_path) == manifest(), "white space"
        except RunError as error:
            assert str(tmp_path) in str(error)


def test_the_finished_mark_is_set_once(tmp_path):
    write_manifest(tmp_path, manifest())
    assert read_manifest(tmp_path).finished is None
    first = mark_finished(tmp_path)
    assert first.finished is not None
    assert mark_finished(tmp_path) == first == read_manifest(tmp_path)
    assert first.model_copy(update={"finished": None}) == manifest()


def test_a_manifest_is_json_for_people(tmp_path):
    write_manifest(tmp_path, manifest())
    text = (tmp_path / "manifest.json").read_text()
    assert json.loads(text)["host"]["name"] == "node7"
    assert len(text.splitlines()) > 20


def test_the_order_of_a_run_is_that_of_its_shard():
    assert list(manifest(targets=4).order) == [0, 1, 2, 3]
    assert list(manifest(targets=3, shard=(2, 3)).order) == [1, 4, 7]
    assert len(manifest(targets=0).order) == 0


def test_the_host_is_this_machine():
    host = Host()
    assert host.cores >= 1
    assert host.memory_bytes > 2**20
    assert host.name
    assert host.python.startswith("3.")
