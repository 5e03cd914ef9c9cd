"""What predict prints: a card of one query, counts and a table of many, at 80 columns."""

from __future__ import annotations

import json
from dataclasses import replace

from program import run_templ as templ

from templ.cli.query_card import as_plain, card, table
from templ.runs.record import PoseRecord, Record


def pose(confidence, core=((0, 0), (1, 1))):
    return PoseRecord(0.5, confidence, "core", "map13", core, "CC", 0.1)


def record(id="q", confidences=(0.95, 0.9), **more):
    poses = tuple(map(pose, confidences))
    return Record(0, id, "posed", poses=poses, smiles="CCO", query_atoms=3, tanimoto=0.5, **more)


def test_a_card_says_what_matters_first():
    lines = card(record(notes=("a salt was stripped, " * 8,)), "map1, a crystal", ["p.sdf", "p.csv"])
    assert lines[0] == "confidence  0.95, very likely right"
    assert lines[1] == "template    map13 (core, 2 of 3 heavy atoms copied); nearest Tanimoto 0.50"
    assert lines[2] == "receptor    map1, a crystal"
    assert lines[3] == "poses       2, ranked by score"
    assert lines[-2:] == ["files       p.sdf, p.csv", "next        templ report p.sdf"]
    assert max(map(len, lines)) <= 80


def test_what_was_not_copied_is_in_common():
    first = replace(pose(0.5), placement_method="docking")
    told = card(replace(record(), poses=(first,)), "", ["p.sdf"])[1]
    assert told.startswith("template    map13 (docking, 2 of 3 heavy atoms in common)")
    none = card(replace(record(), poses=(replace(first, core=()),)), "", ["p.sdf"])[1]
    assert none.startswith("template    map13 (docking, nothing in common)")


def test_a_lower_rank_that_looks_surer_is_said():
    lines = card(record(confidences=(0.6, 0.5, 0.8)), "", ["p.sdf"])
    assert "poses       3, ranked by score; rank 3 has a higher confidence (0.80): look at" in lines
    assert "higher" not in " ".join(card(record(confidences=(0.6, 0.61)), "", ["p.sdf"]))


def test_a_card_without_poses_has_the_reason_and_no_files():
    lines = card(Record(0, "q", "refused", "peptide", "it has 12 residues"), "", ["p.sdf"])
    assert lines == ["refused     peptide: it has 12 residues"]


def test_a_table_has_the_surest_the_doubtful_and_those_without():
    records = [record(f"s{number}", (0.5 + number / 100,)) for number in range(10)]
    records += [record(f"d{number}", (number / 100,)) for number in range(7)]
    records += [Record(0, "long" * 40, "refused", "peptide"), Record(0, "bad", "failed", "unreadable")]
    lines = table(records)
    assert lines[0] == "17 posed, 1 refused, 1 failed"
    at = {line: number for number, line in enumerate(lines) if line.endswith(":")}
    surest, doubtful, without = (
        at[f"{title}:"] for title in ("surest, 5 of 10", "doubtful, 5 of 7", "without a pose, 2 of 2")
    )
    assert [line.split()[0] for line in lines[surest + 1 : surest + 6]] == ["s9", "s8", "s7", "s6", "s5"]
    assert [line.split()[0] for line in lines[doubtful + 1 : doubtful + 6]] == ["d0", "d1", "d2", "d3", "d4"]
    assert lines[without + 2].split() == ["bad", "failed", "unreadable"]
    assert max(map(len, lines)) <= 80


def test_a_script_gets_the_same():
    plain = as_plain(record())
    assert (plain["confidence"], plain["confidence_in_words"]) == (0.95, "very likely right")
    assert as_plain(Record(0, "q", "refused", "peptide", "why"))["reason"] == "peptide"


def test_predict_prints_them(demo_path, tmp_path):
    words = ("predict", "-l", demo_path, "-s", "CC(=O)Nc1cnccc1C", "--set", "conformers=5", "-o", "new/p.sdf")
    done = templ(*words, cwd=tmp_path)
    assert done.stdout.startswith("confidence  0.")
    assert done.stdout.endswith("next        templ report new/p.sdf\n")
    quiet = templ(*words, "--quiet", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    before = templ("--quiet", *words, "--json", cwd=tmp_path)
    plain = json.loads(before.stdout)
    assert (before.stderr, plain["counts"]) == ("", {"posed": 1, "refused": 0, "failed": 0})
    assert plain["files"] == ["new/p.sdf", "new/p.csv", "new/p.run"]
    (tmp_path / "q.smi").write_text("CC(=O)Nc1cnccc1C a\n[Fe]OCCO iron\n")
    many = templ("predict", "-l", demo_path, "-q", "q.smi", "--set", "conformers=5", cwd=tmp_path)
    assert many.stdout.startswith("1 posed, 1 refused, 0 failed\n\nsurest, 1 of 1:\n  a ")
