from __future__ import annotations

import datetime
import pickle
import re
import xml.etree.ElementTree as ET
from dataclasses import FrozenInstanceError

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.errors import InputError
from templ.records import Outcome, Pose, Target, confidence_in_words

TARGET = Target("t", "CCO", "sars", datetime.date(2020, 6, 1), "LFQSCWFLJHTTHZ")


def test_a_target_reaches_another_process_unchanged():
    assert pickle.loads(pickle.dumps(TARGET)) == TARGET


def test_a_date_is_a_day_and_no_text():
    with pytest.raises(InputError, match="target a: date is '2020-04-01'; expected a day"):
        Target("a", "CCO", date="2020-04-01")


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


@pytest.fixture
def pose():
    mol = Chem.AddHs(Chem.MolFromSmiles("c1ccncc1CO"))
    AllChem.EmbedMolecule(mol, randomSeed=7)
    core = {0: 4, 1: 5, 2: 6}
    return Pose(mol, 2, 0.5, 0.876, {"contact": 1.0}, "<t&1>", "partial-core", core, "ccc", 0.1)


def test_a_pose_is_one_short_line(pose):
    assert repr(pose) == "<Pose 2: confidence 0.88, template <t&1>, partial-core>"


def test_a_pose_is_a_picture_of_what_was_copied(pose):
    shown = pose._repr_html_()
    ET.fromstring(f"<div>{shown}</div>")  # what others wrote is text
    assert set(re.findall(r"<ellipse[^>]*class='atom-(\d+)'", shown)) == {"0", "1", "2"}
    assert "Pose 2: confidence 0.88, template &lt;t&amp;1&gt;, partial-core, likely right" in shown


def test_an_outcome_shows_its_first_pose(pose):
    outcome = Outcome("<a>", "posed", poses=(pose, pose))
    assert repr(outcome) == f"<Outcome <a>: posed, 2 poses, the first {pose!r}>"
    shown = outcome._repr_html_()
    ET.fromstring(f"<div>{shown}</div>")
    assert shown.startswith("<div><b>&lt;a&gt;</b>: posed</div>")
    assert shown.count("<svg") == shown.count("<iframe") == 1
    assert "<td>0.88, likely right</td>" in shown
    assert shown.count("<td>&lt;t&amp;1&gt;</td>") == 2  # a row of each pose


def test_an_outcome_without_poses_says_why():
    outcome = Outcome("a", "refused", "peptide", "12 residues <of> 8")
    assert repr(outcome) == "<Outcome a: refused, peptide>"
    assert outcome._repr_html_() == "<div>a: refused, peptide: 12 residues &lt;of&gt; 8</div>"


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(0.9, "very likely right"), (0.89, "likely right"), (0.5, "more likely right than wrong")]
    + [(0.49, "doubtful"), (0.29, "probably wrong"), (0.0, "probably wrong")],
)
def test_confidence_in_words(confidence, words):
    assert confidence_in_words(confidence) == words
