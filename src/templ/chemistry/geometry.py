"""Geometry of many conformers at once: distances, superposition, rotation about bonds; all as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Float = TypeVar("Float", np.float32, np.float64)


CHUNK = 64
"""Poses looked at together where pairs of atoms are: a few MB, however many poses there are."""


def squared_length(vectors: NDArray[Float]) -> NDArray[Float]:
    """Squared length of vectors, shape (..., 3); NumPy sums three of a row slowly, but not so."""
    return np.asarray(np.einsum("...i,...i->...", vectors, vectors))


def unit(vectors: NDArray[Float]) -> NDArray[Float]:
    """Vectors of length 1 in the direction of these, shape (..., 3), none of which is 0."""
    return np.asarray(vectors / np.sqrt(squared_length(vectors))[..., None])


def squared_distances(points: NDArray[Float], others: NDArray[Float]) -> NDArray[Float]:
    """Squared distance of each point from each other point, by a matrix product.

    A third of the time of subtracting, and no array of shape (n, m, 3) is made. Rounding grows with the
    square of the distance from the origin: bring the points near it first.

    Parameters
    ----------
    points, others : array, shape (..., n, d) and (..., m, d)
        Angstrom.

    Returns
    -------
    array, shape (..., n, m)
        Angstrom^2, not negative.

    Examples
    --------
    >>> squared_distances(np.array([[0.0, 0, 0]]), np.array([[0.0, 3, 4], [1, 0, 0]]))
    array([[25.,  1.]])
    """
    squares = squared_length(points)[..., None] + squared_length(others)[..., None, :]
    squares -= 2 * (points @ np.swapaxes(others, -1, -2))
    return np.asarray(np.maximum(squares, 0, out=squares))


def nearest_squared_distances(points: NDArray[Float], others: NDArray[Float]) -> NDArray[Float]:
    """Squared distance of each point, shape (..., n, 3), from the nearest of others, shape (m, 3).

    Returns
    -------
    array, shape (..., n)
        Angstrom^2, not negative.
    """
    # What depends on the point alone is added after the minimum, which saves a large array.
    squares = (squared_length(others) - 2 * (points @ others.T)).min(axis=-1) + squared_length(points)
    return np.asarray(np.maximum(squares, 0))


def self_overlap(
    poses: NDArray[Float], pairs: NDArray[Float], limit: float
) -> tuple[NDArray[Float], NDArray[Float]]:
    """How far each pose runs into itself.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom.
    pairs : array, shape (atoms, atoms)
        1 for each two atoms that may clash, else 0; symmetric.
    limit : float
        Angstrom: such atoms overlap by what they are nearer than this.

    Returns
    -------
    overlap : array, shape (poses,)
        Sum over pairs of the squared overlap, Angstrom^2.
    gradient : array, shape (poses, atoms, 3)
        Of that by coordinates, Angstrom.
    """
    xyz = poses - poses.mean(axis=1, keepdims=True)  # near the origin, where float32 is exact enough
    distance = np.sqrt(np.maximum(squared_distances(xyz, xyz), 1e-6))
    overlap = np.clip(limit - distance, 0, None) * pairs
    slope = -2 * overlap / distance
    return (overlap**2).sum(axis=(1, 2)) / 2, slope.sum(axis=-1)[..., None] * xyz - slope @ xyz


def kabsch(start: Array, goal: Array, weight: Array | None = None) -> tuple[Array, Array]:
    """Rotation (applied from the right) and shift that carry points onto others, by least squares.

    W. Kabsch, Acta Cryst. A32 (1976) 922-923; reflections are excluded.

    Parameters
    ----------
    start : array, shape (..., points, 3)
        Angstrom; one or many sets of points.
    goal : array, shape (points, 3)
        Where they should lie.
    weight : array, shape (points,), optional
        Positive; by default all points count alike.

    Returns
    -------
    rotation : array, shape (..., 3, 3)
    shift : array, shape (..., 3)
        Angstrom.
    """
    share = np.full((len(goal), 1), 1 / len(goal)) if weight is None else (weight / weight.sum())[:, None]
    centre, middle = (share * start).sum(axis=-2, keepdims=True), (share * goal).sum(axis=0)
    left, _, right = np.linalg.svd(np.swapaxes(share * (start - centre), -1, -2) @ (goal - middle))
    handed = np.ones(left.shape[:-1])
    handed[..., 2] = np.sign(np.linalg.det(left @ right))
    rotation = (left * handed[..., None, :]) @ right
    return rotation, middle - (centre @ rotation)[..., 0, :]


def superpose(poses: Array, atoms: Sequence[int], onto: Array) -> tuple[Array, Array]:
    """Move each pose rigidly so that some of its atoms lie on given points as well as they can (`kabsch`).

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom; not changed.
    atoms : sequence of int
        The k atoms to fit.
    onto : array, shape (k, 3)
        Where they should lie.

    Returns
    -------
    moved : array, shape (poses, atoms, 3)
    rmsd : array, shape (poses,)
        Over the fitted atoms, Angstrom.
    """
    rotation, shift = kabsch(poses[:, list(atoms)], onto)
    moved = poses @ rotation + shift[:, None]
    return moved, rmsd(moved[:, list(atoms)], onto)


def dihedral(points: Array, a: int, b: int, c: int, d: int) -> Array:
    """Torsion angle a-b-c-d in radians, shape (poses,), of conformers of shape (poses, atoms, 3)."""
    axis = points[:, c] - points[:, b]
    # A template may have two atoms at one point: no torsion is defined there, and any finite angle will do.
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    before, after = points[:, a] - points[:, b], points[:, d] - points[:, c]
    before = before - (before * axis).sum(axis=-1, keepdims=True) * axis
    after = after - (after * axis).sum(axis=-1, keepdims=True) * axis
    sine, cosine = (np.cross(axis, before) * after).sum(axis=-1), (before * after).sum(axis=-1)
    return np.asarray(np.arctan2(sine, cosine))


def skew(vectors: NDArray[Float]) -> NDArray[Float]:
    """Matrices, shape (..., 3, 3), that take the cross product with vectors, shape (..., 3), from the left.

    Examples
    --------
    >>> skew(np.array([0.0, 0.0, 2.0])) @ [1, 0, 0]
    array([0., 2., 0.])
    """
    matrix = np.zeros((*vectors.shape, 3), vectors.dtype)
    for first, second, third in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        matrix[..., second, first] = vectors[..., third]
        matrix[..., first, second] = -vectors[..., third]
    return matrix


def cross(first: NDArray[Float], second: NDArray[Float]) -> NDArray[Float]:
    """Cross products of vectors, both of shape (..., 3); a fifth of the time of NumPy's."""
    (x, y, z), (u, v, w) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def torque(arms: NDArray[Float], forces: NDArray[Float]) -> NDArray[Float]:
    """Sum over atoms of the cross products of arms and forces, both (poses, atoms, 3): shape (poses, 3)."""
    products = np.swapaxes(arms, 1, 2) @ forces
    both = [products[:, a, b] - products[:, b, a] for a, b in ((1, 2), (2, 0), (0, 1))]
    return np.stack(both, axis=-1)


def rotate_about_bond(
    poses: NDArray[Float], b: int, c: int, moving: Sequence[int], angles: NDArray[Float]
) -> None:
    """Turn the atoms `moving` about the axis b -> c, in place, by one angle (radians) a pose."""
    atoms, origin = list(moving), poses[:, [c]]
    turns = np.swapaxes(rotations(unit(origin[:, 0] - poses[:, b]), angles), -1, -2)
    poses[:, atoms] = (poses[:, atoms] - origin) @ turns + origin


def turn(poses: NDArray[Float], about: NDArray[Float]) -> NDArray[Float]:
    """Turn each pose about its middle by a rotation vector, shape (poses, 3): axis times radians."""
    angles = np.maximum(np.sqrt(squared_length(about)), 1e-9)
    middle = poses.mean(axis=1, keepdims=True)
    turns = np.swapaxes(rotations(about / angles[:, None], angles), -1, -2)
    return np.asarray(middle + (poses - middle) @ turns, poses.dtype)


def rotations(axes: NDArray[Float], angles: NDArray[Float]) -> NDArray[Float]:
    """Matrices, shape (..., 3, 3), that turn by angles about unit axes, (..., 3): O. Rodrigues' formula."""
    across = skew(axes)
    angle = angles[..., None, None]
    turned = np.sin(angle) * across + (1 - np.cos(angle)) * (across @ across)
    return np.asarray(np.eye(3, dtype=axes.dtype) + turned)


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """Axes that turn with the points they are made of: how a crystal lies in its file does not matter.

    `middle`, shape (3,), is in Angstrom; `axes`, shape (3, 3), has one a column.
    """

    middle: Array
    axes: Array

    @classmethod
    def of(cls, points: Array) -> PrincipalAxes:
        """Principal axes of points, shape (n, 3), each pointing to the side of the longer tail."""
        middle = points.mean(axis=0)
        arm = points - middle
        _, axes = np.linalg.eigh(arm.T @ arm)
        tails = ((arm @ axes[:, :2]) ** 3).sum(axis=0)
        axes[:, :2] *= np.where(tails < 0, -1.0, 1.0)
        axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
        return cls(middle, axes)

    def inward(self, xyz: NDArray[np.floating]) -> Array:
        """Carry points, shape (..., 3), into these axes."""
        return np.asarray((xyz - self.middle) @ self.axes, np.float64)

    def outward(self, xyz: NDArray[np.floating]) -> Array:
        """Carry points out of these axes."""
        return np.asarray(xyz @ self.axes.T + self.middle, np.float64)


def rmsd(poses: Array, pose: Array) -> Array:
    """RMSD of poses, shape (..., atoms, 3), to a pose, atom by atom (symmetry is not looked at), Angstrom."""
    apart = poses - pose
    return np.asarray(np.sqrt(np.einsum("...ai,...ai->...", apart, apart) / apart.shape[-2]))


def distinct(poses: Array, tolerance: float, most: int) -> list[int]:
    """Pick poses in the given order, leaving out those nearer than `tolerance` to one already picked.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Best first.
    tolerance : float
        RMSD in Angstrom, atom by atom (symmetry is not looked at).
    most : int
        Stop after so many.
    """
    picked: list[int] = []
    for index in range(len(poses)):
        if len(picked) == most:
            break
        if not picked or rmsd(poses[picked], poses[index]).min() >= tolerance:
            picked.append(index)
    return picked
