"""What visitors send is read in a process that may die."""

from __future__ import annotations

import os

import anyio
import pytest
from web_work import dies, number, too_long, too_much

from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError
from templ.library.store import open_library
from templ.pipeline import predict
from templ.settings import PredictionSettings
from templ.web.bounded_work import in_worker
from templ.web.query_lookup import look_up, read_upload


@pytest.mark.parametrize(
    ("work", "complaint"),
    [(too_long, "more than 1 seconds"), (too_much, "GiB"), (dies, "damaged or too large")],
)
def test_it_costs_one_request(work, complaint):
    async def ask():
        with pytest.raises(InputError, match=complaint):
            await in_worker(work, seconds=1.0 if work is too_long else 30.0)
        return await in_worker(number)

    assert anyio.run(ask) != os.getpid()


def test_a_hostile_sdf(tmp_path):
    """Nonsense, a record without end, no element, no numbers: counted, and never a traceback."""
    header = "\n  x\n\n"
    records = [
        f"{header}999999  0  0  0  0  0            999 V2000\nM  END\n$$$$\n",
        f"{header}  1  0  0  0  0            999 V2000\n       nan       inf 1e400000 Zz  0\nM  END\n$$$$\n",
        "<script>alert(1)</script>\n\n\n$$$$\n",
        "\x00\x01\x02\n$$$$\n",
        f"carbon{header}  1  0  0  0  0  0            999 V2000\n    0.0000    0.0000    0.0000 C   0  0\n"
        "M  END\n$$$$\n",
        f"{header}  3  2",
    ]
    path = tmp_path / "queries.sdf"
    path.write_text("".join(records[4:5] + records[:3] + records[5:]))
    found = read_upload(str(path))
    assert found["readable"] == 1
    assert len(found["faults"]) == found["count"] - 1
    path.write_text("".join(records))
    with pytest.raises(InputError):  # a NUL byte at its beginning: no text at all
        read_upload(str(path))


def test_too_many_molecules(tmp_path):
    path = tmp_path / "queries.smi"
    path.write_text("C\n" * 10_001)
    with pytest.raises(InputError, match="10,000"):
        read_upload(str(path))
    path.write_text("# nothing\n")
    with pytest.raises(InputError, match="no molecule"):
        read_upload(str(path))


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1cnccc1C", "O=C(NCCN1CCOCC1)c1ccc2ccccc2c1"])
def test_what_is_said_before_posing_is_what_the_prediction_says(smiles, demo_path):
    settings = PredictionSettings(conformers=4, minimised=4, rounds=0, starts=0, top=1)
    with open_library(demo_path) as library:
        outcome = predict(smiles, library, settings, receptor=read_receptor(library.receptor_path()))
    found = look_up(smiles, str(demo_path))
    assert found["prior"] == round(outcome.prior_confidence, 2)
    assert found["templates"][0]["tanimoto"] == round(outcome.best_tanimoto, 2)


def test_what_is_known_before_posing(demo_path):
    found = look_up("C=CC(=O)Nc1cnccc1C.Cl", str(demo_path))
    assert "largest fragment kept" in found["warnings"][0]
    assert "posed bonded to A:CYS145, by its acrylamide" in found["warnings"]
    assert any("posed as acrylamide bonded to A:CYS145" in warning for warning in found["warnings"])
    assert 0 < found["prior"] < 1
    alike = [card["tanimoto"] for card in found["templates"]]
    assert alike == sorted(alike, reverse=True)
    assert all("style=" not in card["template"] for card in found["templates"])
    assert "peptide" in look_up("NCC(=O)" * 10 + "O", str(demo_path))["refusal"]
    with pytest.raises(InputError, match="not a SMILES"):
        look_up("C1CC", str(demo_path))
    with pytest.raises(InputError, match="20,000"):
        look_up("C" * 30_000, str(demo_path))
