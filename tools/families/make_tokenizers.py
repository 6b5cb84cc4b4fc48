"""Writes a small tokenizer of each kind, and the ids that transformers gives with it.

    PYTHON tools/families/make_tokenizers.py

``PYTHON`` is that of an environment with transformers and sentencepiece. Each folder of
``tests/fixtures/tokenizers`` gets the files that a checkpoint of its kind has, and ``ids.json``:
the ids of odd texts, alone and in pairs.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import sentencepiece
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers import decoders as decode

FOLDER = Path(__file__).parents[2] / "tests" / "fixtures" / "tokenizers"
TEXT = (
    "the film was great but unwatchable a movie plot cast is not it this that fine bad and you we"
    " they loved hated story acting director scene character café naïve 12 345 2026"
)
ODD = [
    "the film was great",
    "",
    " ",
    "\t\n \u00a0\u2003 ",
    "  two  blanks, and\na line\r\n\tthat ends  ",
    "naïve café: cafe\u0301 and Ⅷ ﬁne ½ ①",
    "😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽",
    "日本語のテキスト 한국어 ภาษาไทย",
    "عربي and עברית",
    "a\x00b\x07c\x1b[2Jd\ufeffe\u200bf\u202eg",
    "[CLS] <s> </s> [MASK] <mask> <|endoftext|> <pad> [PAD]",
    "don't we'll 1234567890 3.14 $5 a@b.de http://x.y/z?q=1#f",
    "unwatchable" * 40,
    "the plot, it is not the cast! " * 60,
    "\U0010ffff \ufffd \u0378",
]
PAIRS = [["the film", "was bad"], ["", "a movie"], ["a movie", ""], ["", ""]]


def main() -> None:
    """Write every folder anew."""
    corpus = FOLDER / "corpus.txt"
    FOLDER.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    lines = [" ".join(chance.choices(TEXT.split(), k=8)) + chance.choice(".!?") for _ in range(400)]
    corpus.write_text("\n".join(lines), encoding="utf-8")
    word_piece(folder_of("wordpiece", "bert", "BertTokenizer"), corpus)
    byte_level(folder_of("byte_level", "roberta", "RobertaTokenizer"), corpus)
    no_specials(folder_of("byte_level_no_specials", "qwen3", "Qwen2Tokenizer"), corpus)
    marks = {"pad_piece": "[PAD]", "unk_piece": "[UNK]", "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
    ids = {"pad_id": 0, "unk_id": 3, "bos_id": 1, "eos_id": 2}
    path = folder_of("unigram_spm", "deberta-v2", "DebertaV2Tokenizer") / "spm.model"
    sentence_piece(path, corpus, "unigram", 90, **marks, **ids)
    path = folder_of("unigram_fairseq", "xlm-roberta", "XLMRobertaTokenizer")
    sentence_piece(path / "sentencepiece.bpe.model", corpus, "unigram", 90)
    path = folder_of("bpe_spm", "llama", "LlamaTokenizer") / "tokenizer.model"
    more = {"byte_fallback": True, "split_digits": True, "remove_extra_whitespaces": False}
    sentence_piece(path, corpus, "bpe", 380, **more)
    for folder in sorted(each for each in FOLDER.iterdir() if each.is_dir()):
        write_ids(folder)
    corpus.unlink()


def folder_of(name: str, model_type: str, tokenizer_class: str) -> Path:
    """Return an empty folder with what a checkpoint says of its tokenizer."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = {"model_type": model_type, "vocab_size": 400}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))
    return folder


def word_piece(folder: Path, corpus: Path) -> None:
    """Write ``vocab.txt`` alone, as the first BERT had it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    tokenizer.train([str(corpus)], trainer)
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda row: row[1])
    text = "".join(f"{piece}\n" for piece, _ in pieces)
    (folder / "vocab.txt").write_text(text, encoding="utf-8")


def byte_level(folder: Path, corpus: Path, special: tuple[str, ...] = ()) -> None:
    """Write ``vocab.json`` and ``merges.txt``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decode.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=list(special or ("<s>", "<pad>", "</s>", "<unk>", "<mask>")),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train([str(corpus)], trainer)
    tokenizer.model.save(str(folder))


def no_specials(folder: Path, corpus: Path) -> None:
    """Write ``tokenizer.json`` of a tokenizer that adds no tokens, as Qwen's."""
    byte_level(folder, corpus, ("<|endoftext|>", "<|im_end|>"))
    loaded = transformers.AutoTokenizer.from_pretrained(str(folder), eos_token="<|im_end|>")
    for path in (folder / "vocab.json", folder / "merges.txt", folder / "tokenizer_config.json"):
        path.unlink()
    loaded.save_pretrained(str(folder))


def sentence_piece(path: Path, corpus: Path, kind: str, size: int, **more: Any) -> None:
    """Write a model of SentencePiece with four rules of normalisation (all would take 240 kB)."""
    rules = corpus.with_name("rules.tsv")
    rules.write_text("FB01\t66 69\nA0\t20\n3000\t20\nBD\t31 2F 32\n")
    if kind == "unigram":
        more["normalization_rule_tsv"] = str(rules)
    else:
        more["normalization_rule_name"] = "identity"
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(path.with_suffix("")),
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,
        minloglevel=2,
        **more,
    )
    path.with_suffix(".vocab").unlink()
    rules.unlink()


def write_ids(folder: Path) -> None:
    """Write the ids that transformers gives."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    found = {
        "transformers": transformers.__version__,
        "texts": [[text, tokenizer(text)["input_ids"]] for text in ODD],
        "pairs": [[a, b, tokenizer([a], [b])["input_ids"][0]] for a, b in PAIRS],
    }
    text = json.dumps(found).replace("]], ", "]],\n").replace('], ["', '],\n["')
    (folder / "ids.json").write_text(text + "\n")
    sys.stdout.write(f"{folder.name}: {type(tokenizer).__name__}, {len(tokenizer)} tokens\n")


if __name__ == "__main__":
    main()
