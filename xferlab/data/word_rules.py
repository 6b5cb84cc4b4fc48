"""Tokenizer rules for lists of words."""

from __future__ import annotations

import json
from typing import Any


def with_leading_blanks(rules: str) -> str:
    """Return a tokenizer's rules changed so that each word of a list begins with a blank.

    Byte-level tokenizers (RoBERTa) distinguish " word" from "word"; a word in a text is the former.
    """

    def change(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "ByteLevel" and "add_prefix_space" in node:
                node["add_prefix_space"] = True
            for value in node.values():
                change(value)
        elif isinstance(node, list):
            for value in node:
                change(value)

    parsed = json.loads(rules)
    change(parsed["pre_tokenizer"])
    return json.dumps(parsed, ensure_ascii=False)
