from __future__ import annotations

import sys

import numpy as np
import pytest

from templ.chemistry.protein_embedding import embed
from templ.errors import InputError

RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of two layers that has learned nothing, and its tokenizer, in a folder."""
    reason = "needs the extra: pip install 'templ-pose[esm]'"
    torch = pytest.importorskip("torch", reason=reason)
    transformers = pytest.importorskip("transformers", reason=reason)
    folder = tmp_path_factory.mktemp("model")
    words = ["<cls>", "<pad>", "<eos>", "<unk>", *RESIDUES, ".", "-", "<null_1>", "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(0)
    config = transformers.EsmConfig(
        vocab_size=len(words),
        mask_token_id=len(words) - 1,
        pad_token_id=1,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
        position_embedding_type="rotary",
        token_dropout=True,
    )
    transformers.EsmModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformers.EsmTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


def test_the_mean_is_over_the_residues_of_the_last_layer(model):
    import torch
    from transformers import AutoTokenizer, EsmModel

    tokens = AutoTokenizer.from_pretrained(model)("MKV", return_tensors="pt")
    assert tokens["input_ids"].shape == (1, 5)  # a token before and one after
    esm = EsmModel.from_pretrained(model, add_pooling_layer=False).eval()
    with torch.inference_mode():
        last = esm(**tokens, output_hidden_states=True).hidden_states[-1][0].numpy()
    found = embed(["MKV"], model)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [last[1:4].mean(axis=0)], atol=1e-6)


def test_a_sequence_does_not_depend_on_those_beside_it_nor_on_capitals(model):
    together = embed(["MKV", "GAVLIMKWYHC", "mkv"], model)
    np.testing.assert_array_equal(together[1], embed(["GAVLIMKWYHC"], model)[0])
    np.testing.assert_array_equal(together[0], together[2])
    assert not np.allclose(together[0], together[1])


def test_a_sequence_longer_than_the_model_takes_is_cut(model):
    long = (RESIDUES * 3)[:60]
    found = embed([long, long[:30], long[:29]], model)  # 34 positions, of which ESM-2 uses 30 for residues
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[1], found[2])


def test_no_sequence_gives_no_row(model):
    assert embed([], model).shape == (0, 16)


@pytest.mark.parametrize("sequence", ["", "MK V", "MK<mask>", "M1", "MKß"])
def test_what_is_no_sequence_is_named(model, sequence):
    with pytest.raises(InputError, match="sequence 2 is"):
        embed(["MKV", sequence], model)


def test_an_absent_model_is_named(model, tmp_path):
    with pytest.raises(InputError, match=r"absent cannot be loaded"):
        embed(["MKV"], str(tmp_path / "absent"))


@pytest.mark.parametrize("absent", ["torch", "transformers"])
def test_without_the_extra_it_is_named(monkeypatch, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(InputError, match=r"pip install 'templ-pose\[esm\]'"):
        embed(["MKV"])
