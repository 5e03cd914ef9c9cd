"""What queries are posed with: the templates, the receptor and the pocket, looked at before anything runs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from templ.chemistry.receptor import Receptor, check_protein, describe
from templ.chemistry.receptor_file import find_ligand, read_receptor
from templ.disk import path_text
from templ.errors import InputError
from templ.library.store import Library, open_library
from templ.runs.identity import software_here
from templ.settings import PredictionSettings
from templ.sources.files import STRUCTURE, file_digest
from templ.sources.sequences import read_sequences
from templ.templates.frame import check_site
from templ.templates.residue_choice import AUTO, NONE, check_residue
from templ.templates.rule import TemplateRule
from templ.templates.sequence import Aligner, related_rows


@dataclass(frozen=True, slots=True)
class BindingSite:
    """What queries are posed with: the templates, and where they bind.

    Attributes
    ----------
    library : str or Path
        Template library; opened by each worker for itself.
    receptor : str, Path or sequence of these, optional
        PDB or mmCIF of what the queries bind to, each posed in all of several; by default the library's own,
        and where its ligands have a receptor each those of the crystals with the ligands most like the query.
    sequence : str or Path
        Of the protein that queries bind to, where the receptor is to be chosen: letters, or a FASTA file; by
        default the protein is that of the ligand most like the query.
    group : str
        Use the templates of this group only.
    template_ids : sequence of str
        Use only these templates; all of them when empty.
    extra_poses : str or Path, optional
        SDF of poses that another program made in `receptor`: each record is of the query of its title, or all
        are of the only query.
    site : sequence of float or str, optional
        Where the pocket is, Angstrom, for libraries whose templates have a receptor each; or the residue name
        of the ligand that `receptor` has in it, which is then no part of the receptor.
    """

    library: str | Path
    receptor: str | Path | Sequence[str | Path] | None = None
    sequence: str | Path = ""
    group: str = ""
    template_ids: Sequence[str] = ()
    site: Sequence[float] | str | None = None
    extra_poses: str | Path | None = None

    @property
    def receptors(self) -> list[Path]:
        """Files of the receptors.

        Raises
        ------
        InputError
            When two have one name: poses name the receptor that they lie in.
        """
        given = [self.receptor] if isinstance(self.receptor, str | Path) else self.receptor or []
        paths = [Path(path) for path in given]
        if twice := [name for name, count in Counter(path.name for path in paths).items() if count > 1]:
            raise InputError(f"--receptor: two are called {twice[0]}; expected names that differ")
        return paths

    @property
    def rule(self) -> TemplateRule:
        """Which templates the queries may use."""
        groups = {self.group: (self.group,)} if self.group else {}
        return TemplateRule(groups=groups, ids=tuple(self.template_ids))


def context_of(binding: BindingSite, settings: PredictionSettings) -> tuple[dict[str, Any], list[str]]:
    """What workers are told, once everything in it was looked at; and what its user should know."""
    library, receptors = Path(binding.library), binding.receptors
    with open_library(library) as opened:
        opened.verify()
        if binding.group and binding.group not in opened.manifest.groups:
            known = ", ".join(name for name in opened.manifest.groups if name) or "none"
            raise InputError(f"{library} has no group '{binding.group}'; its groups: {known}")
        for id in binding.template_ids:
            opened.row_of(id)
        if binding.sequence and (receptors or not opened.has_receptors):
            raise InputError("--sequence is for choosing a receptor of a library of complexes: leave it out")
        ligand = binding.site if isinstance(binding.site, str) else ""
        for option, value in (("--extra-poses", binding.extra_poses), ("--site", binding.site)):
            if value is not None and (len(receptors) > 1 or (opened.has_receptors and not receptors)):
                raise InputError(f"{option}: in which structure? give one --receptor")
        if ligand and not receptors:
            raise InputError(f"--site {ligand}: a ligand of which file? give --receptor")
        protein = _protein(opened, binding, settings)
        if not opened.has_receptors and ((binding.site and not ligand) or settings.by != "sequence"):
            raise InputError(
                f"{library} has one frame and no receptors to choose by: leave out --site and --by"
            )
        if settings.by == "embedding":
            opened.embeddings  # noqa: B018  # refused here when there are none, and not by every worker
        shared = opened.receptor_path(binding.group)
        receptors = receptors or ([] if shared is None else [shared])
        has_receptors, digest = opened.has_receptors, opened.digest
    given = {path: read_receptor(path, ligand=ligand) for path in receptors}
    for path, receptor in given.items():
        if has_receptors:  # others are superposed on it
            check_protein(receptor, str(path))
        check_residue(receptor, settings.covalent, path)
    if not given and not has_receptors and settings.covalent not in (AUTO, NONE):
        raise InputError(f"--covalent {settings.covalent}: {library} has no receptor; give one by --receptor")
    site = find_ligand(receptors[0], ligand) if ligand else binding.site
    if not has_receptors:
        site = None
    elif site is not None and not isinstance(site, str) and receptors:
        check_site(site, given[receptors[0]], receptors[0])
    return {
        "library": str(library.absolute()),
        "digest": digest,
        "receptors": [str(path.absolute()) for path in given],
        "rule": binding.rule.to_json(),
        "group": binding.group,
        "site": None if site is None else [float(number) for number in site],
        "ligand": ligand,
        "protein": protein,
        "extra_poses": None,
        "embeddings": [
            _embed(receptor, str(path)) for path, receptor in given.items() if settings.by == "embedding"
        ],
        "settings": settings.model_dump(mode="json"),
        "software": software_here(),
    }, [_note(path, receptor) for path, receptor in given.items()]


def _protein(library: Library, binding: BindingSite, settings: PredictionSettings) -> list[str]:
    """Sequences of the protein that was named, of which the library has a crystal; none where none was."""
    if not binding.sequence:
        return []
    chains = read_sequences(binding.sequence)
    everything = np.ones(len(library), np.bool_)
    if not related_rows(chains, library, everything, settings.min_identity, 1.0, Aligner()).any():
        raise InputError(f"--sequence: {library.path} has no receptor of a related protein")
    return chains


def _note(path: Path, receptor: Receptor) -> str:
    """Say what was read of a receptor file, and what was not."""
    parts = (f"{what} {names}" for what, names in describe(receptor).items() if names != "none")
    return f"receptor {path_text(path.name)}: {'; '.join(parts)}"


def _embed(protein: Receptor, what: str) -> list[float]:
    """Embed the longest chain of a protein."""
    from templ.chemistry.protein_embedding import embed

    check_protein(protein, what)
    chains = [protein.residues.sequence[part] for part in protein.residues.slices()]
    return [float(value) for value in embed([max(chains, key=len)])[0]]


def receptor_digest(context: dict[str, Any]) -> str:
    """Digest of what was named of the receptor: its files, or the sequences of the protein; else empty."""
    if context["receptors"]:
        digests = [file_digest(Path(path), STRUCTURE) for path in context["receptors"]]
        return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
    chains = " ".join(context["protein"])
    return hashlib.sha256(chains.encode()).hexdigest() if chains else ""
