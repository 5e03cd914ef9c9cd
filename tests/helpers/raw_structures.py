"""Raw structure files for tests: those of the demo, and lines to put among theirs."""

from __future__ import annotations

from templ.sources.demo import DEMO_SETS


def raw_structure(name):
    """Text of a demo structure."""
    return dict(DEMO_SETS["structures"]())[name].decode()


def hetero(lines):
    """The ligand's lines of a PDB file."""
    return [line for line in lines.splitlines() if line.startswith("HETATM")]


def atom_line(name, residue, xyz, number=900, chain="A", element="C", altloc=" ", occupancy=1.0, b=20.0):
    columns = (f" {name}" if len(element) == 1 and len(name) < 4 else name).ljust(4)
    place = "".join(f"{value:8.3f}" for value in xyz)
    return (
        f"HETATM 9000 {columns}{altloc}{residue:>3} {chain}{number:>4}    {place}{occupancy:6.2f}{b:6.2f}"
        f"          {element.upper():>2}"
    )


def moved(line, chain="B", number=None, occupancy=None, b=None, altloc=None, shift=0.0):
    """The same atom in another copy of the molecule."""
    x = float(line[30:38]) + shift
    line = (
        line[:21]
        + chain
        + (line[22:26] if number is None else f"{number:>4}")
        + line[26:30]
        + f"{x:8.3f}"
        + line[38:]
    )
    if occupancy is not None:
        line = line[:54] + f"{occupancy:6.2f}" + line[60:]
    if b is not None:
        line = line[:60] + f"{b:6.2f}" + line[66:]
    if altloc is not None:
        line = line[:16] + altloc + line[17:]
    return line


def with_lines(text, lines):
    """Put lines before the END of a PDB file."""
    return text.replace("END\n", "".join(f"{line}\n" for line in lines) + "END\n")
