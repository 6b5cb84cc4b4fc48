"""Texts that a tokenizer does not know: one line before training."""

from types import SimpleNamespace

import numpy as np
import pytest

from xferlab.checks.tokenizer import token_notes
from xferlab.data.batching import Ragged

UNKNOWN = 1
START = 2
END = 3


def notes(rows, ragged=False, **tokenizer):
    tokenizer = {"unknown_id": UNKNOWN, "special_ids": [UNKNOWN, START, END]} | tokenizer
    ids = [np.array(row) for row in rows]
    column = Ragged(np.concatenate(ids), list(map(len, ids))) if ragged else ids
    encoding = SimpleNamespace(token_ids=column)
    model = SimpleNamespace(tokenizer=SimpleNamespace(**tokenizer))
    return list(token_notes(SimpleNamespace(model=model, encodings={"train": encoding})))


@pytest.mark.parametrize("ragged", [True, False])
def test_most_tokens_unknown_is_told_with_the_share(ragged):
    rows = [[START, UNKNOWN, UNKNOWN, 7, END], [START, UNKNOWN, END]]
    (line,) = notes(rows, ragged)
    assert line.startswith("75% of the training tokens are unknown")
    assert notes([[START, UNKNOWN, 7, END]], ragged) == []
    assert notes([[START, END]], ragged) == []


def test_a_tokenizer_without_an_unknown_token_is_left_alone():
    assert notes([[1, 1]], unknown_id=None) == []
