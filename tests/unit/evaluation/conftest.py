"""Records as a run would have them."""

from __future__ import annotations

import pytest

from templ.runs.record import Cost, PoseRecord, Record


@pytest.fixture(scope="session")
def record():
    """``record(id, rmsd, ...)``: a molecule with a pose for each RMSD (None: its crystal is not known).

    The first `core` atoms of 25 were copied; `confidence` is that of the poses, 0.9 where not said; the rest
    are fields of the record.
    """

    def make(id="x", rmsd=(1.5, 0.5), *, confidence=(), method="core", core=10, **fields):
        known = dict(enumerate(confidence))
        poses = tuple(
            PoseRecord(
                score=0.5,
                confidence=known.get(position, 0.9),
                placement_method=method,
                template="t1",
                core=tuple((atom, atom + 1) for atom in range(core)),
                core_smarts="c1ccccc1",
                core_rmsd=0.25,
                terms={"contact": -0.5},
                rmsd=value,
            )
            for position, value in enumerate(rmsd)
        )
        posed = {"group": "sars", "stereo_kept": True, "tanimoto": 0.5, "query_atoms": 25, "rotors": 5}
        cost = Cost(cpu_s=1.0, wall_s=2.0, uss_bytes=100_000_000)
        return Record(
            **{"index": 0, "id": id, "status": "posed", "poses": poses, "cost": cost} | posed | fields
        )

    return make


@pytest.fixture(scope="session")
def no_pose(record):
    """``no_pose(id, status, reason, group)``: a molecule that was refused or failed."""

    def make(id, status, reason, group="sars", **fields):
        return record(id, (), status=status, reason=reason, group=group, stereo_kept=None, **fields)

    return make
