"""Work for the tests of runs of queries: a pose at once, unless the query's name is that of a fault."""

from __future__ import annotations

from engine_work import ACTIONS

from templ.jobs.recording import MoleculeResult
from templ.runs.record import Cost, PoseRecord, Record
from templ.sources.queries import QueryReference

POSE = PoseRecord(0.5, 0.5, "core", "x1", ((0, 0),), "C", 0.1)


def sdf_of(id):
    """What stands for the poses of a query."""
    return f"{id}\n  made\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n" + (
        "    0.0000    0.0000    0.0000 C   0  0\nM  END\n$$$$\n"
    )


def open_work(context):
    def work(task):
        reference = QueryReference.from_json(task)
        kind, _, argument = reference.id.partition(" ")
        if kind in ACTIONS:
            value = ACTIONS[kind](argument)
            if kind not in ("wait-for", "nap"):
                return value
        record = Record(
            reference.index,
            reference.id,
            "posed",
            poses=(POSE,),
            smiles=reference.smiles,
            cost=Cost(stages={"pose": 1.0}),
        )
        return MoleculeResult(record, sdf_of(reference.id))

    return work
