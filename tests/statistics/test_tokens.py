"""Lengths and unknown tokens are those of transformers' own tokenizer."""

import numpy as np
import pytest
import transformers

from xferlab.contracts import Split, Task, TaskSpec
from xferlab.data.tokenizer import tokenizer_of
from xferlab.models.checkpoint import BUNDLED
from xferlab.statistics.tokens import count_tokens

TEXTS = ["a film", "the plot was not good, " * 30, "", "☃ and ☃☃", "fine"]
PAIRS = ["it is", "☃", "the cast " * 40, "", "a"]


def count(task, pairs=None, max_length=32):
    spec = TaskSpec(task, (), 5, max_length, has_pairs=pairs is not None)
    moves = []
    split = Split(TEXTS, np.zeros(5), pairs)
    found = count_tokens(tokenizer_of(BUNDLED / "bert", spec), split, spec, moves.append)
    assert moves == [5]
    return found


@pytest.fixture(scope="module")
def theirs():
    return transformers.AutoTokenizer.from_pretrained(BUNDLED / "bert")


@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_tokens_of_texts_and_pairs(theirs, pairs):
    found = count(Task.regression, pairs)
    ids = theirs(TEXTS, pairs)["input_ids"]
    assert found.lengths.tolist() == [len(row) for row in ids]
    assert found.cut == sum(len(row) > 32 for row in ids) > 0
    unknown = [sum(i == theirs.unk_token_id for i in row) for row in ids]
    assert found.unknown == sum(unknown) > 0
    assert found.rows_with_unknown == sum(n > 0 for n in unknown)
    special = {*theirs.all_special_ids} - {theirs.unk_token_id}
    assert found.tokens == sum(i not in special for row in ids for i in row)


def test_of_texts_that_are_read_apart_the_longer_one_counts(theirs):
    found = count(Task.similarity, PAIRS)
    sizes = [[len(row) for row in theirs(each)["input_ids"]] for each in (TEXTS, PAIRS)]
    assert found.lengths.tolist() == [max(both) for both in zip(*sizes, strict=True)]


def test_words_of_a_sentence(theirs):
    spec = TaskSpec(Task.token_classification, ("O",), 1, 8)
    words = [["a", "film"], ["plot"] * 20]
    found = count_tokens(
        tokenizer_of(BUNDLED / "bert", spec), Split(words, []), spec, lambda rows: None
    )
    ids = theirs(words, is_split_into_words=True)["input_ids"]
    assert found.lengths.tolist() == [len(row) for row in ids]
    assert found.cut == 1
