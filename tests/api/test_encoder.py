"""A pretrained encoder in a Keras model of one's own; the page that shows it is executed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xferlab
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.models.checkpoint import resolve
from xferlab.models.encoder import load_encoder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "encoder.md"
TEXTS = ["the film was good", "a bad plot", "it"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder)
    return folder, xferlab.encoder(str(folder))


def test_every_layer_of_texts_is_what_the_network_of_a_run_computes(tiny):
    folder, encoder = tiny
    found = encoder(TEXTS, batch_size=2)
    inputs = encoder.tokenize(TEXTS)
    backbone = load_encoder(resolve(str(folder))).backbone
    expected = np.asarray(backbone(inputs, training=False)["sequence_output"])
    real = inputs["padding_mask"] == 1
    np.testing.assert_allclose(found.sequence[real], expected[real], atol=1e-6)
    np.testing.assert_array_equal(found.layers[-1], found.sequence)
    assert [each.shape for each in found.layers] == [(3, inputs["token_ids"].shape[1], 16)] * 2
    lower = backbone.get_layer("transformer_layer_0").output
    import keras

    first = keras.Model(backbone.input, lower)(inputs, training=False)
    np.testing.assert_allclose(found.layers[0][real], np.asarray(first)[real], atol=1e-6)
    np.testing.assert_array_equal(found.mask, inputs["padding_mask"])
    alone = encoder(TEXTS[2:])
    np.testing.assert_allclose(alone.sequence[0], found.sequence[2][: alone.mask.sum()], atol=1e-6)


def test_pairs_and_lengths(tiny):
    _, encoder = tiny
    inputs = encoder.tokenize(TEXTS, pairs=["not this"] * 3, max_length=8)
    assert inputs["segment_ids"].max() == 1
    assert inputs["token_ids"].shape == (3, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda encoder: encoder("a text"), "texts is one string"),
        (lambda encoder: encoder(["a"], max_length=999), "is more than this model's 64 positions"),
        (lambda encoder: xferlab.encoder("./berd"), "there is no folder './berd'"),
    ],
)
def test_what_does_not_fit_is_refused(tiny, call, message):
    with pytest.raises(xferlab.ConfigError, match=message) as caught:
        call(tiny[1])
    assert len(str(caught.value).splitlines()) == 3


def test_the_page_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) >= 2
    names: dict[str, object] = {}
    for block in code:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["probabilities"].shape == (2, 1)  # type: ignore[attr-defined]
    weights = names["model"].trainable_weights  # type: ignore[attr-defined]
    assert any("transformer_layer_0" in weight.path for weight in weights)


def test_importing_xferlab_imports_nothing_heavy():
    code = "import xferlab, sys; xferlab.encoder; assert 'tensorflow' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
