"""A record comes back as it was written; what is none is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from templ.checksums import checksum
from templ.errors import RunError, TemplError
from templ.records import Outcome, Pose, Target
from templ.runs.record import RECORD_VERSION, Cost, PoseAddress, PoseRecord, Record

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.dictionaries(st.text(max_size=5), NUMBER, max_size=3)
WHOLE = st.integers(0, 2**53)
SHARDS = st.from_regex(r"poses/(part-)?[0-9]{4,9}\.sdf", fullmatch=True)
POSES = st.builds(
    PoseRecord,
    score=NUMBER,
    confidence=NUMBER,
    placement_method=st.text(max_size=5),
    template=st.text(max_size=5),
    core=st.lists(st.tuples(WHOLE, WHOLE), max_size=3).map(tuple),
    core_smarts=st.text(max_size=5),
    core_rmsd=NUMBER,
    terms=NUMBERS,
    superposition=NUMBERS,
    rmsd=st.none() | NUMBER,
)
RECORDS = st.builds(
    Record,
    index=st.integers(0, 10**6),
    id=st.text(),
    status=st.sampled_from(["posed", "refused", "failed"]),
    reason=st.text(max_size=5),
    detail=st.text(),
    stage=st.text(max_size=5),
    group=st.text(max_size=5),
    smiles=st.text(),
    poses=st.lists(POSES, max_size=3).map(tuple),
    address=st.none() | st.builds(PoseAddress, SHARDS, WHOLE, WHOLE, st.text(max_size=8)),
    failed_checks=st.none() | st.lists(st.text(max_size=5), max_size=3).map(tuple),
    prior_confidence=st.none() | NUMBER,
    tanimoto=NUMBER,
    identity=st.none() | NUMBER,
    query_atoms=WHOLE,
    rotors=WHOLE,
    templates_allowed=WHOLE,
    stereo_kept=st.none() | st.booleans(),
    notes=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    cost=st.builds(Cost, NUMBER, NUMBER, WHOLE, NUMBERS),
)
POSE = PoseRecord(0.75, 0.5, "core", "x1", ((0, 3), (2, 4)), "CC", 0.25, {"clash": 1.5}, {}, 1.25)
RECORD = Record(
    7,
    "Täst\n",
    "posed",
    poses=(POSE, replace(POSE, rmsd=0.5)),
    address=PoseAddress("poses/0000.sdf", 5, 9, "0a0b0c0d"),
)


def changed(**changes):
    """Write the record with changed fields, whatever they are, and the checksum that they need."""
    fields = json.loads(RECORD.to_line()) | changes
    del fields["checksum"]
    body = json.dumps(fields).encode()
    return body[:-1] + f',"checksum":"{checksum(body)}"}}'.encode()


@given(RECORDS)
def test_a_record_comes_back_equal(record):
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert Record.from_line(line) == record
    assert Record.from_line(line).to_line() == line


def test_a_line_is_compact_sorted_ascii_json_with_every_field_and_a_checksum():
    line = RECORD.to_line()
    plain = json.loads(line)
    sealed = plain.pop("checksum")
    body = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    assert line == body[:-1] + f',"checksum":"{sealed}"}}\n'.encode()
    assert sealed == checksum(body)
    assert set(plain) == {field.name for field in fields(Record)}
    assert b'"id":"T\\u00e4st\\n"' in line
    assert plain["version"] == RECORD_VERSION


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "change",
    [
        lambda value: {"tanimoto": value},
        lambda value: {"cost": Cost(stages={"pose": value})},
        lambda value: {"poses": (replace(POSE, rmsd=value),)},
    ],
    ids=["record", "cost", "pose"],
)
def test_a_number_that_is_not_finite_is_not_written(change, value):
    with pytest.raises(TemplError, match=r"the record of 'T.+' cannot be written as JSON"):
        replace(RECORD, **change(value)).to_line()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            changed(version=RECORD_VERSION + 1),
            f"a record of format {RECORD_VERSION + 1}, but this TEMPL reads format {RECORD_VERSION}: use the",
        ),
        (changed(version=1), "a record of format 1, but"),
        (changed(version=str(RECORD_VERSION)), f"a record of format '{RECORD_VERSION}', but"),
        (b'{"id":"a"}', "a record of format 1, but"),
        (b'{"version":2,"id":"a"}', "a record of format 2, but"),
        (b'{"version":null}', "a record of format None, but"),
    ],
)
def test_a_record_of_another_version_is_refused(line, says):
    with pytest.raises(RunError, match=says):
        Record.from_line(line)


NOT_WRITTEN = [
    *(b"", b"\n", b"[1]", b"7", b'"text"', RECORD.to_line()[:-3], b"\xff\x00", b"\0" * 40, b"[" * 10**5),
    *(b'{"version":%d,"id":"a"}' % RECORD_VERSION, b'{"a":' * 10**5, b'{"version":' + b"1" * 5000 + b"}"),
    json.dumps(json.loads(RECORD.to_line())).encode(),  # what another program makes of it
]
# With checksums that agree: nobody but a forger writes these.
FORGED = [
    {"unheard": "of"},
    {"cost": {"eur": 1}},
    {"index": -1},
    {"index": 10**15},
    {"id": 7},
    {"status": "lost"},
    {"poses": [{"score": 1}]},
    {"address": {"shard": "poses/0000.sdf", "offset": "here", "length": 1, "checksum": ""}},
    {"address": {"shard": "poses/0000.sdf", "offset": 2**70, "length": 1, "checksum": ""}},
    {"address": {"shard": "../../etc/passwd", "offset": 0, "length": 1, "checksum": ""}},
    {"address": {"shard": "poses/../0000.sdf", "offset": 0, "length": 1, "checksum": ""}},
    {"address": {"shard": "/poses/0000.sdf", "offset": 0, "length": 1, "checksum": ""}},
    {"address": {"shard": "poses/0000.sdf\n", "offset": 0, "length": 1, "checksum": ""}},
    {"tanimoto": float("nan")},
    {"cost": {"stages": {"pose": float("inf")}}},
]


@pytest.mark.parametrize("line", [*NOT_WRITTEN, *(changed(**fields) for fields in FORGED)])
def test_what_no_record_was_written_as_is_none(line):
    assert Record.from_line(line) is None
    assert Record.from_line(changed()) == RECORD


@given(st.data())
def test_a_flipped_bit_or_a_lost_end_is_seen(choose):
    line = bytearray(RECORD.to_line()[:-1])
    if choose.draw(st.booleans()):
        bit = choose.draw(st.integers(0, 8 * len(line) - 1))
        line[bit // 8] ^= 1 << bit % 8
    else:
        del line[choose.draw(st.integers(0, len(line) - 1)) :]
    assert Record.from_line(bytes(line)) is None


@given(st.binary(max_size=60), st.integers(0, 10**6))
def test_a_line_damaged_anywhere_is_a_record_none_or_a_sentence(junk, start):
    line = RECORD.to_line()
    start %= len(line)
    try:
        found = Record.from_line(line[:start] + junk + line[start + len(junk) :])
    except RunError as error:
        assert "record" in str(error)
    else:
        assert found is None or isinstance(found, Record)


def test_what_is_said_of_the_first_pose_and_of_the_best():
    assert (RECORD.first, RECORD.rmsd, RECORD.best_rmsd) == (POSE, 1.25, 0.5)
    assert replace(RECORD, query_atoms=8).query_coverage == 0.25
    without = Record(0, "a", "failed", "timeout")
    assert (without.first, without.rmsd, without.best_rmsd, without.query_coverage) == (None,) * 4
    unknown = replace(RECORD, poses=(replace(POSE, rmsd=None),))
    assert (unknown.rmsd, unknown.best_rmsd) == (None, None)
    assert (RECORD.ending, without.ending) == ("posed", "failed: timeout")


def test_poses_elsewhere_are_the_same_record():
    elsewhere = PoseAddress("poses/0001.sdf", 0, 9, "0a0b0c0d")
    assert RECORD.at(elsewhere) == replace(RECORD, address=elsewhere)


def test_an_outcome_is_described():
    pose = Pose(
        Chem.MolFromSmiles("CCO"), 1, 0.123456789, 0.98765, {"clash": 1.23456789}, "x1", "core", {0: 3}, "C",
        0.1234567, {"identity": 0.999999},
    )  # fmt: skip
    outcome = Outcome(
        "t", "posed", poses=(pose,), notes=("salt stripped",), templates_allowed=9, best_tanimoto=0.44444444,
        best_identity=0.77777777, prior_confidence=0.33333333, stereo_kept=True,
    )  # fmt: skip
    record = Record.of(outcome, Target("t", "CCCCO", "sars"), 4, [1.234567])
    assert record == Record(
        4, "t", "posed", group="sars", smiles="CCCCO", query_atoms=5, rotors=2, templates_allowed=9,
        poses=(PoseRecord(0.12346, 0.9877, "core", "x1", ((0, 3),), "C", 0.1235, {"clash": 1.2346},
                          {"identity": 1.0}, 1.2346, None, "CCO"),),
        notes=("salt stripped",), tanimoto=0.4444, identity=0.7778, prior_confidence=0.3333, stereo_kept=True,
    )  # fmt: skip
    assert Record.of(outcome, Target("t", "CCCCO")).poses[0].rmsd is None


def test_refusals_and_faults_say_why():
    target = Target("t", "CCO", "sars")
    refused = Record.of(Outcome("t", "refused", "peptide", "nine residues"), target)
    failed = Record.of(Outcome("t", "failed", "timeout", "over 180 s"), target, stage="pose")
    assert (refused.status, refused.reason, refused.detail, refused.stage) == (
        "refused", "peptide", "nine residues", "",
    )  # fmt: skip
    assert (failed.status, failed.reason, failed.stage) == ("failed", "timeout", "pose")
    for record in (refused, failed):
        assert (record.rmsd, record.poses, record.group, record.stereo_kept) == (None, (), "sars", None)


def test_a_query_that_cannot_be_read_has_no_atoms():
    record = Record.of(Outcome("t", "failed", "error"), Target("t", ""))
    assert (record.query_atoms, record.rotors) == (0, 0)
