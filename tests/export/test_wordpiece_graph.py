"""A tokenizer in a graph makes the tokens of the library, of any text."""

from __future__ import annotations

import dataclasses
import json
import random
from contextlib import nullcontext

import numpy as np
import pytest

import xferlab
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.cli.main import main
from xferlab.contracts import Split
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError, RunError
from xferlab.export.export_run import export_run
from xferlab.export.formats import saved_model_text
from xferlab.export.parity import with_random_characters
from xferlab.export.wordpiece_graph import TextGraph, read_rules, refuse_other_rules
from xferlab.models.checkpoint import resolve

ODD = [
    "",
    " ",
    "a" * 100,
    "a" * 101,
    "\u00e9" * 100,
    "\u0000\ufffd\u200b",
    "[SEP][MASK]a[CLS]b [sep] [unused1]",
    "##a # #",
    "\U000f0001 x\U000f0000",
    "Caf\u00e9 na\u0130ve e\u0301 \u1e9e \u4e2d\u6587 \ud55c\uad6d don't... 3.5%",
]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(resolve("bundled:bert").folder)


@pytest.fixture(scope="module")
def rules(tokenizer):
    return read_rules(tokenizer.rules, has_pairs=True)


def arrays(graph, *texts):
    """Return the tokens and the segments of each text, without padding."""
    import tensorflow as tf

    found = {k: v.numpy() for k, v in graph(*map(tf.constant, texts)).items()}
    kept = found["padding_mask"] == 1
    names = ("token_ids", "segment_ids")
    return [[list(row[own]) for row, own in zip(found[n], kept, strict=True)] for n in names]


@pytest.mark.parametrize("length", [9, 64])
def test_pairs_of_odd_texts_have_the_librarys_tokens_whatever_is_cut(tokenizer, rules, length):
    some = ["a good film", "a", "the plot is bad , the cast is good and the end is not"]
    texts = with_random_characters(Split([*ODD, *some], None), tokenizer, 60).texts
    draw = random.Random(length)
    pairs = draw.sample(texts, len(texts))
    graph = TextGraph(rules, length, tokenizer.pad_id)
    expected = tokenizer.encode(texts, pairs, length)
    ids, segments = arrays(graph, texts, pairs)
    assert ids == [list(row) for row in expected.token_ids]
    assert segments == [list(row) for row in expected.segment_ids]
    assert max(map(len, ids)) == length


@pytest.mark.parametrize(
    ("normalizer", "pieces", "told"),
    [
        ({}, ["##\u1b44", "##\U0001d165", "##\u0301"], r"order, as U\+1D165 and U\+1B44"),
        ({"strip_accents": False}, ["##\u1b44", "##\U0001d165"], None),
        ({}, ["##\u1b44", "##\u0301", "##\u0327"], None),  # accents, which are stripped
        ({"clean_text": False}, [], "this one keeps them"),
    ],
)
def test_what_depends_on_more_than_a_character_is_refused(tokenizer, normalizer, pieces, told):
    table = json.loads(tokenizer.rules)
    table["normalizer"] |= normalizer
    table["model"]["vocab"] |= {piece: 10_000 + i for i, piece in enumerate(pieces)}
    refused = pytest.raises(ConfigError, match=told) if told else nullcontext()
    with refused:
        refuse_other_rules(json.dumps(table), "here")


def test_one_text_has_the_special_tokens_of_one(tokenizer, rules):
    template = rules.template
    one = dataclasses.replace(
        template, ids=template.ids[:1] + template.ids[2:], text_segments=[0], segments=[[0], [0]]
    )
    graph = TextGraph(dataclasses.replace(rules, template=one), 12, tokenizer.pad_id)
    ids, segments = arrays(graph, ODD)
    assert ids == [list(row) for row in tokenizer.encode(ODD, None, 12).token_ids]
    assert not np.concatenate(segments).any()


def test_a_graph_that_makes_other_tokens_is_not_kept(runs, tmp_path, monkeypatch):
    def wrong(rules, *, has_pairs):
        return dataclasses.replace(read_rules(rules, has_pairs=has_pairs), longest_word=99)

    monkeypatch.setattr(saved_model_text, "read_rules", wrong)
    with pytest.raises(RunError, match="its graph makes other tokens on generated texts"):
        export_run(xferlab.load(runs["plain"]), "saved_model_text", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_tokenizers_and_tags_are_refused(runs, tmp_path, capsys):
    write_tiny_checkpoint(tmp_path, "roberta")
    with pytest.raises(ConfigError, match="WordPiece with BERT's rules; this tokenizer is BPE"):
        refuse_other_rules(load_tokenizer(tmp_path).rules, "here")
    assert main(["export", str(runs["tags"]), "--to", "saved_model_text"]) == 2
    assert capsys.readouterr().err.splitlines()[-3:] == [
        " error: a graph of texts is for examples that are texts, not words, and WordPiece",
        f" where: {runs['tags']}: model",
        "   fix: --to saved_model, which takes the tokenizer's arrays",
    ]
