"""Fit the weights of ranking and confidence, and say how well they hold on proteins they were not fitted on.

    python benchmarks/weights.py FOLDER [--targets N] [--store]

FOLDER keeps the libraries and the sampled poses (ten minutes on two cores the first time; they are sampled
anew when the terms of the score are others). Fits on the training sets of `sets.py`, never on Polaris' test
set, and prints what every fit achieves on the proteins left out of it. `--targets` takes only so many of each
set, to try a fit out. `--store` writes src/templ/scoring/weights.json.

Ranking: the weights of the registered terms (`templ.scoring.terms`) under which the probability of the poses
(softmax of their weighted terms) lies most on those within 2 Angstrom of the truth. Confidence: logistic
models of whether the first pose is right, selected with weights fitted without its protein. The two sides
count alike: all sets of Mpro, and the other proteins.
"""

from __future__ import annotations

import argparse
import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from sets import TRAINING, open_set, rmsd_of_poses

from templ.errors import Refusal
from templ.evaluation.calibration import calibrate
from templ.evaluation.summary import wilson_interval
from templ.pipeline import Prediction
from templ.scoring import weights as shipped
from templ.scoring.confidence import log_odds
from templ.scoring.posterior import clusters
from templ.scoring.terms import TERMS
from templ.scoring.weights import CONSTANT
from templ.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PLACED = tuple(term.name for term in TERMS if not term.minimised)
TOLD_BY_CONTACT = ("receptor_clash", "core_rmsd")
"""Terms of poses as placed that say nothing more once poses are minimised: `contact` and the grid know."""
MINIMISED = tuple(term.name for term in TERMS if term.name not in TOLD_BY_CONTACT)
CONFIDENCE = ("log_odds", "consensus")
PRIOR_CONFIDENCE = ("tanimoto", "query_coverage")
RIGHT, SOFT = 2.0, 0.2
"""Angstrom: a pose is right within this; over what width it ceases to be, in the fit of the ranking."""
HOPELESS = 2.5
"""Angstrom: a target without any pose within this teaches no ranking."""
RIDGE_RANKING, RIDGE_CONFIDENCE = 0.5, 1.0
"""How strongly the standardised weights are drawn to 0."""
FOLDS = 5
"""The proteins of the complexes are left out in so many groups; Mpro is one more."""
MPRO = "Mpro"


@dataclass(frozen=True, slots=True)
class Pool:
    """Poses of one target: terms by name, RMSD to the truth and coordinates, Angstrom."""

    terms: Mapping[str, NDArray[np.float32]]
    rmsd: Array
    xyz: Array

    def of(self, names: Sequence[str]) -> Array:
        """Some terms, shape (poses, terms)."""
        return np.stack([self.terms[name] for name in names], axis=1).astype(np.float64)

    def score(self, weights: Mapping[str, float]) -> Array:
        """Weighted sum of the terms of each pose."""
        return np.asarray(self.of(list(weights)) @ np.array(list(weights.values())))


@dataclass(frozen=True, slots=True)
class Case:
    """One target of a training set."""

    protein: str
    placed: Pool
    minimised: Pool
    evidence: Mapping[str, float]


def sample_one(name: str, folder: Path, id: str) -> Case | None:
    """Sample one target; None where no pose can be made or compared."""
    chosen = open_set(name, folder)
    target = chosen.target(id)
    settings, receptor = PredictionSettings(), chosen.receptor(id)
    try:
        found = Prediction(target, chosen.library, settings, rule=chosen.rule, receptor=receptor).sample()
    except Refusal:
        return None
    pools = []
    for ranked in (found.placed, found.ranked):
        rmsd = rmsd_of_poses(ranked.xyz, found.query.mol, chosen.truth(id))
        if rmsd is None:
            return None
        pools.append(Pool(ranked.terms, rmsd, ranked.xyz))
    protein = target.group if name == "complexes" else MPRO
    return Case(protein, pools[0], pools[1], found.evidence)


def sample_all(folder: Path, targets: int | None = None) -> list[Case]:
    """Sample every training set, two targets at a time; those sampled before with the same terms are kept."""
    cases: list[Case] = []
    for name in TRAINING:
        kept = folder / "samples" / f"{name}{targets or ''}.pickle"
        terms, found = pickle.loads(kept.read_bytes()) if kept.exists() else ((), [])
        if terms != (PLACED, MINIMISED):
            ids = open_set(name, folder).ids[:targets]
            with ProcessPoolExecutor(2) as pool:
                found = list(pool.map(sample_one, repeat(name), repeat(folder), ids, chunksize=8))
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(pickle.dumps(((PLACED, MINIMISED), found)))
        cases += [case for case in found if case is not None]
        print(f"{name}: {len(found)} targets, {sum(case is None for case in found)} without poses")
    return cases


def fit_ranking(pools: Sequence[Pool], names: Sequence[str], shares: Array) -> dict[str, float]:
    """Fit weights of terms by the likelihood of the right poses."""
    spread = np.concatenate([(terms := pool.of(names)) - terms.mean(axis=0) for pool in pools])
    scale = np.percentile(np.abs(spread), 68, axis=0) + 1e-9  # as a deviation, but blind to outliers
    chosen = [
        (
            pool.of(names) / scale,
            1 / (1 + np.exp(np.clip((pool.rmsd - RIGHT) / SOFT, -50, 50))),
            share,
        )
        for pool, share in zip(pools, shares, strict=True)
        if pool.rmsd.min() <= HOPELESS
    ]

    def loss(weights: Array) -> tuple[float, Array]:
        total, slope = RIDGE_RANKING * float(weights @ weights), 2 * RIDGE_RANKING * weights
        for terms, right, share in chosen:
            score = terms @ weights
            likely = np.exp(score - score.max())
            likely /= likely.sum()
            hit = float(likely @ right) + 1e-4
            total -= share * np.log(hit)
            slope = slope - share * ((likely * right / hit - likely * (likely @ right) / hit) @ terms)
        return total, slope

    found = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B").x
    return dict(zip(names, (found / scale).tolist(), strict=True))


def fit_logistic(
    rows: Sequence[Mapping[str, float]], right: NDArray[np.bool_], names: Sequence[str], shares: Array
) -> dict[str, float]:
    """Fit a logistic model with a constant."""
    terms = np.array([[row[name] for name in names] for row in rows])
    middle, scale = terms.mean(axis=0), terms.std(axis=0) + 1e-9
    terms = np.column_stack([(terms - middle) / scale, np.ones(len(terms))])
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: Array) -> tuple[float, Array]:
        margin = sign * (terms @ weights)
        free = np.append(weights[:-1], 0.0)
        slope = terms.T @ (-shares * sign / (1 + np.exp(margin)))
        return (
            float(shares @ np.logaddexp(0, -margin)) + RIDGE_CONFIDENCE * float(free @ free),
            slope + 2 * RIDGE_CONFIDENCE * free,
        )

    found = minimize(loss, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B").x
    raw = found[:-1] / scale
    return {CONSTANT: float(found[-1] - raw @ middle)} | dict(zip(names, raw.tolist(), strict=True))


def probability(rows: Sequence[Mapping[str, float]], weights: Mapping[str, float]) -> Array:
    """Of each row, by a logistic model."""
    total = [sum(w * row.get(name, 1.0) for name, w in weights.items()) for row in rows]
    return np.asarray(1 / (1 + np.exp(-np.array(total))))


def balance(cases: Sequence[Case]) -> Array:
    """Let the two sides count alike: Mpro, and all other proteins."""
    ours = np.array([case.protein == MPRO for case in cases])
    share = np.where(ours, 0.5 / max(ours.sum(), 1), 0.5 / max((~ours).sum(), 1))
    return np.asarray(share / share.mean())


def folds_of(cases: Sequence[Case]) -> NDArray[np.intp]:
    """Group of each case: no protein is in two groups."""
    others = sorted({case.protein for case in cases} - {MPRO})
    return np.array([FOLDS if c.protein == MPRO else others.index(c.protein) % FOLDS for c in cases])


def judge(value: Array, right: NDArray[np.bool_]) -> dict[str, float]:
    """How well probabilities hold."""
    sure, found = value > 0.8, calibrate(value.tolist(), right.tolist())
    return {
        "targets": len(value),
        "auroc": round(found.auroc or 0.0, 3),
        "calibration_error": round(found.error, 3),
        "brier": round(found.brier, 3),
        "above_0.8": int(sure.sum()),
        "right_above_0.8": round(float(right[sure].mean()), 3) if sure.any() else float("nan"),
    }


def main() -> None:
    """Sample, fit, judge, and store."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=int)
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.targets and options.store:
        parser.error("--store fits all targets; leave out --targets")
    cases = sample_all(options.folder, options.targets)
    fold, shares = folds_of(cases), balance(cases)

    held_out: list[Mapping[str, float]] = [{}] * len(cases)
    for group in np.unique(fold):
        seen = [case for case, own in zip(cases, fold, strict=True) if own != group]
        found = fit_ranking([case.minimised for case in seen], MINIMISED, balance(seen))
        for index in np.flatnonzero(fold == group).tolist():
            held_out[index] = found
    rows, right = [], []
    success = np.zeros((3, len(cases)), np.bool_)
    for index, (case, own) in enumerate(zip(cases, held_out, strict=True)):
        poses = case.minimised
        best = list(islice(clusters(poses.xyz, poses.score(own)), 5))
        near = poses.rmsd[[cluster.centre for cluster in best]]
        success[:, index] = near[0] <= 1, near[0] <= RIGHT, near.min() <= RIGHT
        consensus = float(poses.terms["consensus"][best[0].centre])
        rows.append({**case.evidence, "log_odds": log_odds(best[0].probability), "consensus": consensus})
        right.append(near[0] <= RIGHT)
    outcome = np.array(right)
    measured: dict[str, dict[str, float]] = {}
    for what, names in (("confidence", CONFIDENCE), ("prior confidence", PRIOR_CONFIDENCE)):
        value = np.zeros(len(cases))
        for group in np.unique(fold):
            out = fold == group
            seen = [case for case, left in zip(cases, out, strict=True) if not left]
            model = fit_logistic(
                [row for row, left in zip(rows, out, strict=True) if not left],
                outcome[~out],
                names,
                balance(seen),
            )
            value[out] = probability([row for row, left in zip(rows, out, strict=True) if left], model)
        ours = fold == FOLDS
        for side, chosen in (("all", ours | ~ours), ("Mpro", ours), ("other proteins", ~ours)):
            measured[f"{what}, {side}"] = judge(value[chosen], outcome[chosen])
            print(f"{what}, {side}: {measured[f'{what}, {side}']}")
    for side, chosen in (("Mpro", fold == FOLDS), ("other proteins", fold != FOLDS)):
        counts, total = success[:, chosen].sum(axis=1).tolist(), int(chosen.sum())
        low, high = wilson_interval(counts[1], total)
        names_of = ("within_1", "within_2", "best_of_5")
        measured[f"ranking, {side}"] = {"targets": total, **dict(zip(names_of, counts, strict=True))}
        print(f"ranking, {side}: {measured[f'ranking, {side}']}, within 2 A {low:.1%} to {high:.1%}")
    proteins = {case.protein for case in cases}
    content: dict[str, Any] = {
        "made_by": "python benchmarks/weights.py --store",
        "fitted_on": f"{len(cases)} targets of {len(proteins)} proteins: {', '.join(TRAINING)}",
        "placed": fit_ranking([case.placed for case in cases], PLACED, shares),
        "minimised": fit_ranking([case.minimised for case in cases], MINIMISED, shares),
        "confidence": fit_logistic(rows, outcome, CONFIDENCE, shares),
        "prior_confidence": fit_logistic(rows, outcome, PRIOR_CONFIDENCE, shares),
        "on_proteins_left_out": measured,
    }
    for term in TERMS:
        for kind in ("placed", "minimised"):
            weight = content[kind].get(term.name, 0.0)
            if weight and (weight > 0) != (term.better == "more"):
                print(f"{kind}: the weight of {term.name} has the wrong sign, {term.better} of it is better")
    text = json.dumps(rounded(content), indent=2)
    print(text)
    if options.store:
        (Path(shipped.__file__).parent / shipped.FILE).write_text(text + "\n")


def rounded(value: object) -> object:
    """Four digits of each number are more than the data support."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
