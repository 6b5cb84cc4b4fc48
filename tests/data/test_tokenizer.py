"""Tokens: the ids are transformers' own, and the cache never answers wrongly."""

import dataclasses
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.support.family_checkpoints import family_tokenizer
from tests.support.tiny_checkpoints import ARCHITECTURES, write_tokenizer
from xferlab import progress
from xferlab.contracts import Encoding, Split
from xferlab.data import token_cache as tokens
from xferlab.data import tokenizer as module
from xferlab.data.token_cache import encode_cached
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError

TEXTS = ["the film was great", "", "a movie", "it is not the plot, it is the cast! " * 9]
PAIRS = ["a fine cast", "the plot", "was bad " * 30, "that is this"]
WORDS = [["the", "film", "unwatchable"], ["great"], [], ["not"] * 60]


@pytest.fixture(scope="session", params=ARCHITECTURES)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    write_tokenizer(path, request.param)
    return path


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    path = tmp_path_factory.mktemp("bert")
    write_tokenizer(path, "bert")
    return load_tokenizer(path)


def reference(folder, **kwargs):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, lambda *texts: tokenizer(
        *texts, truncation="longest_first", return_token_type_ids=True, **kwargs
    )


def same(one, other):
    for name in ("token_ids", "segment_ids", "word_ids"):
        left = getattr(one, name)
        right = getattr(other, name)
        assert (left is None) == (right is None)
        if left is not None:
            assert [list(row) for row in left] == [list(row) for row in right]
    return True


@pytest.mark.parametrize("pairs", [None, PAIRS], ids=["texts", "pairs"])
def test_ids_are_those_of_transformers(folder, pairs):
    tokenizer, encode = reference(folder, max_length=24)
    wanted = encode(TEXTS, pairs) if pairs else encode(TEXTS)
    made = load_tokenizer(folder).encode(TEXTS, pairs, 24)
    assert [row.tolist() for row in made.token_ids] == wanted["input_ids"]
    assert [row.tolist() for row in made.segment_ids] == wanted["token_type_ids"]
    assert made.token_ids[0].dtype == made.segment_ids[0].dtype == "int32"
    assert load_tokenizer(folder).pad_id == tokenizer.pad_token_id
    assert made.word_ids is None


def test_lists_of_words_give_word_ids(folder):
    made = load_tokenizer(folder).encode(WORDS, None, 24)
    for words, ids, tags in zip(WORDS, made.token_ids, made.word_ids, strict=True):
        assert len(ids) == len(tags) <= 24
        assert tags[0] == tags[-1] == -1
        assert set(tags[tags >= 0]) == set(range(min(len(words), 22)))
        assert (np.diff(tags[1:-1]) >= 0).all()


def test_a_word_of_a_list_is_a_word_of_running_text(folder):
    tokenizer = load_tokenizer(folder)
    listed = tokenizer.encode([["the", "film", "was", "great"]], None, 24).token_ids[0]
    running = tokenizer.encode([" the film was great"], None, 24).token_ids[0]
    assert listed.tolist() == running.tolist()


def test_rows_that_lost_their_end_are_counted(bert):
    exact = len(bert.encode(TEXTS[:1], None, 99).token_ids[0])
    assert bert.encode(TEXTS, None, 24).cut == 1
    assert bert.encode(TEXTS[:1], None, exact).cut == 0
    assert bert.encode(TEXTS[:1], None, exact - 1).cut == 1


def test_a_pair_whose_texts_are_both_cut_is_one_example(tmp_path):
    write_tokenizer(tmp_path, "bert")
    apart = load_tokenizer(tmp_path, apart=True)
    assert apart.encode(["a long text", "a"], ["a long text", "a long text"], 3).cut == 2


def test_a_long_list_equals_its_parts(bert, monkeypatch):
    whole = bert.encode(TEXTS * 5, PAIRS * 5, 24)
    monkeypatch.setattr(module, "CHUNK", 3)
    assert same(bert.encode(TEXTS * 5, PAIRS * 5, 24), whole)


def test_a_long_tokenisation_says_how_far_it_is(bert, monkeypatch, caplog):
    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        bert.encode(TEXTS, None, 24)
    assert "tokenised 2 of 4 examples" in caplog.text


def test_no_rows_give_no_tokens(bert):
    made = bert.encode([], None, 24)
    assert len(made.token_ids) == 0


def test_padding_is_a_token_that_no_text_ends_with(tmp_path):
    llama = family_tokenizer("llama")
    assert llama.pad_token is None
    llama.save_pretrained(tmp_path / "llama")
    tokenizer = load_tokenizer(tmp_path / "llama")
    assert tokenizer.pad_id == llama.eos_token_id
    tokenizer.save(tmp_path / "again")
    settings = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    assert settings["pad_token"] == llama.eos_token
    (end,) = tokenizer.encode(["a"], None, 9).token_ids[0][-1:]
    ending = family_tokenizer("llama")
    ending.pad_token = ending.convert_ids_to_tokens(int(end))  # as Qwen3's embedding models
    ending.save_pretrained(tmp_path / "ending")
    assert load_tokenizer(tmp_path / "ending").pad_id == llama.eos_token_id


def test_a_file_that_fills_up_each_text_keeps_its_token_for_padding(tmp_path, caplog):
    write_tokenizer(tmp_path, "bert")
    path = tmp_path / "tokenizer.json"
    rules = Tokenizer.from_file(str(path))
    rules.enable_padding(pad_id=rules.token_to_id("[PAD]"), pad_token="[PAD]", length=16)
    rules.save(str(path))
    caplog.set_level(logging.INFO, "xferlab")
    assert load_tokenizer(tmp_path).pad_id == rules.token_to_id("[PAD]")
    assert "no token is for padding" not in caplog.text


def test_a_tokenizer_without_special_tokens_has_no_padding(tmp_path):
    import transformers

    engine = family_tokenizer("llama").backend_tokenizer
    bare = transformers.PreTrainedTokenizerFast(tokenizer_object=engine)
    bare.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.has_padding, tokenizer.pad_id) == (False, 0)


def test_a_saved_tokenizer_is_the_same(folder, tmp_path):
    tokenizer = load_tokenizer(folder)
    tokenizer.encode(TEXTS, None, 24)
    tokenizer.save(tmp_path / "tokenizer")
    again = load_tokenizer(tmp_path / "tokenizer")
    assert again.fingerprint == tokenizer.fingerprint
    assert same(again.encode(TEXTS, PAIRS, 24), tokenizer.encode(TEXTS, PAIRS, 24))


def test_the_fingerprint_follows_the_rules_not_the_folder(bert, tmp_path):
    for name in ("copy", "changed"):
        (tmp_path / name).mkdir()
        write_tokenizer(tmp_path / name, "bert")
    assert load_tokenizer(tmp_path / "copy").fingerprint == bert.fingerprint
    rules = tmp_path / "changed" / "tokenizer.json"
    text = rules.read_text()
    assert '"film"' in text
    rules.write_text(text.replace('"film"', '"flim"'))
    assert load_tokenizer(tmp_path / "changed").fingerprint != bert.fingerprint


def test_decoding_gives_the_text_back(bert):
    ids = bert.encode(["the film was great"], None, 24).token_ids[0]
    assert bert.decode(ids) == "the film was great"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no tokenizer could be loaded"):
        load_tokenizer(tmp_path)


@dataclasses.dataclass
class CountingTokenizer:
    """A tokenizer of someone else: rows are lists, not views; it counts how often it works."""

    fingerprint: str = "one"
    pad_id: int = 0
    calls: int = 0

    def encode(self, texts, pairs, max_length):
        self.calls += 1
        rows = [np.array([ord(c) % 50 for c in text][:max_length], "int32") for text in texts]
        return Encoding(rows, [np.zeros_like(row) for row in rows])


def split_of(texts, pairs=None):
    return Split(texts, np.zeros(len(texts), "int32"), pairs)


def test_the_cache_gives_what_was_made(bert, tmp_path):
    for split in (split_of(TEXTS), split_of(TEXTS, PAIRS), split_of(WORDS)):
        made = bert.encode(split.texts, split.pairs, 24)
        for _ in range(2):
            found = encode_cached(bert, split, 24, tmp_path)
            assert same(found, made)
            assert found.cut == made.cut
    assert isinstance(found.token_ids.flat, np.memmap)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_second_time_nothing_is_tokenised(tmp_path):
    tokenizer = CountingTokenizer()
    for _ in range(3):
        found = encode_cached(tokenizer, split_of(["abc", "d"]), 9, tmp_path)
    assert tokenizer.calls == 1
    assert found.token_ids[1].tolist() == [ord("d") % 50]


def test_any_change_is_tokenised_anew(tmp_path, monkeypatch):
    tokenizer = CountingTokenizer()
    splits = [
        split_of(["ab", "c"]),
        split_of(["a", "bc"]),
        split_of(["abc"]),
        split_of(["c", "ab"]),
        split_of([["ab", "c"]]),
        split_of([["ab"], ["c"]]),
        split_of(["ab", "c"], ["", ""]),
        split_of(["ab", "c"], ["d", ""]),
        split_of(["ab", "c"], ["ab", "c"]),
        split_of(["ab\0c"]),
        split_of(["é"]),
        split_of(["e\u0301"]),
    ]
    keys = {tokens._key(tokenizer, split, 9, None) for split in splits}
    keys |= {tokens._key(tokenizer, splits[0], 10, None)}
    keys |= {tokens._key(CountingTokenizer("two"), splits[0], 9, None)}
    monkeypatch.setattr(tokens, "VERSION", tokens.VERSION + 1)
    keys |= {tokens._key(tokenizer, splits[0], 9, None)}
    keys |= {tokens._key(tokenizer, splits[0], 9, overlap) for overlap in (0, 3)}
    assert len(keys) == len(splits) + 5


def torn(path):
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def pickled(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def of_another_kind(path):
    np.save(path, np.zeros((3, 3)))


def short(path):
    np.save(path, np.zeros(3, "int32"))


def of_another_split(path):
    other = path.parent / "other"
    encode_cached(CountingTokenizer(), split_of(["xyz", "w"]), 9, other)
    next(other.iterdir()).replace(path)


@pytest.mark.parametrize(
    "damage", [torn, emptied, flipped, pickled, of_another_kind, short, of_another_split]
)
def test_a_damaged_file_is_noticed_and_made_again(damage, tmp_path, caplog):
    split = split_of(["abc", "d"])
    tokenizer = CountingTokenizer()
    wanted = tokenizer.encode(split.texts, None, 9)
    encode_cached(tokenizer, split, 9, tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    damage(path)
    assert same(encode_cached(tokenizer, split, 9, tmp_path), wanted)
    assert "is damaged" in caplog.text
    assert path.read_bytes() == good
    assert tokenizer.calls == 3


def test_every_flipped_byte_is_noticed(tmp_path):
    split = split_of(["abc", "d"])
    tokenizer = CountingTokenizer()
    encode_cached(tokenizer, split, 9, tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    start = len(good) - 4 * (tokens.HEADER + 2 + 2 * 4)
    for at in range(start, len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 64]) + good[at + 1 :])
        found = tokens._load(path, path.stem)
        assert found is None, at


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_gone_without(tmp_path, caplog):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    found = encode_cached(CountingTokenizer(), split_of(["ab"]), 9, tmp_path)
    assert len(found.token_ids) == 1
    assert "cannot be written" in caplog.text


def test_a_folder_that_is_a_file_is_gone_without(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    for _ in range(2):
        found = encode_cached(CountingTokenizer(), split_of(["ab"]), 9, tmp_path / "file")
        assert found.token_ids[0].tolist() == [ord("a") % 50, ord("b") % 50]
    assert "cannot be written" in caplog.text


def test_the_folder_may_be_named_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "here"))
    encode_cached(CountingTokenizer(), split_of(["ab"]), 9)
    assert len(list((tmp_path / "here/tokens").iterdir())) == 1


def test_two_processes_at_once_leave_one_good_file(bert, tmp_path):
    code = (
        "import sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from tests.data.test_tokenizer import CountingTokenizer, split_of\n"
        "from xferlab.data.token_cache import encode_cached\n"
        "split = split_of([str(i) * 50 for i in range(2000)])\n"
        "for n in range(5):\n"
        "    for path in pathlib.Path(sys.argv[1]).glob('*.npy'): path.unlink(missing_ok=True)\n"
        "    rows = encode_cached(CountingTokenizer(), split, 60, pathlib.Path(sys.argv[1]))\n"
        "    assert len(rows.token_ids[1999]) == 60\n"
    )
    args = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parents[2])]
    running = [subprocess.Popen(args, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        assert process.communicate(timeout=120)[1].count("Error") == 0
        assert process.returncode == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_importing_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from xferlab.data import batching, hub, splits, tokenizer\n"
        "heavy = {'numpy', 'tokenizers', 'transformers', 'datasets', 'pyarrow', 'keras'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
