from __future__ import annotations

import datetime
import pickle
from dataclasses import FrozenInstanceError

import pytest

from templ.records import Outcome, Target

TARGET = Target("t", "CCO", "sars", datetime.date(2020, 6, 1), "LFQSCWFLJHTTHZ")


def test_a_target_reaches_another_process_unchanged():
    assert pickle.loads(pickle.dumps(TARGET)) == TARGET


def test_records_cannot_be_changed_or_extended():
    with pytest.raises(FrozenInstanceError):
        TARGET.smiles = "C"
    assert not hasattr(TARGET, "__dict__")


def test_an_outcome_without_poses_claims_nothing():
    outcome = Outcome("t", "refused", "peptide")
    assert outcome.poses == ()
    assert outcome.stereo_kept is None


def test_outcomes_do_not_share_their_times():
    one, other = Outcome("a", "posed"), Outcome("b", "posed")
    one.seconds["pose"] = 1.0
    assert other.seconds == {}
