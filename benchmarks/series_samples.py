"""Poses the members of a series alone, held out together, for `series.py`, which says how."""

from __future__ import annotations

import hashlib
import pickle
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from samples import MISS, Kept
from sets import CDK2_FIRST_DATE, TargetSet, open_set, rmsd_of_poses

from templ.chemistry.molecules import positions
from templ.evaluation.rmsd import symmetric_rmsd
from templ.pipeline import METHOD_VERSION, pose_in_best_receptor
from templ.poses.pose_selection import PoseSelector
from templ.scoring.confidence import OTHER, OWN
from templ.scoring.ranking import selected_terms
from templ.scoring.score_term import PosesToScore
from templ.scoring.weights import fitted_weights
from templ.settings import PredictionSettings
from templ.templates.sequence import Aligner
from templ.templates.superposition import superpose

Array = NDArray[np.float64]

SETS = ("polaris", "sars", "cdk2", "complexes")
FOLDS = {"sars": 5, "complexes": 2}
KEPT = 24
"""Clusters of each member that are chosen among."""


class Planned(NamedTuple):
    """A target, the series that it is held out with, and its protein."""

    id: str
    series: str
    protein: str


@dataclass(frozen=True, slots=True)
class Member:
    """A target that was posed alone; coordinates in one frame for all of its protein, Angstrom.

    Attributes
    ----------
    first : float
        RMSD of the first pose that the program hands out.
    xyz : array, shape (poses, atoms, 3)
        Representatives of clusters, the likeliest first.
    score, gain : array, shape (poses,)
        Of these clusters (`templ.scoring.posterior.Cluster`).
    rmsd : array, shape (poses,)
        To the crystal.
    crystal : array, shape (atoms, 3), or None
        None where its molecule is not quite the query's.
    """

    planned: Planned
    mol: Chem.Mol
    tanimoto: float
    first: float
    xyz: NDArray[np.float32]
    score: Array
    gain: Array
    rmsd: Array
    crystal: Array | None


def plan(name: str, folder: Path) -> list[Planned]:
    """List the targets of a set, series by series; of the SARS training set each ligand once."""
    chosen = open_set(name, folder)
    found: dict[str, Planned] = {}
    for id in chosen.library if name == "sars" else chosen.ids:
        target = chosen.target(id)
        if name == "cdk2":
            found[id] = Planned(id, "cdk2", "CDK2")
        elif name == "polaris":
            found[id] = Planned(id, target.group, "Mpro")
        elif name == "complexes":
            found[id] = Planned(id, f"{target.group}-{_fold(target.ligand_key, name)}", target.group)
        elif target.group == "sars":
            key = target.ligand_key
            found.setdefault(key, Planned(id, f"fold-{_fold(key, name)}", "Mpro"))
    return sorted(found.values(), key=lambda planned: planned.series)


def _fold(text: str, name: str) -> int:
    """Part of a set that a text falls into, always the same."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % FOLDS[name]


def templates_of(name: str, folder: Path, planned: Sequence[Planned]) -> Mapping[str, tuple[str, ...]]:
    """By series, ids of the templates that it may use, where the rule of the set does not say so."""
    if name not in FOLDS:
        return {}
    chosen = open_set(name, folder)
    keys = {id: chosen.target(id).ligand_key for id in chosen.library}
    held: defaultdict[str, set[str]] = defaultdict(set)
    for each in planned:
        held[each.series].add(keys[each.id])
    return {series: tuple(id for id in keys if keys[id] not in out) for series, out in held.items()}


def pose(name: str, folder: Path, planned: Planned, first_of: str, ids: tuple[str, ...]) -> Member | None:
    """Pose a target alone; None where that gives no pose."""
    chosen = open_set(name, folder)
    own, target = chosen.receptor(planned.id), chosen.target(planned.id)
    if name == "cdk2":
        target = replace(target, date=CDK2_FIRST_DATE)
    Kept.samples.clear()
    work = Kept(
        target,
        chosen.library,
        PredictionSettings(),
        rule=chosen.rule.model_copy(update={"ids": ids}),
        receptor=own,
        own_receptor=True,
    )
    outcome = pose_in_best_receptor(work, {})
    chosen.library.release_pages()
    if not outcome.poses:
        return None
    [found] = Kept.samples.values()

    def judge(xyz: Array) -> Mapping[str, NDArray[np.floating]]:
        return selected_terms(PosesToScore(found.query, xyz, np.zeros(len(xyz)), found.pocket))

    weights = fitted_weights().selected[OWN if found.own_receptor else OTHER]
    asked = judge if found.searched else None
    best = PoseSelector(found.query, found.ranked, found.pocket.atoms, asked, weights).best(KEPT)
    xyz = np.array([each.xyz for each in best])
    truth, query = chosen.truth(planned.id), Chem.Mol(found.query.mol)
    rmsd = rmsd_of_poses(xyz, query, truth)
    crystal = None
    if rmsd is not None:
        ways = [
            positions(truth)[list(way)]
            for way in truth.GetSubstructMatches(query, uniquify=False, maxMatches=400)
        ]
        crystal = min(ways, key=lambda way: float(((way - xyz[rmsd.argmin()]) ** 2).sum()))
    if chosen.library.has_receptors:
        move = _into_frame_of(chosen, first_of, planned.id)
        xyz, crystal = move(xyz), None if crystal is None else move(crystal)
    return Member(
        planned,
        query,
        outcome.best_tanimoto,
        symmetric_rmsd(outcome.poses[0].mol, truth),
        xyz.astype(np.float32),
        np.array([each.cluster.score for each in best]),
        np.array([each.cluster.gain for each in best]),
        np.full(len(best), MISS) if rmsd is None else rmsd,
        crystal,
    )


def _into_frame_of(chosen: TargetSet, first_of: str, id: str) -> Callable[[Array], Array]:
    """Motion from the frame of a complex into that of the first of its protein."""
    goal = chosen.targets.receptor(chosen.targets.row_of(first_of)).residues
    fits = superpose(goal, *chosen.targets.residues(chosen.targets.row_of(id)), Aligner())
    near, own = (positions(chosen.truth(each)).mean(axis=0) for each in (first_of, id))
    # The crystals only say in which copy of the pocket all are compared, where there are several.
    fit = min(fits, key=lambda fit: float(np.linalg.norm(fit.move(own[None])[0] - near)))
    return lambda xyz: fit.move(xyz.reshape(-1, 3)).reshape(xyz.shape)


def samples_of(name: str, folder: Path) -> list[Member | None]:
    """Pose all targets of a set alone, or take what was kept of that."""
    kept = folder / "series" / f"{name}.pickle"
    if kept.exists():
        made_by, found = pickle.loads(kept.read_bytes())
        if made_by == METHOD_VERSION:
            return list(found)
    planned = plan(name, folder)
    allowed = templates_of(name, folder, planned)
    first = {each.protein: each.id for each in reversed(planned)}
    firsts = [first[each.protein] for each in planned]
    ids = [allowed.get(each.series, ()) for each in planned]
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(pose, repeat(name), repeat(folder), planned, firsts, ids, chunksize=4))
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(pickle.dumps((METHOD_VERSION, found)))
    return found
