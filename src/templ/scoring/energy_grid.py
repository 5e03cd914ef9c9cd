"""Energy of each atom of a pose, tabulated in space: contacts with the receptor, density of the templates.

Built once a query on a grid, it gives energy and gradient of hundreds of poses at a time in milliseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.receptor import Atoms
from templ.scoring.shape import WIDTH, Shape
from templ.scoring.vina import AtomTypes, hydrogen_bond, hydrophobic, ligand_types, receptor_types, steric

Floats = NDArray[np.float32]

SPACING = 0.5
"""Angstrom between points of the grid."""
MARGIN = 3.0
"""Angstrom of grid around the poses, and no pose may go farther;"""
HALF = 16.0
"""but never more than this from their middle: a stray pose must not make the grid large."""
REACH = 6.0
"""Angstrom within which a receptor atom acts."""
RADIUS_CLASSES = np.array([1.7, 1.9, 2.05], np.float32)
"""Angstrom: radii of ligand atoms, rounded to these, so that three grids serve all elements."""
POLAR_RADIUS, CARBON_RADIUS = 1.75, 1.9
"""Angstrom: of ligand atoms in hydrogen bonds, and in hydrophobic contacts."""
SHAPE_DEPTH, FEATURE_DEPTH = 0.3, 0.15
"""kcal/mol where the templates' density is 1: for its shape, and for each feature shared with it."""
OUTSIDE = 2.0
"""kcal/mol that an Angstrom outside the grid costs."""
STEP = 0.02
"""Angstrom between distances at which contacts are tabulated."""


class EnergyGrid:
    """Energy of poses among templates and, where there is one, in a receptor.

    Parameters
    ----------
    query : PreparedQuery
        Whose poses these are.
    poses : array, shape (poses, atoms, 3)
        Angstrom; the grid spans them.
    templates : list of Shape
        Their density attracts the query's atoms.
    weights : array, shape (templates,)
        How much each counts; their sum is taken as 1.
    receptor : Atoms, optional
        Makes contacts.
    receptor_weight : array, shape (receptor atoms,)
        How much contacts with each atom count, 0 to 1.
    """

    def __init__(
        self,
        query: PreparedQuery,
        poses: NDArray[np.floating],
        templates: list[Shape],
        weights: NDArray[np.floating],
        receptor: Atoms | None,
        receptor_weight: NDArray[np.float32],
    ) -> None:
        middle = np.median(poses, axis=(0, 1))
        low = np.maximum(poses.min(axis=(0, 1)) - MARGIN, middle - HALF)
        high = np.minimum(poses.max(axis=(0, 1)) + MARGIN, middle + HALF)
        low = np.floor(low / SPACING) * SPACING  # so that no pose shifts the points
        self._low = low.astype(np.float32)
        self._shape = tuple((np.ceil((high - low) / SPACING) + 1).astype(int).tolist())
        types = ligand_types(query.mol)
        radius = np.abs(RADIUS_CLASSES[None] - types.radii[:, None]).argmin(axis=1)
        features = query.features > 0
        # What both donates and accepts has a row of its own: each pair makes one hydrogen bond.
        both = types.donor & types.acceptor
        flags = np.stack([types.hydrophobic, types.donor & ~both, types.acceptor & ~both, both], axis=1)
        kinds, kind = np.unique(np.column_stack([radius, flags, features]), axis=0, return_inverse=True)
        self._kind = kind.reshape(-1)  # NumPy 2.0.0 gives it a second axis
        contacts = None if receptor is None else self._contacts(receptor, receptor_weight)
        density = self._density(templates, (weights / weights.sum()).astype(np.float32))
        touch, maps = np.zeros((2, len(kinds), *self._shape), np.float32)
        for number, kind in enumerate(kinds):
            shared = np.flatnonzero(kind[5:])
            if contacts is not None:
                own = [int(kind[0]), *(len(RADIUS_CLASSES) + np.flatnonzero(kind[1:5])).tolist()]
                touch[number] = contacts[own].sum(axis=0)
            maps[number] = (
                touch[number] - SHAPE_DEPTH * density[0] - FEATURE_DEPTH * density[1 + shared].sum(axis=0)
            )
        self._contacts_only, self._all = touch.ravel(), maps.ravel()

    def __call__(self, poses: Floats) -> tuple[Floats, Floats]:
        """Energy of each pose, shape (poses,), and its gradient, shape (poses, atoms, 3)."""
        return self._interpolate(self._all, poses)

    def contacts(self, poses: Floats) -> Floats:
        """Energy of each pose's contacts alone, shape (poses,), kcal/mol; 0 without a receptor."""
        return self._interpolate(self._contacts_only, poses)[0]

    def _interpolate(self, maps: Floats, poses: Floats) -> tuple[Floats, Floats]:
        # Points and axes come first, poses and atoms last: NumPy is slow where the last axis has three.
        axes_first = np.ascontiguousarray(np.moveaxis(poses - self._low, -1, 0))
        position = np.asarray(axes_first / np.float32(SPACING), np.float32)
        # A spline reaches one point to each side, so the outermost half cell cannot be used.
        last = np.array(self._shape, np.float32)[:, None, None] - np.float32(1.51)
        inside = np.clip(position, np.float32(0.51), last)
        beyond = position - inside
        middle = np.rint(inside)
        weights, slopes = _spline(inside - middle)
        (along_x, along_y, along_z), (slope_x, slope_y, slope_z) = weights, slopes
        _, ny, nz = self._shape
        x, y, z = middle.astype(np.intp) - 1
        start = ((self._kind * self._shape[0] + x) * ny + y) * nz + z
        three = np.arange(3)
        points = (three[:, None, None] * ny + three[:, None]) * nz + three
        near = maps.take(start + points[..., None, None])
        by_z, by_slope_z = _contract(near, along_z), _contract(near, slope_z)
        by_y, by_slope_y = _contract(by_z, along_y), _contract(by_z, slope_y)
        energy = _contract(by_y, along_x) + OUTSIDE * SPACING * np.abs(beyond).sum(axis=0)
        gradient = np.stack(
            [
                _contract(by_y, slope_x),
                _contract(by_slope_y, along_x),
                _contract(_contract(by_slope_z, along_y), along_x),
            ]
        ) / np.float32(SPACING)
        # Beyond the edge nothing but the way back counts: what the grid last said may point outwards.
        gradient = np.where(beyond == 0, gradient, OUTSIDE * np.sign(beyond))
        return energy.sum(axis=1), np.ascontiguousarray(np.moveaxis(gradient, 0, -1))

    def _contacts(self, receptor: Atoms, receptor_weight: NDArray[np.float32]) -> Floats:
        """Energy at each point: steric by class of radius, then hydrophobic, donor, acceptor, both."""
        high = self._low + SPACING * np.array(self._shape, np.float32)
        inside = ((receptor.xyz > self._low - REACH) & (receptor.xyz < high + REACH)).all(axis=1)
        inside &= receptor_weight > 0
        near, weight = receptor.only(inside), receptor_weight[inside]
        types = receptor_types(near)
        grids = np.zeros((len(RADIUS_CLASSES) + 4, *self._shape), np.float32)
        tables = {radius: _tabulate(radius) for radius in np.unique(types.radii).tolist()}
        cell = (near.xyz - self._low) / SPACING
        firsts = np.maximum(np.ceil(cell - REACH / SPACING), 0).astype(int)
        ends = np.minimum(np.floor(cell + REACH / SPACING) + 1, self._shape).astype(int)
        for atom, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
            x, y, z = (
                (np.arange(*side) * np.float32(SPACING) + (low - own)) ** 2
                for *side, low, own in zip(first, end, self._low, near.xyz[atom], strict=True)
            )
            box = grids[:, first[0] : end[0], first[1] : end[1], first[2] : end[2]]
            step = (np.sqrt(x[:, None, None] + y[:, None] + z) / STEP).astype(np.int32)
            table = weight[atom] * tables[float(types.radii[atom])]
            for row in (0, 1, 2, *_acting(types, atom)):
                box[row] += table[row].take(step)
        return grids

    def _density(self, templates: list[Shape], weights: Floats) -> Floats:
        """Density of the templates at each point: of all atoms, then of those with each feature."""
        axes = [
            self._low[axis] + SPACING * np.arange(count, dtype=np.float32)
            for axis, count in enumerate(self._shape)
        ]
        density = np.zeros((1 + templates[0].features.shape[1], *self._shape), np.float32)
        for template, weight in zip(templates, weights, strict=True):
            x, y, z = (
                np.exp(-WIDTH * (axis[None] - template.xyz[:, [number]]) ** 2)
                for number, axis in enumerate(axes)
            )
            every = np.ones((len(template.xyz), 1), np.float32)
            flags = weight * np.concatenate([every, template.features], axis=1)
            # A Gaussian is the product of its three axes, so that no point is visited twice.
            density += np.einsum("af,axy,az->fxyz", flags, np.einsum("ax,ay->axy", x, y), z, optimize=True)
        return density


def _spline(offset: Floats) -> tuple[Floats, Floats]:
    """Weights of the three nearest points along each axis, and their slopes: (axes, points, poses, atoms).

    `offset` has shape (axes, poses, atoms). The quadratic B-spline: unlike a linear one its slope has no
    steps, at which poses would hop to and fro.
    """
    half = np.float32(0.5)
    weights = np.stack([half * (half - offset) ** 2, 0.75 - offset**2, half * (half + offset) ** 2], axis=1)
    slopes = np.stack([offset - half, -2 * offset, offset + half], axis=1)
    return weights, slopes


def _contract(values: Floats, weights: Floats) -> Floats:
    """Weighted sum over the last axis of points: (..., points, poses, atoms) and (points, poses, atoms)."""
    return np.asarray(np.einsum("...zpa,zpa->...pa", values, weights))


def _acting(types: AtomTypes, atom: int) -> list[int]:
    """Rows of the grids, beyond the steric ones, to which a receptor atom adds."""
    first = len(RADIUS_CLASSES)
    # A ligand's donor meets the receptor's acceptor, and the other way round.
    donor, acceptor = types.donor[atom], types.acceptor[atom]
    acts = (types.hydrophobic[atom], acceptor, donor, donor or acceptor)
    return [first + row for row, does in enumerate(acts) if does]


def _tabulate(radius: float) -> Floats:
    """Contact with a receptor atom of this radius, one row for each grid, in the middle of each step."""
    distance = np.arange(0, 2 * REACH, STEP, dtype=np.float32) + np.float32(STEP / 2)
    polar = hydrogen_bond(distance - radius - POLAR_RADIUS)
    rows = [steric(distance - radius - own) for own in RADIUS_CLASSES]
    table = np.stack([*rows, hydrophobic(distance - radius - CARBON_RADIUS), polar, polar, polar])
    table[:, distance > REACH] = 0
    return table.astype(np.float32)
