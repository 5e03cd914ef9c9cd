"""Shows whether poses chosen for a whole series at once are right more often than those of each member alone.

    python benchmarks/series.py FOLDER [--sets polaris sars cdk2 ...]

FOLDER keeps the libraries (`sets.py` says what the sets are) and the samples. What is in one series is held
out together, so that no member is a template of another:

========== ============================================ ==================================================
set        targets                                      templates
========== ============================================ ==================================================
polaris    the 98 of the Polaris test set               its training set
sars       560 ligands of the SARS training set, each   the other four folds
           once, in five folds
cdk2       164 CDK2 complexes deposited from 2007 on    those from before
complexes  126 complexes of 19 proteins, in two halves  the other half, and the other proteins
========== ============================================ ==================================================

Each is sampled alone, in its own receptor where it has one. Then poses are chosen together by mean field: of
each member's clusters those become likelier whose atoms of a core shared with another member lie where that
one's clusters have them, by how likely those are. Of the others the SMILES alone is used. The weight is
fitted on the proteins left out, by the likelihood of right clusters; 0 is allowed. As a bound, the same with
the others where their crystals have them (the best weight for that is taken).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from series_samples import SETS, Member, samples_of

from templ.evaluation.comparison import mcnemar
from templ.library.fingerprints import fingerprint, tanimoto
from templ.templates.mcs import connected_cores

Array = NDArray[np.float64]

RIGHT = 2.0
"""Angstrom."""
NEIGHBOURS, ALIKE, LARGE = 10, 0.25, 0.5
"""Members that each is compared with, the most similar; their least Tanimoto similarity; the least share of
both that the core has."""
REACH = 1.5
"""Angstrom: shared atoms that lie so far apart support each other 1/e of what they do in one place."""
WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
ROUNDS = 10
TINY = 1e-3
DRAWS = 2000
CLOSE = 1.0
"""Angstrom: cores of two members that lie in one place."""
HEAD = (
    "| set | targets | in a pair | weight | alone, within 2 A | series | | change | p | bound | pairs within "
    "1 A: alone, series, crystals |\n" + "| --- " * 11 + "|"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two members, by index, with a large core in common: RMSD of its atoms between their poses, Angstrom."""

    a: int
    b: int
    apart: Array
    weight: float
    crystals: float | None


def pairs_of(members: Sequence[Member]) -> list[Pair]:
    """Members of one series that have a large core in common, each with its nearest neighbours."""
    prints = np.array([fingerprint(member.mol) for member in members])
    series = np.array([member.planned.series for member in members])
    wanted = set()
    for a, own in enumerate(prints):
        alike = np.where(series == series[a], tanimoto(own, prints), 0.0)
        alike[a] = 0
        nearest = np.argsort(-alike, kind="stable")[:NEIGHBOURS]
        wanted |= {(min(a, int(b)), max(a, int(b))) for b in nearest if alike[b] >= ALIKE}
    return [pair for a, b in sorted(wanted) if (pair := _pair(members, a, b)) is not None]


def _pair(members: Sequence[Member], a: int, b: int) -> Pair | None:
    here, there = members[a], members[b]
    cores = connected_cores(here.mol, there.mol)
    shares = [len(cores[0]) / each.mol.GetNumAtoms() for each in (here, there)] if cores else [0.0]
    if min(shares) < LARGE:
        return None

    def apart(own: NDArray[np.floating], its: NDArray[np.floating]) -> Array:
        ways = [(own[:, None, list(core)] - its[None][:, :, list(core.values())]) for core in cores]
        return np.asarray(np.sqrt(np.min([(way**2).sum(axis=-1).mean(axis=-1) for way in ways], axis=0)))

    crystals = None
    if here.crystal is not None and there.crystal is not None:
        crystals = float(apart(here.crystal[None], there.crystal[None])[0, 0])
    return Pair(a, b, apart(here.xyz, there.xyz), shares[0] * shares[1], crystals)


def together(
    members: Sequence[Member], pairs: Sequence[Pair], weight: float, *, known: bool = False
) -> list[Array]:
    """Support of each member's poses by the others, times `weight`; `known`: the others are where they are.

    Mean field: each is supported by the others' poses, as likely as those are by their own support.
    """
    likely = [np.maximum(member.gain, TINY) for member in members]
    if known:
        now = [(member.rmsd == member.rmsd.min()).astype(float) for member in members]
    else:
        now = [each / each.sum() for each in likely]
    support = [np.zeros(len(each)) for each in now]
    for _ in range(1 if known else ROUNDS):
        total = [np.zeros(len(each)) for each in now]
        weights = np.ones(len(members))  # what is no neighbour's
        for pair in pairs:
            near = pair.weight * np.exp(-((pair.apart / REACH) ** 2))
            total[pair.a] += near @ now[pair.b]
            total[pair.b] += now[pair.a] @ near
            weights[[pair.a, pair.b]] += pair.weight
        support = [weight * each / by for each, by in zip(total, weights, strict=True)]
        if not known:
            now = [each * np.exp(more) for each, more in zip(likely, support, strict=True)]
            now = [each / each.sum() for each in now]
    return support


def chosen_poses(members: Sequence[Member], support: Sequence[Array]) -> list[int]:
    """Pose of each member, by index."""
    likely = [
        np.log(np.maximum(member.score, 1e-6)) + more for member, more in zip(members, support, strict=True)
    ]
    return [int(each.argmax()) for each in likely]


def likelihood(members: Sequence[Member], support: Sequence[Array]) -> Array:
    """Logarithm of the probability of what is right, for each member; 0 where nothing right was sampled."""
    found = []
    for member, more in zip(members, support, strict=True):
        share = np.maximum(member.gain, TINY) * np.exp(more)
        right = member.rmsd <= RIGHT
        found.append(np.log(max(share[right].sum() / share.sum(), TINY)) if right.any() else 0.0)
    return np.array(found)


def main() -> None:
    """Sample, fit, choose, print."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    posed: dict[str, list[Member]] = {}
    planned: dict[str, int] = {}
    for name in options.sets:
        found = samples_of(name, options.folder)
        posed[name], planned[name] = [each for each in found if each is not None], len(found)
    pairs = {name: pairs_of(members) for name, members in posed.items()}
    support = {
        (name, weight): together(posed[name], pairs[name], weight) for name in posed for weight in WEIGHTS
    }
    proteins = {name: np.array([each.planned.protein for each in posed[name]]) for name in posed}
    by_weight = {key: likelihood(posed[key[0]], each) for key, each in support.items()}

    def fitted(protein: str) -> float:
        def without(weight: float) -> float:
            return sum(float(by_weight[name, weight][proteins[name] != protein].sum()) for name in posed)

        return max(WEIGHTS, key=without)

    weights = {protein: fitted(protein) for protein in np.unique(np.concatenate(list(proteins.values())))}
    print(HEAD)
    for name, members in posed.items():
        show(name, members, pairs[name], planned[name], support, [weights[each] for each in proteins[name]])


def show(
    name: str,
    members: Sequence[Member],
    pairs: Sequence[Pair],
    planned: int,
    support: Mapping[tuple[str, float], list[Array]],
    weights: Sequence[float],
) -> None:
    """Print a row of the table, and what every weight would have done."""
    poses = {weight: chosen_poses(members, support[name, weight]) for weight in WEIGHTS}
    picked = [poses[weight][number] for number, weight in enumerate(weights)]
    alone, series = right(members, poses[0.0]), right(members, picked)
    bound = {
        weight: right(members, chosen_poses(members, together(members, pairs, weight, known=True)))
        for weight in WEIGHTS
    }
    best = max(WEIGHTS, key=lambda weight: int(bound[weight].sum()))
    low, high = interval(series.astype(float) - alone, planned)
    won, lost = int((series & ~alone).sum()), int((alone & ~series).sum())
    near = [close(pairs, each) for each in (poses[0.0], picked)]
    crystals = [pair.crystals for pair in pairs if pair.crystals is not None]
    row = (
        name,
        planned,
        len({end for pair in pairs for end in (pair.a, pair.b)}),
        " ".join(f"{weight:g}" for weight in sorted(set(weights))),
        f"{alone.sum()} ({alone.sum() / planned:.1%})",
        f"{series.sum()} ({series.sum() / planned:.1%})",
        f"+{won} -{lost}",
        f"{(series.sum() - alone.sum()) / planned:+.1%} ({low:+.1%} to {high:+.1%})",
        f"{mcnemar(won, lost):.2f}",
        f"{bound[best].sum()} at {best:g}",
        f"{near[0]:.0%}, {near[1]:.0%}, {np.mean(np.array(crystals) <= CLOSE):.0%}",
    )
    print("| " + " | ".join(map(str, row)) + " |")
    changes = (right(members, poses[weight]) for weight in WEIGHTS)
    told = (
        f"{weight:g}: +{(now & ~alone).sum()} -{(alone & ~now).sum()}"
        for weight, now in zip(WEIGHTS, changes, strict=True)
    )
    print("  by weight:", ", ".join(told), flush=True)


def right(members: Sequence[Member], poses: Sequence[int]) -> NDArray[np.bool_]:
    """Whether each of these poses is right."""
    return np.array([member.rmsd[number] <= RIGHT for member, number in zip(members, poses, strict=True)])


def close(pairs: Sequence[Pair], poses: Sequence[int]) -> float:
    """Share of pairs whose cores lie in one place."""
    return float(np.mean([pair.apart[poses[pair.a], poses[pair.b]] <= CLOSE for pair in pairs]))


def interval(change: Array, planned: int) -> tuple[float, float]:
    """95 % interval of the mean change of all targets, by bootstrap over them."""
    every = np.zeros(planned)
    every[: len(change)] = change
    draws = np.random.default_rng(1).choice(every, (DRAWS, planned)).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
