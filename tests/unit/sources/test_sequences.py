from __future__ import annotations

import pytest

from templ.errors import InputError
from templ.sources.sequences import read_sequences

CDK2 = "MENFQKVEKIGEGTYGVVYKARNKLTGEVVALKKIRLDTETEGV"


@pytest.mark.parametrize("text", [CDK2, CDK2.lower(), f"{CDK2[:20]} {CDK2[20:]}\n", f"{CDK2}*"])
def test_letters(text):
    assert read_sequences(text) == [CDK2]


def test_a_fasta_file_of_several_chains(tmp_path):
    path = tmp_path / "cdk2.fasta"
    path.write_text(f">A\n{CDK2[:20]}\n{CDK2[20:]}\n>B\n{CDK2[:25]}*\n")
    assert read_sequences(path) == [CDK2, CDK2[:25]]
    assert read_sequences(str(path)) == [CDK2, CDK2[:25]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.fasta", "nowhere.fasta"),
        ("MENFQ", "MENFQ is neither a FASTA file nor a sequence; expected 20 letters or more"),
        (CDK2 * 9 + "7", "neither a FASTA file nor a sequence"),
        (CDK2.replace("K", "Z"), "--sequence: 'Z' is no amino acid"),
    ],
)
def test_what_is_neither_is_named(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        read_sequences(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CDK2, "expected a FASTA file, whose first line begins with >"),
        (f">A\n{CDK2[:10]}\n", "a chain of 10 residues; expected at least 20"),
        (f">A\n{CDK2}7\n", "FASTA"),
        ("", "is empty"),
        ("\0\1", "binary"),
    ],
)
def test_a_file_that_is_no_fasta_is_named(tmp_path, content, message):
    (tmp_path / "x.fasta").write_text(content)
    with pytest.raises(InputError, match=message) as raised:
        read_sequences(tmp_path / "x.fasta")
    assert "x.fasta" in str(raised.value)
