"""Fit the weights of ranking and confidence, and say how well they hold on proteins they were not fitted on.

    python benchmarks/weights.py FOLDER [--ranking] [--targets N] [--figure FILE] [--store]

FOLDER keeps the libraries and the predictions (`samples.py`; half an hour on two cores the first time).
Fits on the training sets of `sets.py`, in their own receptors and in those of other crystals, never on
Polaris' test set, and prints what every fit achieves on the proteins left out of it. `--targets` takes only
so many of each set, to try a fit out. `--store` writes src/templ/scoring/weights.json, with the digests of
the data.

`--ranking` fits the weights of the terms of all poses anew too, which moves poses: these have to be predicted
again then. `--figure FILE` draws how well the confidence holds.

Ranking: the weights of the registered terms (`templ.scoring.terms`) under which the probability of the
poses (softmax of their weighted terms) lies most on those within 2 Angstrom of the truth; then the weight
of the network, the same among clusters. Confidence: logistic models of whether the first pose is right,
selected with weights fitted without its protein. A protein counts as the square root of its targets.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from samples import MPRO, Case, Pool, modes, predict_all
from scipy.optimize import minimize, minimize_scalar
from sets import OWN_RECEPTORS, TRAINING, open_set

from templ.chemistry.geometry import rmsd
from templ.evaluation.calibration import calibrate
from templ.evaluation.success_rate import wilson_interval
from templ.scoring import weights as shipped
from templ.scoring.confidence import CONFIDENCE, OTHER, OWN, PRIOR_CONFIDENCE, log_odds
from templ.scoring.posterior import clusters
from templ.scoring.terms import TERMS
from templ.scoring.weights import CONSTANT, fitted_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Measured = dict[str, dict[str, float]]

PLACED = tuple(term.name for term in TERMS if not (term.minimised or term.selected))
TOLD_BY_CONTACT = ("receptor_clash", "core_rmsd")
"""Terms of poses as placed that say nothing more once poses are minimised: `contact` and the grid know."""
MINIMISED = tuple(term.name for term in TERMS if term.name not in TOLD_BY_CONTACT and not term.selected)
NETWORK = "network"
RIGHT, SOFT = 2.0, 0.2
"""Angstrom: a pose is right within this; over what width it ceases to be, in the fit of the ranking."""
HOPELESS = 2.5
"""Angstrom: a target without any pose within this teaches no ranking."""
RIDGE_RANKING, RIDGE_CONFIDENCE = 0.5, 1.0
"""How strongly the standardised weights are drawn to 0."""
FOLDS = 5
"""The proteins of the complexes are left out in so many groups; Mpro is one more."""
CANDIDATES = 12
"""Clusters among which the first pose is chosen."""
SAME_POSE = 1.0
"""Angstrom RMSD: a centre this near to one that the network judged has its judgement."""
SEEN = ("tanimoto", "query_atoms", "rotors")
"""Evidence whose range is kept."""
DRAWS = 200
"""Draws by which chance is told from a fault of calibration."""
BANDS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 1.01))
"""Tanimoto of the nearest template."""


@dataclass(frozen=True, slots=True)
class First:
    """The pose that would be handed out first: what its confidence is told by, and whether it is right."""

    terms: Mapping[str, float]
    rmsd: float
    best_of_five: float


def sample_all(folder: Path, targets: int | None = None) -> list[Case]:
    """Sample every training set in every receptor."""
    cases: list[Case] = []
    for name in TRAINING:
        for mode in modes(name):
            found = [sampled.case for sampled in predict_all(name, folder, mode, targets=targets)]
            cases += [case for case in found if case is not None]
            missing = sum(case is None for case in found)
            print(f"{name}, {mode}: {len(found)} targets, {missing} without poses", flush=True)
    return cases


def fit_ranking(pools: Sequence[Pool], names: Sequence[str], shares: Array) -> dict[str, float]:
    """Fit weights of terms by the likelihood of the right poses."""
    spread = np.concatenate([(terms := pool.matrix(names)) - terms.mean(axis=0) for pool in pools])
    scale = np.percentile(np.abs(spread), 68, axis=0) + 1e-9  # as a deviation, but blind to outliers
    chosen = [
        (
            pool.matrix(names) / scale,
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


@dataclass(frozen=True, slots=True)
class Candidates:
    """Clusters of a case, one an element: centre, score, probability, and what the network says of it."""

    centres: NDArray[np.intp]
    score: Array
    probability: Array
    network: Array


def candidates(case: Case, weights: Mapping[str, float]) -> Candidates:
    """Find the clusters that the first pose is chosen among, by some weights of the ranking."""
    poses, judged = case.minimised, case.judged
    found = list(islice(clusters(poses.xyz.astype(np.float64), poses.score(weights)), CANDIDATES))
    centres = np.array([cluster.centre for cluster in found])
    said = judged.terms[NETWORK].astype(np.float64)
    value = []
    for centre in poses.xyz[centres].astype(np.float64):
        gaps = rmsd(judged.xyz.astype(np.float64), centre)
        # Of a centre that was not among those judged nothing is known: it counts as these do on average.
        value.append(float(said[gaps.argmin()] if gaps.min() <= SAME_POSE else said.mean()))
    return Candidates(
        centres,
        np.array([cluster.score for cluster in found]),
        np.array([cluster.probability for cluster in found]),
        np.array(value),
    )


def fit_network(
    cases: Sequence[Case], found: Sequence[Candidates], shares: Array, chosen: NDArray[np.bool_]
) -> float:
    """Fit the weight of the network among clusters, on the cases chosen, shape (cases,)."""
    known = [
        (np.log(each.score + 1e-9), each.network, right, share)
        for case, each, share, own in zip(cases, found, shares.tolist(), chosen.tolist(), strict=True)
        if own and (right := case.minimised.rmsd[each.centres] <= RIGHT).any()
    ]

    def loss(weight: float) -> float:
        total = RIDGE_RANKING * weight**2
        for score, said, right, share in known:
            value = score + weight * said
            likely = np.exp(value - value.max())
            total -= share * float(np.log(likely[right].sum() / likely.sum()))
        return total

    return float(minimize_scalar(loss, bounds=(0.0, 3.0), method="bounded").x)


def first_of(case: Case, found: Candidates, network: float) -> First:
    """Choose the first pose, as `templ.poses.pose_selection` does."""
    factor = np.exp(network * (found.network - found.network.max()))
    score, probability = (
        share * factor * share.sum() / (share * factor).sum() for share in (found.score, found.probability)
    )
    order = np.argsort(-score, kind="stable")[:5]
    near = case.minimised.rmsd[found.centres[order]]
    terms = {
        **case.evidence,
        "log_odds": log_odds(float(probability[order[0]])),
        "consensus": float(case.minimised.terms["consensus"][found.centres[order[0]]]),
        NETWORK: float(found.network[order[0]]),
    }
    return First(terms, float(near[0]), float(near.min()))


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
    total = [sum(w * (1.0 if name == CONSTANT else row[name]) for name, w in weights.items()) for row in rows]
    return np.asarray(1 / (1 + np.exp(-np.array(total))))


def balance(cases: Sequence[Case]) -> Array:
    """Let each protein count as the square root of its targets."""
    counts = Counter(case.protein.lower() for case in cases)
    share = np.array([counts[case.protein.lower()] ** -0.5 for case in cases])
    return np.asarray(share / share.mean())


def folds_of(cases: Sequence[Case]) -> NDArray[np.intp]:
    """Group of each case: no protein is in two groups, by whatever receptor and from whatever set."""
    others = sorted({case.protein.lower() for case in cases} - {MPRO.lower()})
    return np.array([FOLDS if c.protein == MPRO else others.index(c.protein.lower()) % FOLDS for c in cases])


def judge(value: Array, right: NDArray[np.bool_]) -> dict[str, float]:
    """How well probabilities hold."""
    sure, found = value > 0.8, calibrate(value.tolist(), right.tolist())
    return {
        "targets": len(value),
        "auroc": round(found.auroc or 0.0, 3),
        "calibration_error": round(found.error, 3),
        "calibration_error_by_chance": round(error_by_chance(value), 3),
        "brier": round(found.brier, 3),
        "above_0.8": int(sure.sum()),
        **({"right_above_0.8": round(float(right[sure].mean()), 3)} if sure.any() else {}),
    }


def error_by_chance(value: Array) -> float:
    """Calibration error that probabilities which hold exactly would show on so few targets, in the mean."""
    random = np.random.default_rng(0)
    drawn = [random.uniform(size=len(value)) < value for _ in range(DRAWS)]
    return float(np.mean([calibrate(value.tolist(), right.tolist()).error for right in drawn]))


def model_of(case: Case) -> str:
    """Which model of confidence a case belongs to."""
    return OWN if case.mode == OWN and case.name in OWN_RECEPTORS else OTHER


def left_out_ranking(cases: Sequence[Case], fold: NDArray[np.intp]) -> list[Mapping[str, float]]:
    """Weights of the ranking for each case, fitted without its protein."""
    found: list[Mapping[str, float]] = [{}] * len(cases)
    for group in np.unique(fold):
        seen = [case for case, own in zip(cases, fold, strict=True) if own != group]
        weights = fit_ranking([case.minimised for case in seen], MINIMISED, balance(seen))
        for index in np.flatnonzero(fold == group).tolist():
            found[index] = weights
    return found


def left_out_network(
    cases: Sequence[Case], found: Sequence[Candidates], fold: NDArray[np.intp], shares: Array
) -> Array:
    """Weight of the network for each case, fitted without its protein."""
    weights, kind = np.zeros(len(cases)), np.array([model_of(case) for case in cases])
    for which in (OWN, OTHER):
        for group in np.unique(fold):
            weights[(kind == which) & (fold == group)] = fit_network(
                cases, found, shares, (kind == which) & (fold != group)
            )
    return weights


def count_right(cases: Sequence[Case], firsts: Sequence[First], label: str) -> Measured:
    """Count by set and receptor how many first poses are right."""
    measured: Measured = {}
    for name in TRAINING:
        for mode in modes(name):
            pairs = zip(firsts, cases, strict=True)
            own = [first for first, case in pairs if (case.name, case.mode) == (name, mode)]
            if not own:
                continue
            told: dict[str, float] = {
                "targets": len(own),
                "within_1": sum(first.rmsd <= 1 for first in own),
                "within_2": sum(first.rmsd <= RIGHT for first in own),
                "best_of_5": sum(first.best_of_five <= RIGHT for first in own),
            }
            measured[f"ranking, {label}, {name}, {mode}"] = told
            low, high = wilson_interval(int(told["within_2"]), len(own))
            print(f"ranking, {label}, {name}, {mode}: {told}, within 2 A {low:.1%} to {high:.1%}")
    return measured


@dataclass(frozen=True, slots=True)
class Confidence:
    """Models of confidence by kind of receptor, and for each case what those fitted without it say."""

    models: dict[str, dict[str, float]]
    left_out: Array


def fit_confidence(
    firsts: Sequence[First],
    right: NDArray[np.bool_],
    kind: NDArray[np.str_],
    names: Sequence[str],
    fold: NDArray[np.intp],
    shares: Array,
) -> Confidence:
    """Fit a logistic model for each kind of receptor; `kind`, shape (cases,), has the names of these."""

    def fit(chosen: NDArray[np.bool_]) -> dict[str, float]:
        rows = [firsts[index].terms for index in np.flatnonzero(chosen).tolist()]
        return fit_logistic(rows, right[chosen], names, shares[chosen])

    value = np.zeros(len(firsts))
    for which in (OWN, OTHER):
        for group in np.unique(fold[kind == which]):
            out = (kind == which) & (fold == group)
            rows = [firsts[index].terms for index in np.flatnonzero(out).tolist()]
            value[out] = probability(rows, fit((kind == which) & (fold != group)))
    return Confidence({which: fit(kind == which) for which in (OWN, OTHER)}, value)


def parts_of(kind: NDArray[np.str_], tanimoto: Array) -> dict[str, NDArray[np.bool_]]:
    """Divide cases by kind of receptor, and by similarity of the nearest template."""
    parts = {"all": kind != "", OWN: kind == OWN, OTHER: kind == OTHER}
    for which in (OWN, OTHER):
        for low, high in BANDS:
            band = (tanimoto >= low) & (tanimoto < high)
            parts[f"{which}, nearest template {low:g} to {high:g}"] = (kind == which) & band
    return parts


def draw(value: Array, right: NDArray[np.bool_], parts: Mapping[str, NDArray[np.bool_]], path: Path) -> None:
    """Draw how well the confidence holds: one plot for each kind of receptor and band of similarity."""
    from matplotlib.figure import Figure

    chosen = {label: part for label, part in parts.items() if "nearest" in label and part.any()}
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, len(BANDS), sharex=True, sharey=True)
    for plot, (label, part) in zip(axes.flat, chosen.items(), strict=True):
        found = calibrate(value[part].tolist(), right[part].tolist())
        plot.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        plot.plot(
            [each.promised for each in found.bins], [each.right for each in found.bins], color="#1b6ca8"
        )
        sizes = [4 + 1.5 * each.count for each in found.bins]
        plot.scatter(
            [each.promised for each in found.bins],
            [each.right for each in found.bins],
            sizes,
            color="#1b6ca8",
        )
        which, _, band = label.partition(", nearest template ")
        plot.set_title(f"{which} receptor, {int(part.sum())} targets\nTanimoto {band}", fontsize=9)
        plot.text(0.03, 0.93, f"calibration error {found.error:.2f}", fontsize=8)
    figure.supxlabel("confidence, by a model that has not seen the protein")
    figure.supylabel("share of first poses within 2 A")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Sample, fit, judge, and store."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=int)
    parser.add_argument("--figure", type=Path)
    for option in ("--ranking", "--store"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.targets and options.store:
        parser.error("--store fits all targets; leave out --targets")
    cases, now = sample_all(options.folder, options.targets), fitted_weights()
    fold, shares = folds_of(cases), balance(cases)
    refitted = [
        candidates(case, weights) for case, weights in zip(cases, left_out_ranking(cases, fold), strict=True)
    ]
    kept = refitted if options.ranking else [candidates(case, now.minimised) for case in cases]
    kind = np.array([model_of(case) for case in cases])
    network = left_out_network(cases, kept, fold, shares)
    print("weight of the network, by group left out:", np.round(np.unique(network), 2).tolist())
    if not options.ranking:
        network = np.array([now.selected[which][NETWORK] for which in kind.tolist()])
    measured: Measured = {}
    for label, found, weight in (
        ("fitted anew, no network", refitted, np.zeros(len(cases))),
        ("no network", kept, np.zeros(len(cases))),
        ("with the network", kept, network),
    ):
        firsts = list(map(first_of, cases, found, weight.tolist()))
        measured |= count_right(cases, firsts, label)
    right = np.array([first.rmsd <= RIGHT for first in firsts])
    parts = parts_of(kind, np.array([case.evidence["tanimoto"] for case in cases]))
    confidence = fit_confidence(firsts, right, kind, CONFIDENCE, fold, shares)
    prior = fit_confidence(firsts, right, kind, PRIOR_CONFIDENCE, fold, shares)
    for what, value in (("confidence", confidence.left_out), ("prior_confidence", prior.left_out)):
        for label, chosen in parts.items():
            if chosen.any():
                measured[f"{what}, {label}"] = judge(value[chosen], right[chosen])
                print(f"{what}, {label}: {measured[f'{what}, {label}']}")
    if options.figure:
        draw(confidence.left_out, right, parts, options.figure)
    ranking: dict[str, Any] = {name: getattr(now, name) for name in ("placed", "minimised", "selected")}
    if options.ranking:
        ranking = {
            "placed": fit_ranking([case.placed for case in cases], PLACED, shares),
            "minimised": fit_ranking([case.minimised for case in cases], MINIMISED, shares),
            "selected": {
                which: {NETWORK: fit_network(cases, kept, shares, kind == which)} for which in (OWN, OTHER)
            },
        }
    proteins = {case.protein.lower() for case in cases}
    counted = Counter((case.name, case.mode) for case in cases)
    content: dict[str, Any] = {
        "made_by": f"python benchmarks/weights.py {'--ranking ' if options.ranking else ''}--store",
        "made_on": datetime.now(UTC).date().isoformat(),
        "fitted_on": f"{len(cases)} predictions for {len(proteins)} proteins",
        "sets": {f"{name}, {mode}": count for (name, mode), count in counted.items()},
        "data": {name: open_set(name, options.folder).library.digest for name in TRAINING},
        **ranking,
        "confidence": confidence.models,
        "prior_confidence": prior.models,
        "seen": {
            name: [min(case.evidence[name] for case in cases), max(case.evidence[name] for case in cases)]
            for name in SEEN
        },
        "on_proteins_left_out": measured,
    }
    warn_of_signs(content)
    text = json.dumps(rounded(content), indent=2)
    print(text)
    if options.store:
        (Path(shipped.__file__).parent / shipped.FILE).write_text(text + "\n")


def warn_of_signs(content: Mapping[str, Any]) -> None:
    """Say which weights go against what their term says of itself."""
    for term in TERMS:
        for part in ("placed", "minimised", "selected"):
            fitted = content[part]
            weight = (fitted if part != "selected" else fitted[OTHER]).get(term.name, 0.0)
            if weight and (weight > 0) != (term.better == "more"):
                print(f"{part}: the weight of {term.name} has the wrong sign, {term.better} is better")


def rounded(value: object) -> object:
    """Four digits of each number are more than the data support."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
