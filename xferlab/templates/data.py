"""My data."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import Rows, TextData, check_fields, no_limit, register, text_data

SUBJECTS = ("film", "book", "song", "play", "plot", "actor", "scene", "story")
OPINIONS = {"good": ("fine", "great", "lovely"), "bad": ("poor", "dull", "awful")}


@register("data", "example")
@dataclass(frozen=True)
class Example:
    """Sentences that are made here, good or bad.

    Attributes:
        max_length: longest input, in tokens; longer ones are truncated.
        limit: most examples of ``train``, ``validation`` and ``test``; null for all.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    max_length: int = 32
    limit: dict[str, int | float | None] = field(default_factory=no_limit)

    def __post_init__(self) -> None:
        check_fields(self.max_length, limit=self.limit)

    def build(self, seed: int) -> TextData:
        # Replace this by what reads your examples: any texts, and a label for each. Labels may be
        # names, numbers or lists of names; text_data infers the task, checks them and reports what
        # is unusual. Without "validation" a part of "train" is held back.
        examples = [
            (f"the {subject} is {word} {end}", label)
            for subject in SUBJECTS
            for label, words in OPINIONS.items()
            for word in words
            for end in ("today", "again", "indeed", "though")
        ]
        texts, labels = map(list, zip(*examples, strict=True))
        rows = {
            "train": Rows(texts[:144], labels[:144]),
            "test": Rows(texts[144:], labels[144:]),
        }
        return text_data(rows, seed, max_length=self.max_length, limit=self.limit)
