"""``templ demo`` and ``templ doctor``."""

from __future__ import annotations

from pathlib import Path

import typer

DEVELOPERS = frozenset({"test", "dev", "docs", "all"})
"""Extras that no user needs, and the one that is several others."""


def demo(
    name: str = typer.Argument(
        ...,
        help="cdk2 (232 complexes of the PDB), mpro (235 ligands and their receptor) or structures (20 files "
        "as the PDB gives them).",
    ),
    folder: Path | None = typer.Argument(
        None, help="Where to put the files; made if need be. By default the name of the set."
    ),
) -> None:
    """Copy a demo set to a folder, to try every command on."""
    from templ.sources.demo import ITS_LIGAND, STRUCTURE, copy_demo

    folder = Path(name) if folder is None else folder
    made = copy_demo(name, folder)
    library, poses = folder.with_suffix(".templ"), folder.with_name(f"{folder.name}_poses.sdf")
    if name == "mpro":
        ligands, receptor = made
        typer.echo(f"{ligands}\n{receptor}\n\nTry:")
        typer.echo(
            f"  templ library build {library} --ligands {ligands} --receptor {receptor} --date-property date"
        )
        typer.echo(f"  templ predict --library {library} --smiles 'CC(=O)Nc1cnccc1C' -o {poses}")
        return
    if name == "structures":
        typer.echo(f"{len(made)} structures in {folder}\n\nTry:")
        typer.echo(f"  templ library build {library} --structures {folder}")
        _try_predict(library, f"{folder / STRUCTURE} --site {ITS_LIGAND}", poses)
        return
    index, *complexes = made
    typer.echo(f"{len(complexes)} complexes in {folder}\n{index}\n\nTry:")
    typer.echo(f"  templ library build {library} --complexes {folder} --index {index}")
    _try_predict(library, complexes[-1] / f"{complexes[-1].name}_protein.pdb", poses)


def _try_predict(library: Path, receptor: Path | str, poses: Path) -> None:
    query = "Nc1nc(Nc2ccc(S(N)(=O)=O)cc2)ncc1F"
    typer.echo(f"  templ predict --library {library} --receptor {receptor} --smiles '{query}' -o {poses}")


def doctor() -> None:
    """Print versions, cores, memory and missing parts. Cores and memory are those really available."""
    import platform
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    import psutil

    from templ.engine.executor import choose_executor
    from templ.engine.probe import available_cores, available_memory
    from templ.errors import BudgetError
    from templ.settings import RunSettings

    def show(name: str, value: str) -> None:
        typer.echo(f"{name:<24} {value}")

    show("templ", version("templ-pose"))
    show("python", f"{platform.python_version()} on {platform.platform()}")
    requirements = sorted(requires("templ-pose") or [])
    optional = [requirement for requirement in requirements if "extra ==" in requirement]
    for name in (requirement.split(">")[0] for requirement in requirements if requirement not in optional):
        try:
            show(name, version(name))
        except PackageNotFoundError:
            show(name, "missing: there is none for this machine; poses are ranked without it")
    cores, host_cores = available_cores(), psutil.cpu_count() or 1
    show("cores", f"{cores} of {host_cores}")
    memory, host = available_memory(), psutil.virtual_memory()
    limited = ", limited by a cgroup" if memory < 0.95 * host.available else ""
    show("memory available", f"{memory / 2**30:.1f} GiB of {host.total / 2**30:.1f} GiB{limited}")
    try:
        show("a run would take", str(choose_executor(RunSettings())))
    except BudgetError as error:  # what one comes here to learn of
        show("a run is refused", str(error))
    parts: dict[str, list[str]] = {}
    for requirement in optional:
        name, extra = re.split(r"[ <>=;\[]", requirement)[0], requirement.rpartition("==")[2].strip(" '\"")
        if extra not in DEVELOPERS:
            parts.setdefault(extra, []).append(name)
    for extra, names in parts.items():
        lacking = []
        for name in names:
            try:
                version(name)
            except PackageNotFoundError:
                lacking.append(name)
        show(
            f"extra {extra}",
            f"lacks {', '.join(lacking)}: pip install 'templ-pose[{extra}]'" if lacking else "installed",
        )
