"""A record comes back as it was written; what is none is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from templ.errors import RunError, TemplError
from templ.records import Outcome, Pose, Target
from templ.runs.record import RECORD_VERSION, Cost, PoseAddress, PoseRecord, Record

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.dictionaries(st.text(max_size=5), NUMBER, max_size=3)
WHOLE = st.integers(0, 2**53)
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
    address=st.none() | st.builds(PoseAddress, st.text(), WHOLE, WHOLE),
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
    7, "Täst\n", "posed", poses=(POSE, replace(POSE, rmsd=0.5)), address=PoseAddress("poses/0000.sdf", 5, 9)
)


def changed(**changes):
    """Write the record with changed fields, whatever they are."""
    return json.dumps(json.loads(RECORD.to_line()) | changes).encode()


@given(RECORDS)
def test_a_record_comes_back_equal(record):
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert Record.from_line(line) == record
    assert Record.from_line(line).to_line() == line


def test_a_line_is_compact_sorted_ascii_json_with_every_field():
    line = RECORD.to_line()
    assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert set(json.loads(line)) == {field.name for field in fields(Record)}
    assert b'"id":"T\\u00e4st\\n"' in line
    assert json.loads(line)["version"] == RECORD_VERSION


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
        (changed(version=3), "a record of format 3, but this TEMPL reads format 2: use the version that"),
        (changed(version=1), "a record of format 1, but"),
        (changed(version="2"), "a record of format '2', but"),
        (b'{"id":"a"}', "a record of format 1, but"),
        (b'{"version":null}', "a record of format None, but"),
        (changed(unheard="of"), r"damaged \(unheard: Unexpected keyword argument"),
        (changed(cost={"eur": 1}), r"damaged \(cost.eur: "),
        (b'{"version":2,"id":"a"}', r"damaged \(index: Field required|damaged \(index: Missing"),
        (changed(index=-1), r"damaged \(index: Input should be greater than or equal to 0"),
        (changed(index=10**15), r"damaged \(index: Input should be less than"),
        (changed(id=7), r"damaged \(id: Input should be a valid string"),
        (changed(status="lost"), r"damaged \(status: Input should be 'posed', 'refused' or 'failed'"),
        (changed(poses=[{"score": 1}]), r"damaged \(poses.0.confidence: "),
        (changed(address={"shard": "s", "offset": "here", "length": 1}), r"damaged \(address.offset: "),
        (changed(tanimoto=float("nan")), r"damaged \(tanimoto: Input should be a finite number"),
        (changed(cost={"stages": {"pose": float("inf")}}), r"damaged \(cost.stages.pose: .* finite"),
        (b'{"version":2,"tanimoto":1e999,"index":1,"id":"a","status":"posed"}', "tanimoto: .* finite"),
    ],
)
def test_what_is_no_record_is_refused_and_why(line, says):
    with pytest.raises(RunError, match=says):
        Record.from_line(line)


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"[1]", b"7", b'"text"', RECORD.to_line()[:-3], b"\xff\x00", b"\0" * 40, b"[" * 10**5],
)
def test_what_is_no_whole_json_object_is_none(line):
    assert Record.from_line(line) is None


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
    elsewhere = PoseAddress("poses/0001.sdf", 0, 9)
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
                          {"identity": 1.0}, 1.2346),),
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
