"""A prediction of two queries, one of which is refused, as a job of the web app leaves it."""

from __future__ import annotations

import pytest

from templ.jobs.query_run import BindingSite, predict_queries
from templ.settings import PredictionSettings, RunSettings

QUICK = PredictionSettings(conformers=10, minimised=20, starts=20, rounds=1)


@pytest.fixture(scope="session")
def predicted(demo_path, tmp_path_factory):
    """The finished run."""
    queries = [("amide", "Cc1ccncc1NC(=O)Cc1cccc(Cl)c1"), ("peptide", "NCC(=O)" * 10 + "O")]
    out = tmp_path_factory.mktemp("web") / "poses.sdf"
    return predict_queries(queries, BindingSite(demo_path), out, QUICK, RunSettings(workers=1))
