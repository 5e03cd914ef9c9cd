"""Geometry of many conformers at once: superposition and rotation about bonds, as array operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Float = TypeVar("Float", np.float32, np.float64)


def superpose(poses: Array, atoms: Sequence[int], onto: Array) -> tuple[Array, Array]:
    """Move each pose rigidly so that some of its atoms lie on given points as well as they can.

    W. Kabsch, Acta Cryst. A32 (1976) 922-923; reflections are excluded.

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
    chosen = poses[:, list(atoms)]
    centre, goal = chosen.mean(axis=1, keepdims=True), onto.mean(axis=0)
    covariance = np.einsum("pai,aj->pij", chosen - centre, onto - goal)
    left, _, right = np.linalg.svd(covariance)
    handed = np.ones((len(poses), 3))
    handed[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = (left * handed[:, None, :]) @ right
    moved = (poses - centre) @ rotation + goal
    rmsd = np.sqrt(((moved[:, list(atoms)] - onto) ** 2).sum(axis=-1).mean(axis=-1))
    return moved, rmsd


def dihedral(points: Array, a: int, b: int, c: int, d: int) -> Array:
    """Torsion angle a-b-c-d in radians, shape (poses,), of conformers of shape (poses, atoms, 3)."""
    axis = points[:, c] - points[:, b]
    # A template may have two atoms in one place: no torsion is defined there, and any finite angle will do.
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


def torque(arms: NDArray[Float], forces: NDArray[Float]) -> NDArray[Float]:
    """Sum over atoms of the cross products of arms and forces, both (poses, atoms, 3): shape (poses, 3)."""
    products = np.swapaxes(arms, 1, 2) @ forces
    both = [products[:, a, b] - products[:, b, a] for a, b in ((1, 2), (2, 0), (0, 1))]
    return np.stack(both, axis=-1)


def bond_axis(poses: NDArray[Float], b: int, c: int) -> NDArray[Float]:
    """Unit vector from atom b to atom c of each pose, shape (poses, 3)."""
    axis = poses[:, c] - poses[:, b]
    return np.asarray(axis / np.linalg.norm(axis, axis=-1, keepdims=True))


def rotate_about_bond(
    poses: NDArray[Float], b: int, c: int, moving: Sequence[int], angles: NDArray[Float]
) -> None:
    """Turn the atoms `moving` about the axis b -> c, in place, by one angle (radians) a pose."""
    origin = poses[:, [c]]
    arms = poses[:, list(moving)] - origin
    poses[:, list(moving)] = origin + _turned(arms, bond_axis(poses, b, c), angles)


def turn(poses: NDArray[Float], about: NDArray[Float]) -> NDArray[Float]:
    """Turn each pose about its middle by a rotation vector, shape (poses, 3): axis times radians."""
    angles = np.maximum(np.linalg.norm(about, axis=-1), 1e-9)
    middle = poses.mean(axis=1, keepdims=True)
    return np.asarray(middle + _turned(poses - middle, about / angles[:, None], angles), poses.dtype)


def _turned(arms: NDArray[Float], axis: NDArray[Float], angles: NDArray[Float]) -> NDArray[Float]:
    """Turn arms, shape (poses, atoms, 3), about unit axes, shape (poses, 3): O. Rodrigues' formula."""
    across = skew(axis)
    angle = angles[:, None, None]
    rotation = np.eye(3, dtype=arms.dtype) + np.sin(angle) * across + (1 - np.cos(angle)) * (across @ across)
    return np.asarray(arms @ np.swapaxes(rotation, 1, 2))


@dataclass(frozen=True, slots=True)
class Frame:
    """Axes that turn with what they are made from, so that nothing depends on how a crystal lies in its file.

    Attributes
    ----------
    middle : array, shape (3,)
        Angstrom.
    axes : array, shape (3, 3)
        One a column.
    """

    middle: Array
    axes: Array

    @classmethod
    def of(cls, points: Array) -> Frame:
        """Principal axes of points, shape (n, 3), each pointing to the side of the longer tail."""
        middle = points.mean(axis=0)
        arm = points - middle
        _, axes = np.linalg.eigh(arm.T @ arm)
        tails = ((arm @ axes[:, :2]) ** 3).sum(axis=0)
        axes[:, :2] *= np.where(tails < 0, -1.0, 1.0)
        axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
        return cls(middle, axes)

    def inward(self, xyz: NDArray[np.floating]) -> Array:
        """Carry points, shape (..., 3), into the frame."""
        return np.asarray((xyz - self.middle) @ self.axes, np.float64)

    def outward(self, xyz: NDArray[np.floating]) -> Array:
        """Carry points out of the frame."""
        return np.asarray(xyz @ self.axes.T + self.middle, np.float64)


def rmsd(poses: Array, pose: Array) -> Array:
    """RMSD of poses, shape (..., atoms, 3), to a pose, atom by atom (symmetry is not looked at), Angstrom."""
    return np.asarray(np.sqrt(((poses - pose) ** 2).sum(axis=-1).mean(axis=-1)))


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
