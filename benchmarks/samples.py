"""Predicts the targets of the sets: for what is measured (`accuracy.py`) and fitted (`weights.py`)."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sets import OWN_RECEPTORS, open_set, rmsd_of_poses

from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.validity import failed_checks
from templ.pipeline import METHOD_VERSION, pose_in_best_receptor
from templ.poses.finishing import Sample
from templ.prediction import Prediction
from templ.records import Pose
from templ.scoring.posterior import clusters
from templ.scoring.ranking import ScoredPoses, selected_terms
from templ.scoring.score_term import PosesToScore
from templ.scoring.terms import TERMS
from templ.settings import PredictionSettings

Array = NDArray[np.float64]

OWN, NEAREST = "own", "nearest"
MISS = 99.0
"""Angstrom: what no pose counts as."""
JUDGED = 20
"""Centres of clusters whose terms of selected poses are kept."""
MPRO = "Mpro"


@dataclass(frozen=True, slots=True)
class Row:
    """One target: RMSD of the selected poses, of the one of best score and of the best sampled, Angstrom."""

    id: str
    rmsd: tuple[float, ...]
    best_score: float
    best_of_all: float
    confidence: float
    tanimoto: float
    method: str
    invalid: tuple[str, ...] | None
    seconds: float
    seconds_validity: float


@dataclass(frozen=True, slots=True)
class Pool:
    """Poses of one target: terms by name, RMSD to the truth and coordinates, Angstrom."""

    terms: Mapping[str, NDArray[np.float32]]
    rmsd: Array
    xyz: NDArray[np.float32]

    @classmethod
    def of(cls, scored: ScoredPoses, rmsd: Array) -> Pool:
        """Keep what a fit needs."""
        return cls(scored.terms, rmsd, scored.xyz.astype(np.float32))

    def matrix(self, names: Sequence[str]) -> Array:
        """Some terms, shape (poses, terms)."""
        return np.stack([self.terms[name] for name in names], axis=1).astype(np.float64)

    def score(self, weights: Mapping[str, float]) -> Array:
        """Weighted sum of the terms of each pose."""
        return np.asarray(self.matrix(list(weights)) @ np.array(list(weights.values())))


@dataclass(frozen=True, slots=True)
class Case:
    """What of one target the weights are fitted on; `judged` are centres of clusters, with their terms."""

    name: str
    mode: str
    protein: str
    placed: Pool
    minimised: Pool
    judged: Pool
    evidence: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One target predicted; no case where no pose can be made or compared."""

    row: Row
    case: Case | None


def modes(name: str) -> tuple[str, ...]:
    """Receptors that the targets of a set are posed in."""
    return (OWN, NEAREST) if name in OWN_RECEPTORS else (OWN,)


def predict_one(
    name: str, folder: Path, id: str, mode: str, changes: Mapping[str, Any], check: bool, fit: bool
) -> Sampled:
    """Predict one target and compare it with the truth; `fit`: keep its poses."""
    chosen = open_set(name, folder)
    own = chosen.receptor(id)
    target = chosen.target(id)
    begin = time.process_time()
    Kept.samples.clear()
    work = Kept(
        target,
        chosen.library,
        PredictionSettings(**changes),
        rule=chosen.rule,
        receptor=own if mode == OWN else None,
        own_receptor=mode == OWN,
        protein=own.residues.sequences(),
    )
    outcome = pose_in_best_receptor(work, {})
    chosen.library.release_pages()
    predicted = time.process_time()
    poses, where = outcome.poses, outcome.receptor
    if not poses:
        missed = Row(id, (MISS,), MISS, MISS, 0.0, 0.0, "", None, predicted - begin, 0.0)
        return Sampled(missed, None)
    found = Kept.samples[where]
    truth = chosen.carried(id, where) if where else chosen.truth(id)
    used = chosen.library.receptor_of(where) if where else own
    invalid = tuple(failed_checks(poses[0].mol, truth=truth, receptor=used)) if check else None
    checked = time.process_time()
    query = found.query.mol
    every = rmsd_of_poses(found.ranked.xyz, query, truth)
    comparable = every is not None
    if every is None:
        every = np.full(len(found.ranked.xyz), MISS)
    row = Row(
        id,
        tuple(round(symmetric_rmsd(pose.mol, truth), 4) for pose in poses),
        float(every[found.ranked.score.argmax()]),
        float(every.min()),
        poses[0].confidence,
        outcome.best_tanimoto,
        poses[0].method,
        invalid,
        predicted - begin,
        checked - predicted,
    )
    if not (fit and comparable):
        return Sampled(row, None)
    centres = [each.centre for each in islice(clusters(found.ranked.xyz, found.ranked.score), JUDGED)]
    xyz = found.ranked.xyz[centres]
    terms = selected_terms(PosesToScore(found.query, xyz, np.zeros(len(xyz)), found.pocket))
    if not found.searched:  # nobody asks then
        terms = {name: np.zeros_like(values) for name, values in terms.items()}
    placed = rmsd_of_poses(found.placed.xyz, query, truth)
    assert placed is not None
    case = Case(
        name,
        mode,
        target.group if name in OWN_RECEPTORS else MPRO,
        Pool.of(found.placed, placed),
        Pool.of(found.ranked, every),
        Pool(terms, every[centres], xyz.astype(np.float32)),
        found.evidence,
    )
    return Sampled(row, case)


class Kept(Prediction):
    """A prediction that keeps its sample, and the last one in each receptor, by name."""

    samples: ClassVar[dict[str, Sample]] = {}

    def select(self, sample: Sample) -> tuple[Pose, ...]:
        """Keep the sample, and select."""
        self.samples[self.outcome.receptor] = sample
        return super().select(sample)


def predict_all(
    name: str,
    folder: Path,
    mode: str,
    changes: Mapping[str, Any] | None = None,
    *,
    check: bool = False,
    targets: int | None = None,
) -> list[Sampled]:
    """Predict every target of a set, two at a time.

    With the settings of the program the poses are kept in `folder`, and taken from there while its method and
    terms are the same. A check for validity is made anew.
    """
    kept = folder / "samples" / f"{name}-{mode}{targets or ''}.pickle"
    key = (METHOD_VERSION, tuple(term.name for term in TERMS))
    keep = not changes and not check
    if keep and kept.exists():
        made_by, found = pickle.loads(kept.read_bytes())
        if made_by == key:
            return list(found)
    ids = open_set(name, folder).ids[:targets]
    fixed = [repeat(value) for value in (mode, changes or {}, check, keep)]
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(predict_one, repeat(name), repeat(folder), ids, *fixed, chunksize=4))
    if keep:
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(pickle.dumps((key, found)))
    return found
