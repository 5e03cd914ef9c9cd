"""Embeddings of protein sequences by ESM-2, for those who have the extra ``esm`` (torch and transformers)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from templ.errors import InputError

MODEL = "facebook/esm2_t33_650M_UR50D"
"""1280 dimensions."""


def embed(sequences: Sequence[str], model_name: str = MODEL) -> NDArray[np.float32]:
    """Embed protein sequences: the mean over the residues of the last hidden layer.

    One sequence is in the model at a time, so that none depends on what it is padded to beside another.

    Parameters
    ----------
    sequences : sequence of str
        One-letter residues; what is longer than the model takes is cut there.
    model_name : str
        A model of the Hugging Face hub, or a folder that holds one with its tokenizer.

    Returns
    -------
    numpy.ndarray, shape (sequences, dimensions), float32
        Not scaled to length one.

    Raises
    ------
    InputError
        When the extra is not installed, the model cannot be had, or a sequence has no residue.
    """
    try:
        import torch
        from transformers import AutoTokenizer, EsmModel
    except ImportError as error:
        raise InputError(
            f"embedding a sequence needs {error.name}: install it with pip install 'templ-pose[esm]'"
        ) from error
    for number, sequence in enumerate(sequences, 1):
        if not (sequence.isascii() and sequence.isalpha()):
            raise InputError(f"sequence {number} is {sequence!r}; expected one-letter residues: leave it out")
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_name)
        model = EsmModel.from_pretrained(model_name, add_pooling_layer=False).eval()
    except (OSError, ValueError) as error:
        raise InputError(
            f"the model {model_name} cannot be loaded ({error}): name an ESM-2 model or its folder"
        ) from error
    # ESM counts positions on from the padding token; two of them are for the begin and the end.
    longest = model.config.max_position_embeddings - model.config.pad_token_id - 3
    means = np.empty((len(sequences), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for row, sequence in enumerate(sequences):
            tokens = tokenizer(sequence[:longest].upper(), return_tensors="pt")
            means[row] = model(**tokens).last_hidden_state[0, 1:-1].float().mean(dim=0).numpy()
    return means
