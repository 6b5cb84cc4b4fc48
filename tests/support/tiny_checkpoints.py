"""Tiny random checkpoints: real Hugging Face folders of every supported architecture.

Written without PyTorch and without the code under test: the tensors' names and shapes are those
that transformers' own models have, so that a mistake in the loading cannot hide here too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xferlab.models.architectures import Architecture

ARCHITECTURES = ("albert", "bert", "distilbert", "roberta", "xlm-roberta")
WORDS = [
    "the",
    "a",
    "and",
    "of",
    "to",
    "it",
    "is",
    "was",
    "not",
    "this",
    "that",
    "film",
    "movie",
    "good",
    "bad",
    "great",
    "poor",
    "fine",
    "plot",
    "cast",
]

_SPECIAL = {
    "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "unigram": ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
    "roberta": ["<s>", "<pad>", "</s>", "<unk>"],
}
_LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
_SIGNS = [*"0123456789.,!?'-"]


def tiny_encoder() -> Architecture:
    """Return the sizes of a BERT of two layers, 8 wide, with 30 pieces and no dropout."""
    from xferlab.models.architectures.bert import Bert

    return Bert(
        vocabulary_size=30,
        hidden_size=8,
        layers=2,
        heads=2,
        intermediate_size=16,
        positions=6,
        segments=2,
        activation="gelu",
        epsilon=1e-12,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        initializer_range=0.02,
    )


def write_tiny_checkpoint(
    folder: Path,
    architecture: str = "bert",
    *,
    seed: int = 0,
    layers: int = 2,
    prefix: str = "",
    pooler: bool = True,
    dtype: str = "F32",
    shards: int = 1,
    old_norms: bool = False,
    **config: object,
) -> Path:
    """Write a checkpoint (16 wide, 2 heads) and return its folder.

    Args:
        folder: made where needed.
        architecture: one of ARCHITECTURES.
        seed: the same seed gives the same bytes.
        layers: of the encoder; a second one costs a second of tracing in each run.
        prefix: stands before the tensors' names, like ``bert.`` in a model with a head.
        pooler: whether BERT and ALBERT have their pooler.
        dtype: number type in the file: F32, F16 or BF16.
        shards: files that the weights are spread over, with an index from two on.
        old_norms: name the normalisations' weights ``gamma`` and ``beta``.
        config: changed keys of ``config.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = write_tokenizer(folder, architecture)
    table = tiny_config(architecture, size, layers) | config
    (folder / "config.json").write_text(json.dumps(table, indent=2))
    tensors = {
        prefix + name: value for name, value in tiny_tensors(table, seed, pooler=pooler).items()
    }
    if old_norms:
        renamed = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for old, new in renamed.items():
            tensors = {name.replace(old, new): value for name, value in tensors.items()}
    write_weights(folder, tensors, dtype=dtype, shards=shards)
    return folder


def tiny_config(architecture: str, vocabulary_size: int, layers: int = 2) -> dict[str, object]:
    """Return the content of a ``config.json``, with the keys that transformers writes."""
    if architecture == "distilbert":
        return {
            "architectures": ["DistilBertModel"],
            "model_type": "distilbert",
            "vocab_size": vocabulary_size,
            "dim": 16,
            "n_layers": layers,
            "n_heads": 2,
            "hidden_dim": 32,
            "activation": "gelu",
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "max_position_embeddings": 64,
            "pad_token_id": 0,
        }
    is_roberta = "roberta" in architecture
    table: dict[str, object] = {
        "architectures": [_CLASS[architecture]],
        "model_type": architecture,
        "vocab_size": vocabulary_size,
        "hidden_size": 16,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 66 if is_roberta else 64,
        "type_vocab_size": 1 if is_roberta else 2,
        "layer_norm_eps": 1e-5 if is_roberta else 1e-12,
        "pad_token_id": 1 if is_roberta else 0,
    }
    if architecture == "albert":
        table |= {"embedding_size": 8, "num_hidden_groups": 1, "inner_group_num": 1}
        table |= {"hidden_act": "gelu_new", "hidden_dropout_prob": 0}
        table |= {"attention_probs_dropout_prob": 0}
    return table


_CLASS = {
    "albert": "AlbertModel",
    "bert": "BertModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
}


def tiny_tensors(
    config: dict[str, object], seed: int = 0, *, pooler: bool = True
) -> dict[str, np.ndarray]:
    """Return random tensors by the names that transformers gives them, without a prefix."""
    random = np.random.default_rng(seed)
    return {
        name: _random_tensor(random, name, shape)
        for name, shape in _shapes(config, pooler=pooler).items()
    }


def _random_tensor(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
    return (centre + 0.3 * random.standard_normal(shape)).astype(np.float32)


def _shapes(config: dict, *, pooler: bool) -> dict[str, tuple[int, ...]]:
    kind = config["model_type"]
    hidden = config["dim" if kind == "distilbert" else "hidden_size"]
    wide = config["hidden_dim" if kind == "distilbert" else "intermediate_size"]
    narrow = config.get("embedding_size", hidden)
    shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], narrow),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], narrow),
        "embeddings.LayerNorm.weight": (narrow,),
        "embeddings.LayerNorm.bias": (narrow,),
    }
    if kind != "distilbert":
        shapes["embeddings.token_type_embeddings.weight"] = (config["type_vocab_size"], narrow)
    if kind == "albert":
        shapes |= _dense("encoder.embedding_hidden_mapping_in", narrow, hidden)
    for stem in _layer_stems(config):
        query, key, value, out, norm_1, inner, outer, norm_2 = _PARTS.get(kind, _PARTS["bert"])
        for part in (query, key, value, out):
            shapes |= _dense(stem + part, hidden, hidden)
        shapes |= _dense(stem + inner, hidden, wide) | _dense(stem + outer, wide, hidden)
        for norm in (norm_1, norm_2):
            shapes |= {f"{stem}{norm}.weight": (hidden,), f"{stem}{norm}.bias": (hidden,)}
    if pooler and kind in ("albert", "bert"):
        shapes |= _dense("pooler" if kind == "albert" else "pooler.dense", hidden, hidden)
    return shapes


_PARTS = {
    "bert": (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ),
    "distilbert": (
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "ffn.lin2",
        "output_layer_norm",
    ),
    "albert": (
        "attention.query",
        "attention.key",
        "attention.value",
        "attention.dense",
        "attention.LayerNorm",
        "ffn",
        "ffn_output",
        "full_layer_layer_norm",
    ),
}


def _layer_stems(config: dict) -> list[str]:
    """Return what stands before the parts of each layer that has weights of its own."""
    if config["model_type"] == "albert":
        return [
            f"encoder.albert_layer_groups.{group}.albert_layers.{inner}."
            for group in range(config["num_hidden_groups"])
            for inner in range(config["inner_group_num"])
        ]
    if config["model_type"] == "distilbert":
        return [f"transformer.layer.{index}." for index in range(config["n_layers"])]
    return [f"encoder.layer.{index}." for index in range(config["num_hidden_layers"])]


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def write_weights(
    folder: Path, tensors: dict[str, np.ndarray], *, dtype: str = "F32", shards: int = 1
) -> None:
    """Write ``model.safetensors``, or several files and their index."""
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors, dtype))
        return
    names = sorted(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        (folder / file).write_bytes(safetensors_bytes(part, dtype))
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def safetensors_bytes(tensors: dict[str, np.ndarray], dtype: str = "F32") -> bytes:
    """Return the content of a safetensors file."""
    header = {}
    body = b""
    for name, value in sorted(tensors.items()):
        data = _encoded(value, dtype)
        places = [len(body), len(body) + len(data)]
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": places}
        body += data
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def _encoded(value: np.ndarray, dtype: str) -> bytes:
    if dtype == "BF16":  # round to nearest: add half of what is cut off
        return ((value.view(np.uint32) + 0x8000) >> 16).astype("<u2").tobytes()
    return value.astype({"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()


def write_tokenizer(folder: Path, architecture: str) -> int:
    """Write the tokenizer's files and return the number of its pieces."""
    import transformers

    if architecture in ("bert", "distilbert"):
        vocabulary = wordpieces()
        tokenizer = transformers.BertTokenizer(vocab=vocabulary)
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary))
    elif architecture == "roberta":
        tokenizer = transformers.RobertaTokenizer(**byte_pairs())
    elif architecture == "xlm-roberta":
        tokenizer = transformers.XLMRobertaTokenizer(vocab=unigrams("roberta"))
    else:
        tokenizer = transformers.AlbertTokenizer(vocab=unigrams("unigram"))
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def wordpieces(special: Sequence[str] = _SPECIAL["wordpiece"]) -> dict[str, int]:
    """Return a WordPiece vocabulary: letters and whole words."""
    pieces = [*special, *_SIGNS, *_LETTERS, *(f"##{x}" for x in _LETTERS), *WORDS]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


def byte_pairs(
    first: Sequence[str] = _SPECIAL["roberta"], last: Sequence[str] = ("<mask>",)
) -> dict[str, Any]:
    """Return the vocabulary and the merges of a byte-level BPE of whole words.

    Args:
        first: tokens before all others.
        last: tokens after them.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    merges = []
    pieces = []
    for word in WORDS:
        built = "Ġ"
        for letter in word:
            merges.append((built, letter))
            built += letter
            pieces.append(built)
    alphabet = sorted(ByteLevel.alphabet())
    names = dict.fromkeys([*first, *alphabet, *pieces, *last])
    vocabulary = {piece: index for index, piece in enumerate(names)}
    return {"vocab": vocabulary, "merges": list(dict.fromkeys(merges))}


def unigrams(kind: str) -> list[tuple[str, float]]:
    """Return the pieces of a unigram model with their scores."""
    pieces = [*_LETTERS, *_SIGNS, "▁", *(f"▁{word}" for word in WORDS)]
    scored = [(piece, -2.0 - 0.01 * index) for index, piece in enumerate(pieces)]
    ends = [("<mask>", 0.0)] if kind == "roberta" else []
    return [*((piece, 0.0) for piece in _SPECIAL[kind]), *scored, *ends]
