"""Checkpoints of every family with a tokenizer: the fixtures' weights below a larger vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.tiny_checkpoints import byte_pairs, unigrams, wordpieces

FIXTURES = Path(__file__).parents[1] / "fixtures" / "families"
NAMES = sorted(path.name for path in FIXTURES.iterdir())
SAME_GRAPH = {"camembert": "roberta", "xlm-roberta": "roberta"}
"""Families that are another one under a name of their own."""
TOKEN_TABLES = (
    "word_embeddings.weight",
    "tok_embeddings.weight",
    "embed_tokens.weight",
    "model.encoder.weight",
)


def write_family_checkpoint(folder: Path, name: str) -> Path:
    """Write a fixture, or a family of its graph, with a tokenizer of its usual class.

    Args:
        folder: is made.
        name: of a fixture, or of :data:`SAME_GRAPH`.
    """
    from safetensors.numpy import load_file, save_file

    fixture = FIXTURES / SAME_GRAPH.get(name, name)
    config = json.loads((fixture / "config.json").read_text())
    config["model_type"] = name if name in SAME_GRAPH else config["model_type"]
    folder.mkdir(parents=True)
    tokenizer = family_tokenizer(config["model_type"])
    tokenizer.save_pretrained(folder)
    config["vocab_size"] = len(tokenizer)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(fixture / "model.safetensors")
    (table,) = (tensor for tensor in tensors if tensor.endswith(TOKEN_TABLES))
    rows = np.random.default_rng(0).normal(size=(len(tokenizer), tensors[table].shape[1]))
    tensors[table] = (0.5 * rows).astype("float32")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def family_tokenizer(model_type: str) -> Any:
    """Return a tokenizer of the class that the family's checkpoints have."""
    import transformers

    if model_type in BYTE_LEVEL:
        return _byte_level(*BYTE_LEVEL[model_type])
    kind = CLASSES.get(model_type, "BertTokenizer")
    options: dict[str, Any] = {"vocab": wordpieces()}
    if model_type in ("albert", "deberta-v2"):
        options = {"vocab": unigrams("unigram"), "pad_token": "<pad>", "unk_token": "<unk>"}
    elif model_type in ("xlm-roberta", "camembert"):
        options = {"vocab": unigrams("roberta")}
    elif model_type == "roberta":
        options = byte_pairs()
    elif model_type == "mpnet":
        options = {"vocab": wordpieces(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])}
    elif model_type == "qwen3":
        options = byte_pairs([], ["<|endoftext|>"])
    elif model_type == "gemma3_text":
        options = _blank_pairs()
    return getattr(transformers, kind)(**options)


CLASSES = {
    "albert": "AlbertTokenizer",
    "camembert": "CamembertTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "gemma3_text": "GemmaTokenizer",
    "mpnet": "MPNetTokenizer",
    "qwen3": "Qwen2Tokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
"""Of transformers, by ``model_type``."""
BYTE_LEVEL: dict[str, tuple[dict[str, str], str, str]] = {
    "eurobert": (
        {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|end_of_text|>",
            "pad_token": "<|pad|>",
            "mask_token": "<|mask|>",
        },
        "{bos_token} $A {eos_token}",
        "{bos_token} $A {eos_token} {bos_token} $B {eos_token}",
    ),
    "llama": (  # Llama 3 has no token for padding
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        "{bos_token} $A",
        "{bos_token} $A {bos_token} $B",
    ),
    "modernbert": (
        {
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "mask_token": "[MASK]",
        },
        "{cls_token} $A {sep_token}",
        "{cls_token} $A {sep_token} $B {sep_token}",
    ),
}
"""Special tokens and templates of those without a class of their own, by ``model_type``."""


def _byte_level(special: dict[str, str], single: str, pair: str) -> Any:
    """Return a byte-level BPE whose special tokens are the last ids."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tables = byte_pairs([], list(special.values()))
    engine = Tokenizer(models.BPE(**tables))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    engine.post_processor = processors.TemplateProcessing(
        single=single.format(**special),
        pair=pair.format(**special),
        special_tokens=[(token, tables["vocab"][token]) for token in special.values()],
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=engine, **special)


def _blank_pairs() -> dict[str, Any]:
    """Return vocabulary and merges of Gemma's BPE, where a blank is part of the next word."""
    tables = byte_pairs(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], [])
    merges = [tuple(part.replace("Ġ", "▁") for part in merge) for merge in tables["merges"]]
    vocabulary = {token.replace("Ġ", "▁"): i for token, i in tables["vocab"].items()}
    return {"vocab": vocabulary, "merges": merges}
