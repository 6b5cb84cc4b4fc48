"""A tokenizer of each kind: ids of odd texts are those of transformers and of SentencePiece.

``tools/families/make_tokenizers.py`` wrote the files, in another environment.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from xferlab.data.tokenizer import HubTokenizer, load_tokenizer
from xferlab.data.tokenizer_rules import SENTENCEPIECE_FILES
from xferlab.errors import ConfigError
from xferlab.models.limits import refuse_ids
from xferlab.models.untrusted_checkpoint import refuse_unsafe

FOLDER = Path(__file__).parents[1] / "fixtures" / "tokenizers"
KINDS = sorted(path.name for path in FOLDER.iterdir())
NO_SPECIALS = "byte_level_no_specials"
LONG = 100_000
OFFSET = {"unigram_fairseq": 1}
"""What transformers' class adds to the ids of a model of SentencePiece."""


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, HubTokenizer]:
    return {kind: load_tokenizer(FOLDER / kind) for kind in KINDS}


def ids_of(tokenizer: HubTokenizer, texts: list[str], pairs: list[str] | None = None) -> list:
    return [list(map(int, row)) for row in tokenizer.encode(texts, pairs, LONG).token_ids]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_transformers_in_another_environment(kind, tokenizers):
    stored = json.loads((FOLDER / kind / "ids.json").read_text())
    texts, expected = zip(*stored["texts"], strict=True)
    found = ids_of(tokenizers[kind], list(texts))
    # a text without a token is one token here
    assert [row if ids else [] for row, ids in zip(found, expected, strict=True)] == list(expected)
    one, two, expected = zip(*stored["pairs"], strict=True)
    found = ids_of(tokenizers[kind], list(one), list(two))
    assert [row if ids else [] for row, ids in zip(found, expected, strict=True)] == list(expected)
    assert tokenizers[kind].largest_id < 400


@pytest.mark.parametrize("kind", ["unigram_spm", "unigram_fairseq", "bpe_spm"])
def test_a_converted_model_gives_the_ids_of_sentencepiece(kind, tokenizers):
    import sentencepiece

    (path,) = (
        FOLDER / kind / name for name in SENTENCEPIECE_FILES if (FOLDER / kind / name).exists()
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    texts = ["the film was great", "we loved it, and they hated 2026", "unwatchable" * 9]
    if kind == "unigram_fairseq":  # transformers leaves DeBERTa's table of normalisation out
        texts.append("a ﬁne plot")
    special = set(tokenizers[kind].special_ids)
    for text in texts:
        (found,) = ids_of(tokenizers[kind], [text])
        expected = [i + OFFSET.get(kind, 0) for i in model.encode(text)]
        unknown = model.unk_id() + OFFSET.get(kind, 0)
        assert [i for i in found if i not in special] == [
            i for i in expected if i not in (unknown, *special)
        ]


def test_the_rules_of_another_class_are_refused(tmp_path):
    folder = shutil.copytree(FOLDER / "bpe_spm", tmp_path / "copy")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(ConfigError) as caught:
        load_tokenizer(folder)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(" error: tokenizer.model was converted by the rules of another")
    assert "tokenizer_class" in lines[2]


def test_a_damaged_model_is_refused(tmp_path):
    folder = shutil.copytree(FOLDER / "unigram_spm", tmp_path / "copy")
    (folder / "spm.model").write_bytes(b"no model at all")
    with pytest.raises(ConfigError):
        load_tokenizer(folder)


# --- without tokens for padding, or any ----------------------------------------------------------


def copy_without(tmp_path: Path, **changes: object) -> Path:
    """Return a copy of the tokenizer that adds no tokens, of another ``tokenizer_config.json``."""
    folder = shutil.copytree(FOLDER / NO_SPECIALS, tmp_path / "copy")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **changes}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_the_end_of_a_text_fills_up_where_there_is_no_padding(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    tokenizer = load_tokenizer(copy_without(tmp_path, eos_token="<|im_end|>"))
    assert tokenizer.pad_id == 1
    assert "no token is for padding: batches are filled up with <|im_end|>" in caplog.text
    tokenizer.save(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert saved["pad_token"] == "<|im_end|>"
    again = load_tokenizer(tmp_path / "saved")
    assert (again.pad_id, again.largest_id) == (1, tokenizer.largest_id)


def test_a_tokenizer_with_no_special_tokens_pads_with_a_masked_id(tmp_path):
    from xferlab.data.batching import Batch, batch_inputs, row_lengths

    tokenizer = load_tokenizer(copy_without(tmp_path))
    assert tokenizer.pad_id == 0
    encoding = tokenizer.encode(["a movie", ""], None, LONG)
    inputs = batch_inputs(
        encoding, Batch(rows=_rows(2), length=int(row_lengths(encoding).max())), 0
    )
    assert inputs["padding_mask"].sum(axis=1).tolist() == row_lengths(encoding).tolist()
    assert (inputs["token_ids"][inputs["padding_mask"] == 0] == 0).all()


def _rows(count: int):
    import numpy as np

    return np.arange(count)


def test_a_text_without_tokens_is_one_token_that_is_not_padding(tokenizers, caplog):
    caplog.set_level(logging.INFO)
    tokenizer = tokenizers[NO_SPECIALS]
    empty, word = ids_of(tokenizer, ["", "film"])
    assert empty == [1]
    assert tokenizer.pad_id == 0
    assert "texts without a token: 1; each is read as '<|im_end|>'" in caplog.text
    assert word not in ([], [1])
    assert ids_of(tokenizer, [""], [""]) == [[1]]
    assert [len(row) for row in tokenizer.encode([[]], None, LONG).token_ids] == [0]  # no words


# --- ids and the table of embeddings -------------------------------------------------------------


def add_token(folder: Path, token_id: int) -> None:
    path = folder / "tokenizer.json"
    table = json.loads(path.read_text())
    table["added_tokens"].append(
        {**table["added_tokens"][0], "id": token_id, "content": "<image>", "special": True}
    )
    path.write_text(json.dumps(table))


def test_a_token_that_was_added_beyond_the_table_is_read_as_text(tmp_path, tokenizers, caplog):
    import transformers

    caplog.set_level(logging.INFO)
    folder = copy_without(tmp_path, eos_token="<|im_end|>", pad_token="<image>")
    add_token(folder, 380)
    (folder / "config.json").write_text('{"model_type": "qwen3", "vocab_size": 380}')
    refuse_unsafe(folder, "model.checkpoint=org/name")
    tokenizer = load_tokenizer(folder)
    assert "the table of embeddings has no row for them: '<image>'" in caplog.text
    assert (tokenizer.pad_id, tokenizer.largest_id) == (1, 379)
    assert ids_of(tokenizer, ["a <image> b"]) == ids_of(tokenizers[NO_SPECIALS], ["a <image> b"])
    saved = tmp_path / "saved"
    tokenizer.save(saved)
    written = [path.read_text() for path in saved.iterdir()]
    assert not any('"<image>"' in text for text in written)
    found = transformers.AutoTokenizer.from_pretrained(saved)("a <image> b")["input_ids"]
    assert [found] == ids_of(tokenizer, ["a <image> b"])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("vocab.json", '{"a": 0, "b": 380}'),
        ("vocab.txt", "a\n" * 381),
        ("added_tokens.json", '{"<image>": 2147483648}'),
        ("added_tokens.json", '{"<image>": -1}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"480": {"content": "x"}}}'),
        ("tokenizer.json", '{"model": {"vocab": [["a", 0.0]]}, "added_tokens": [{"id": 480}]}'),
    ],
)
def test_an_id_that_the_table_does_not_have_is_refused_in_every_file(file, content, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen3", "vocab_size": 380}')
    (tmp_path / file).write_text(content)
    with pytest.raises(ConfigError, match="the checkpoint's table has 380 rows"):
        refuse_unsafe(tmp_path, "model.checkpoint=org/name")


def test_a_model_of_sentencepiece_with_more_pieces_than_the_table_is_refused(tmp_path):
    folder = shutil.copytree(FOLDER / "unigram_spm", tmp_path / "copy")
    (folder / "config.json").write_text('{"model_type": "deberta-v2", "vocab_size": 20}')
    with pytest.raises(ConfigError, match="table of embeddings has 20 rows"):
        refuse_ids(load_tokenizer(folder).largest_id, 20, "org/name")
