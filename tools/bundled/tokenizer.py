"""The WordPiece tokenizer of the checkpoint in the box, trained on its corpus."""

import json
import string
from pathlib import Path
from typing import Any

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
MAX_TOKENS = 128


def train_tokenizer(texts: list[str], size: int) -> Any:
    """Gives a lower-case BERT tokenizer of at most `size` learnt pieces that the texts need.

    Pieces that no text needs, the steps on the way to longer ones, are left out: which of them the
    trainer takes is not the same every time. Every letter, digit and ASCII sign is a piece as well,
    alone and later in a word, so that text from elsewhere is spelt out rather than unknown.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    used = {piece for row in learner.encode_batch(texts) for piece in row.tokens}
    signs = string.ascii_lowercase + string.digits
    alphabet = [*signs, *(f"##{sign}" for sign in signs), *string.punctuation]
    pieces = [*SPECIAL.values(), *alphabet]
    return build_tokenizer([*pieces, *sorted(used - set(pieces))])


def build_tokenizer(pieces: list[str]) -> Any:
    """Gives the BERT tokenizer with these pieces, in this order."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    return tokenizer


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Writes the tokenizer's Hugging Face files into the folder."""
    vocab = tokenizer.get_vocab()
    pieces = sorted(vocab, key=vocab.__getitem__)
    names = {f"{name}_token": token for name, token in SPECIAL.items()}
    settings = {
        **names,
        "do_lower_case": True,
        "model_max_length": MAX_TOKENS,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    for name, content in (("tokenizer_config", settings), ("special_tokens_map", names)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
