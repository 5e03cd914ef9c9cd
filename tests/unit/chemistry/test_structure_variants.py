"""Twenty real receptors, each written in the ways of many programs: the same atoms, always."""

from __future__ import annotations

import codecs
import gzip
from dataclasses import replace
from functools import partial

import gemmi
import numpy as np
import pytest
import structure_variants as variants
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from templ.chemistry.receptor_file import ADDITIVES, SALT, WATERS, read_receptor
from templ.sources.demo import demo_files

RECEPTORS = 20
LARGEST = 40_000
"""Bytes of a compressed file: larger ones say nothing more."""

CHANGES = {
    "other chains": variants.other_chains,
    "no hydrogens": variants.without_hydrogens,
    "Maestro": variants.charges_as_segments,
    "alternates": variants.lesser_alternates,
    "alternates first": variants.alternates_that_come_first,
    "negative numbers": variants.numbered_from(-150),
    "hybrid-36": variants.numbered_from(9_950),
    "insertion codes": variants.inserted,
    "all HETATM": variants.all_hetero,
    "all ATOM": variants.no_hetero,
    "Amber": variants.amber,
    "CHARMM": variants.charmm,
    "water SOL": variants.waters("SOL", "OW", "HW1", "HW2"),
    "water TIP3": variants.waters("TIP3", "OH2", "H1", "H2"),
    "water T4P": variants.waters("T4P", "OW", "HW1", "HW2", "MW"),
    "water W": variants.waters("W", "W"),
}
WAYS = {
    "PDB": variants.pdb,
    "left, no elements": partial(variants.pdb, left=True, elements="none"),
    "left, elements guessed": partial(variants.pdb, left=True, elements="guessed"),
    "no elements": partial(variants.pdb, elements="none"),
    "short lines": partial(variants.pdb, width=54),
    "END in the middle": partial(variants.pdb, end_after=333),
    "serials move columns": partial(variants.pdb, serials_from=99_900),
    "models": variants.models,
    "frames": variants.frames,
    "mmCIF": partial(variants.mmcif, auth=True),
    "mmCIF without author's names": partial(variants.mmcif, auth=False),
}
ENCODINGS = {
    "plain": str.encode,
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
}
NEEDS_ELEMENTS = {"left, no elements", "left, elements guessed", "no elements", "short lines"}
"""Ways that leave the elements to residue and name."""


def found_receptors(shared):
    """The smaller receptors of the shared data, of different proteins; the shipped one alone without them."""
    paths = [demo_files().receptor]
    if shared.exists():
        by_protein = {}
        for path in sorted(shared.glob("data/**/*_protein.pdb.gz")):
            by_protein.setdefault(path.name.split("-")[0] if "-" in path.name else path.name, path)
        chosen = [path for path in by_protein.values() if path.stat().st_size < LARGEST]
        paths += [chosen[number * len(chosen) // (RECEPTORS - 1)] for number in range(RECEPTORS - 1)]
    return paths


class Structures(list):
    def __repr__(self):
        """Hypothesis would print megabytes."""
        return f"{len(self)} structures"


@pytest.fixture(params=["some", pytest.param("all", marks=pytest.mark.slow)])
def chosen(request, structures):
    """Every day a third of them, in CI all."""
    return structures if request.param == "all" else structures[::3]


@pytest.fixture(scope="module")
def structures(shared):
    """Their atoms, each in one location."""
    texts = [gzip.decompress(path.read_bytes()).decode() for path in found_receptors(shared)]
    return Structures(
        [replace(line, altloc=" ") for line in variants.lines_of(text) if line.altloc in " A"]
        for text in texts
    )


def truth(lines):
    """Coordinates and elements of what is receptor, from well-kept columns, by coordinate."""
    sizes = {}
    for line in lines:
        sizes.setdefault((line.chain, line.number, line.insertion, line.residue), []).append(line)
    kept = [
        (*line.xyz, gemmi.Element(line.element).atomic_number)
        for line in lines
        if line.element not in ("H", "D")
        and line.residue not in WATERS | ADDITIVES
        and not (
            len(sizes[line.chain, line.number, line.insertion, line.residue]) == 1
            and gemmi.Element(line.element).atomic_number in SALT
        )
    ]
    return np.array(sorted(kept))


def read(folder, data, name="made.pdb"):
    path = folder / name
    path.write_bytes(data)
    return read_receptor(path)


def seen(receptor):
    atoms = receptor.atoms
    rows = zip(*atoms.xyz.astype(float).round(3).T.tolist(), atoms.elements.tolist(), strict=True)
    return np.array(sorted(rows))


def check(receptor, expected, sequence=None):
    found = seen(receptor)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=2e-3)
    np.testing.assert_array_equal(found[:, 3], expected[:, 3])
    if sequence is not None:
        assert "".join(sorted(receptor.residues.sequence)) == "".join(sorted(sequence))


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_write(chosen, tmp_path, way):
    for lines in chosen:
        base = read(tmp_path, variants.pdb(lines).encode())
        check(base, truth(lines))
        check(read(tmp_path, WAYS[way](lines).encode()), truth(lines), base.residues.sequence)


@pytest.mark.parametrize("change", CHANGES)
def test_manners_of_programs(chosen, tmp_path, change):
    for lines in chosen:
        base = read(tmp_path, variants.pdb(lines).encode())
        written = variants.pdb(CHANGES[change](lines))
        check(read(tmp_path, written.encode()), truth(lines), base.residues.sequence)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_line_ends_and_marks(structures, tmp_path, encoding):
    for lines in structures[:3]:
        for text in (variants.pdb(lines), variants.mmcif(lines, auth=True)):
            check(read(tmp_path, ENCODINGS[encoding](text)), truth(lines))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.integers(0, RECEPTORS - 1),
    st.lists(st.sampled_from(sorted(CHANGES)), max_size=3, unique=True),
    st.sampled_from(sorted(WAYS)),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_any_of_them_together(structures, tmp_path, number, changes, way, encoding):
    assume(not (way == "short lines" and any("alternates" in change for change in changes)))  # no occupancies
    lines = expected = structures[number % len(structures)]
    for change in changes:
        lines = CHANGES[change](lines)
    check(read(tmp_path, ENCODINGS[encoding](WAYS[way](lines))), truth(expected))


def test_a_second_copy_after_an_end_is_kept(structures, tmp_path):
    for lines in structures[:5]:
        once = read(tmp_path, variants.pdb(lines).encode())
        twice = read(tmp_path, variants.second_copy(lines).encode())
        assert len(twice.atoms) == 2 * len(once.atoms)
        assert len(twice.residues.chains) == 2 * len(once.residues.chains)
        assert twice.residues.sequence == once.residues.sequence * 2
