"""A new encoder family is one class: it loads, trains, and is exported; no other file changes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.finished_runs import train, write_rows
from tests.support.tiny_checkpoints import write_tokenizer, write_weights
from xferlab.cli.main import main
from xferlab.models.architectures import Architecture, registry
from xferlab.models.checkpoint import resolve
from xferlab.models.encoder import load_encoder

# --- the whole family ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Toy(Architecture):
    """Scaled embeddings without a norm, one norm after the last layer, names of its own."""

    segments: int = 0

    model_type = "toy"
    class_prefix = "Toy"
    weight_prefix = "toy."
    config_keys = {
        "vocabulary_size": "n_vocab",
        "hidden_size": "d_model",
        "layers": "depth",
        "heads": "n_head",
        "intermediate_size": "d_ff",
        "positions": "max_len",
        "activation": "act",
        "epsilon": "norm_eps",
        "hidden_dropout": "drop",
        "attention_dropout": "attn_drop",
        "initializer_range": "init_std",
    }
    config_defaults = {"act": "relu", "drop": 0.0, "attn_drop": 0.0, "init_std": 0.02}
    embedding_tensors = {
        "token_embedding": "wte",
        "position_embedding": "wpe",
        "final_norm": "ln_f",
    }
    layers_above = ("final_norm",)
    layer_stem = "blocks.{index}"
    layer_tensors = {
        "self_attention_layer/query": "attn.q",
        "self_attention_layer/key": "attn.k",
        "self_attention_layer/value": "attn.v",
        "self_attention_layer/attention_output": "attn.o",
        "self_attention_layer_norm": "ln_1",
        "feedforward_intermediate_dense": "mlp.up",
        "feedforward_output_dense": "mlp.down",
        "feedforward_layer_norm": "ln_2",
    }

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        import keras

        scale = keras.layers.Rescaling(math.sqrt(self.hidden_size), name="embeddings_scale")
        return scale(self.embeddings(inputs))

    def encode(self, sequence: Any, padding_mask: Any, first_token_only: bool) -> Any:
        import keras

        norm = keras.layers.LayerNormalization(epsilon=self.epsilon, name="final_norm")
        return norm(super().encode(sequence, padding_mask, first_token_only))

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        return {"head": "score"} if is_per_word else {"head_dense": "head.dense", "head": "score"}


# --- what it is tested with ----------------------------------------------------------------------

LAYER = {
    "attn.q": (8, 8),
    "attn.k": (8, 8),
    "attn.v": (8, 8),
    "attn.o": (8, 8),
    "mlp.up": (12, 8),
    "mlp.down": (8, 12),
}


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> type[Toy]:
    """Register the family for one test."""
    monkeypatch.setattr(registry.FAMILIES, "_members", dict(registry.FAMILIES))
    return registry.register(Toy)


def write_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """Write a checkpoint of the family, and return its tensors."""
    folder.mkdir()
    size = write_tokenizer(folder, "bert")
    config = {
        "model_type": "toy",
        "n_vocab": size,
        "d_model": 8,
        "depth": 2,
        "n_head": 2,
        "d_ff": 12,
        "max_len": 40,
        "norm_eps": 1e-5,
    }
    (folder / "config.json").write_text(json.dumps(config))
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (size, 8), "wpe.weight": (40, 8)}
    norms = ["ln_f", *(f"blocks.{i}.{norm}" for i in range(2) for norm in ("ln_1", "ln_2"))]
    dense = {f"blocks.{i}.{name}": shape for i in range(2) for name, shape in LAYER.items()}
    for name in norms:
        shapes |= {f"{name}.weight": (8,), f"{name}.bias": (8,)}
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    random = np.random.default_rng(0)
    tensors = {n: random.standard_normal(s).astype("float32") / 2 for n, s in shapes.items()}
    write_weights(folder, tensors)
    return tensors


def test_a_made_up_family_loads_trains_and_is_exported(family, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tensors = write_checkpoint(tmp_path / "toy")
    encoder = load_encoder(resolve("toy"))
    assert encoder.from_checkpoint == sum(tensor.size for tensor in tensors.values())
    assert encoder.blocks["layer_1"] == ("transformer_layer_1", "final_norm")
    write_rows(tmp_path)
    run = train(
        tmp_path,
        "plain",
        "model=encoder",
        "model.checkpoint=toy",
        "train.max_steps=1",
        "train.epochs=null",
        "transfer=gradual",
    )
    assert json.loads((run / "run.json").read_text())["checkpoint"]["architecture"] == "toy"

    assert main(["export", str(run), "--to", "transformers", "--output", "out"]) == 0
    config = json.loads(Path("out/config.json").read_text())
    assert config["architectures"] == ["ToyForSequenceClassification"]
    assert (config["d_model"], config["depth"], config["max_len"]) == (8, 2, 40)
    exported = resolve("out")
    head = {f"{stem}.{word}" for stem in ("head.dense", "score") for word in ("weight", "bias")}
    assert set(exported.tensors) == {f"toy.{name}" for name in tensors} | head
    again = load_encoder(exported)
    assert again.architecture == encoder.architecture
    assert again.from_checkpoint == encoder.from_checkpoint


def test_its_model_type_is_refused_where_it_is_not_registered(tmp_path):
    write_checkpoint(tmp_path / "toy")
    with pytest.raises(Exception, match="architecture 'toy', which cannot be loaded"):
        resolve(str(tmp_path / "toy"))


def test_two_families_of_one_model_type_are_refused(family):
    class Other(Toy):
        pass

    with pytest.raises(ValueError, match="model_type toy is Toy's already"):
        registry.register(Other)
