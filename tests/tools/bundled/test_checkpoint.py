"""The BERT in the box opens with every loader, offline, and is the one its card describes."""

import hashlib
import importlib.util
import json
import re
from pathlib import Path

import pytest

from tools.bundled.make import corpus

FOLDER = Path(importlib.util.find_spec("xferlab.bundled").origin).parent / "bert"
SENTENCE = "The soup was anything but good."


@pytest.fixture(scope="module")
def encoder():
    from xferlab.models.checkpoint import resolve
    from xferlab.models.encoder import load_encoder

    return load_encoder(resolve(str(FOLDER)))


def test_card_states_the_sha256_of_the_weights():
    digest = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert digest in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_folder_weighs_a_few_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 7_000_000


def test_card_names_no_machine_path():
    for file in FOLDER.glob("*.*"):
        if file.suffix in (".json", ".md", ".txt"):
            assert not re.search(r"/(work|tmp|home)/", file.read_text(encoding="utf-8"))


def test_config_opens_with_transformers():
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(FOLDER, local_files_only=True)
    assert (config.model_type, config.hidden_act) == ("bert", "gelu")
    assert config.vocab_size == len((FOLDER / "vocab.txt").read_text().splitlines())


def test_tokenizer_opens_with_transformers():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(SENTENCE)["input_ids"])
    assert tokens == ["[CLS]", "the", "soup", "was", "anything", "but", "good", ".", "[SEP]"]
    assert tokenizer.model_max_length == 128


def test_words_of_the_corpus_are_known_and_others_are_spelt_out():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    for sentences in corpus(seed=99, count=200):
        assert tokenizer.unk_token_id not in tokenizer(" ".join(sentences))["input_ids"]
    assert tokenizer.unk_token_id not in tokenizer("Quixotic zebras: 42% (xyzzy)!")["input_ids"]


def test_the_encoder_reads_every_weight_it_has(encoder):
    import numpy as np
    from safetensors.numpy import load_file

    stored = load_file(FOLDER / "model.safetensors")
    body = sum(array.size for name, array in stored.items() if name.startswith("bert."))
    assert encoder.from_checkpoint == encoder.backbone.count_params() == body
    np.testing.assert_array_equal(
        encoder.backbone.get_layer("token_embedding").embeddings.numpy(),
        stored["bert.embeddings.word_embeddings.weight"],
    )
    np.testing.assert_array_equal(
        encoder.backbone.get_layer("pooler").kernel.numpy(), stored["bert.pooler.dense.weight"].T
    )


def test_writing_what_was_read_gives_the_same_tensors(encoder, tmp_path):
    from safetensors.numpy import load_file

    from tools.bundled.hugging_face import write_checkpoint

    write_checkpoint(encoder.backbone, encoder.architecture, {}, tmp_path)
    stored = load_file(FOLDER / "model.safetensors")
    for name, array in load_file(tmp_path / "model.safetensors").items():
        assert (array == stored[name]).all(), name
    written, shipped = (json.loads((f / "config.json").read_text()) for f in (tmp_path, FOLDER))
    assert written == shipped


@pytest.mark.slow
def test_pretraining_is_reproducible(tmp_path):
    from tools.bundled.pretrain import Pretraining, pretrain

    plan = Pretraining(
        documents=(64, 64), lr=(1e-3, 1e-3), sample=200, layers=1, width=32, feed_forward=32
    )
    for name in ("one", "two"):
        pretrain(plan, tmp_path / name)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
