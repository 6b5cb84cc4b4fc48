"""Reviews that nobody wrote: a small random grammar with one overall opinion per review.

A review has a subject, people, and an opinion (`POSITIVE` or `NEGATIVE`). Every sentence that
judges says that opinion: plainly, by negating words of the other side ("far from dull"), by
conceding the other side first ("although the plot was dull, I loved it"), or by agreeing or
disagreeing with somebody. What counts is therefore how the words stand together.
"""

import random
from collections.abc import Callable, Mapping

from tools.bundled.lexicon import (
    ACTS,
    ADJECTIVES,
    ATTITUDES,
    COMPANIONS,
    DOMAINS,
    MOODS,
    NOUNS,
    SOURCES,
    TIMES,
    VERBS,
)

INTENSIFIERS = (
    "really", "truly", "quite", "simply", "so", "remarkably", "particularly", "genuinely",
    "absolutely", "rather", "just", "surprisingly", "very", "always", "consistently", "certainly",
)  # fmt: skip

NEGATORS = (
    "not", "not at all", "not really", "not particularly", "not remotely", "not exactly",
    "not in the least", "not even slightly", "never", "hardly", "scarcely", "barely", "far from",
    "anything but", "by no means", "in no way", "nowhere near", "not what I would call",
    "the opposite of", "never once", "not in any way", "rarely",
)  # fmt: skip

# {m} is the clause that decides, {s} the clause that gives way.
CONTRASTS = (
    "although {s}, {m}", "even though {s}, {m}", "while {s}, {m}", "{s}, but {m}", "{s}, yet {m}",
    "{s}; however, {m}", "{s}; still, {m}", "{m}, although {s}", "{m}, even though {s}",
    "despite the fact that {s}, {m}", "{m}, despite the fact that {s}",
    "at first {s}; in the end {m}", "in the beginning {s}, but later {m}",
    "I had feared that {s}, but {m}", "I had assumed that {s}; in truth {m}",
    "{m} in the end, after a start when {s}",
    "it may be that {s}, but all the same {m}", "granted, {s}, but what counts is that {m}",
    "{s} once; these days {m}", "{m}, and I do not care that {s}", "{s}; nevertheless {m}",
    "in spite of the fact that {s}, {m}", "{s} on paper, whereas in reality {m}",
    "it is true that {s}; on the whole, though, {m}",
)  # fmt: skip

# Somebody says {c}; the writer agrees or does not.
DENIALS = (
    "{w} told us that {c}, which was wrong", "{w} claimed that {c}; that is nonsense",
    "I do not agree with {w} that {c}", "it is not true that {c}", "I do not believe that {c}",
    "nobody can tell me that {c}", "{w} said that {c} and could not have been more wrong",
    "anyone who thinks that {c} is mistaken", "I cannot say that {c}",
    "{w} swore that {c}; I saw no sign of it",
)  # fmt: skip
AGREEMENTS = (
    "{w} told us that {c}, which was right", "{w} claimed that {c}; that is a fact",
    "I do agree with {w} that {c}", "it is quite true that {c}", "I do believe that {c}",
    "nobody can deny that {c}", "{w} said that {c} and could not have been more right",
    "anyone who thinks that {c} is right", "I must say that {c}",
    "{w} swore that {c}; I saw it for myself",
)  # fmt: skip

Mix = Mapping[str, float]


def with_article(noun: str) -> str:
    """Gives the noun phrase with "a" or "an" before it."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def as_sentence(text: str) -> str:
    """Gives the text with a capital letter in front and a full stop behind."""
    return f"{text[0].upper()}{text[1:]}."


class Review:
    """One writer with one opinion on one subject.

    Attributes:
        opinion: The side that every judging sentence takes, `POSITIVE` or `NEGATIVE`.
        domain: The key in `DOMAINS` of what the review is about.
    """

    def __init__(self, state: random.Random, opinion: int, domain: str | None = None) -> None:
        self._random = state
        self.opinion = opinion
        self.domain = domain or self._pick(tuple(DOMAINS))
        self._thing = self._pick(DOMAINS[self.domain]["things"])
        self._companion = self._pick(COMPANIONS)

    def sentence(self, mix: Mix) -> str:
        """Gives one sentence of a kind drawn from `mix`, a weight for each method's name."""
        kind = self._random.choices(tuple(mix), weights=tuple(mix.values()))[0]
        if kind == "fact":
            return as_sentence(self.fact())
        say: Callable[[int], str] = getattr(self, kind)
        return as_sentence(say(self.opinion))

    def fact(self) -> str:
        """Gives a clause that judges nothing."""
        shape = self._random.randrange(4)
        if shape == 0:
            return f"{self._companion} and I went there {self._pick(TIMES)}"
        if shape == 1:
            return f"{self._pick(TIMES)} {self._pick(DOMAINS[self.domain]['facts'])}"
        if shape == 2:
            return f"{self._companion} told me about the {self._thing} {self._pick(TIMES)}"
        return self._pick(DOMAINS[self.domain]["facts"])

    def plain(self, side: int) -> str:
        """Gives a clause that takes `side` with words of that side."""
        kind, name, be = self._subject()
        adjective, other = self._adjectives(kind, side)
        attitude = self._past(ATTITUDES[side])
        verb = self._past(VERBS[side])
        noun = with_article(self._pick(NOUNS[side]))
        who = self._pick(("I", "we", "all of us", self._companion, "I", "we"))
        shapes = (
            f"{name} {be} {adjective}",
            f"{name} {be} {self._pick(INTENSIFIERS)} {adjective}",
            f"{name} {be} {adjective} and {other}",
            f"{name} {be} not only {adjective} but also {other}",
            f"{name} {be} nothing but {adjective}",
            f"{name} {be} nothing less than {adjective}",
            f"{name} {be} {adjective} without exception",
            f"everything about {name} was {adjective}",
            f"{who} found {name} {self._pick(INTENSIFIERS)} {adjective}",
            f"{name} {verb}",
            f"{name} {self._pick(('really', 'truly', 'certainly'))} {verb}",
            f"{name} never failed to {self._infinitive(VERBS[side])}",
            f"{name} {be} {noun}",
            f"to {who if who[0] == 'm' else 'me'} {name} {be} {noun}",
            f"{who} {attitude} {name}",
            f"{who} {self._pick(('really', 'simply', 'quite openly'))} {attitude} {name}",
            f"I would {self._pick(('gladly', 'certainly', 'definitely'))} {self._pick(ACTS[side])}",
            f"{who} left {self._pick(MOODS[side])}",
        )
        return self._pick(shapes)

    def negated(self, side: int) -> str:
        """Gives a clause that takes `side` by denying words of the other side."""
        kind, name, be = self._subject()
        adjective, other = self._adjectives(kind, -side)
        attitude = self._infinitive(ATTITUDES[-side])
        verb = self._infinitive(VERBS[-side])
        noun = with_article(self._pick(NOUNS[-side]))
        who = self._pick(("I", "we", "none of us", "I", "we"))
        did = "" if who == "none of us" else " did not"
        liked = self._past(ATTITUDES[-side]) if not did else attitude
        negator = self._pick(NEGATORS)
        shapes = (
            f"{name} {be} {negator} {adjective}",
            f"{name} {be} {self._pick(NEGATORS)} {adjective}",
            f"{name} {be} {self._pick(NEGATORS)} {adjective} or {other}",
            f"{name} {be} neither {adjective} nor {other}",
            f"nothing about {name} was {adjective}",
            f"there was nothing {adjective} about {name}",
            f"nobody could call {name} {adjective}",
            f"I would not call {name} {adjective}",
            f"{name} failed to {verb}",
            f"{name} did not {verb}",
            f"{name} never managed to {verb}",
            f"{name} {be} {self._pick(('not', 'anything but', 'hardly', 'by no means'))} {noun}",
            f"{who}{did} {liked} {name}",
            f"I had no reason to {attitude} {name}",
            f"I would {self._pick(('not', 'never', 'by no means'))} {self._pick(ACTS[-side])}",
            f"I did not leave {self._pick(MOODS[-side])}",
        )
        return self._pick(shapes)

    def contrast(self, side: int) -> str:
        """Gives a sentence in which the other side is heard but `side` wins."""
        return self._pick(CONTRASTS).format(m=self._clause(side), s=self._clause(-side))

    def denial(self, side: int) -> str:
        """Gives a sentence that takes `side` by contradicting a claim of the other."""
        return self._pick(DENIALS).format(w=self._speaker(), c=self._clause(-side))

    def agreement(self, side: int) -> str:
        """Gives a sentence that takes `side` by confirming a claim of that side."""
        return self._pick(AGREEMENTS).format(w=self._speaker(), c=self._clause(side))

    def _clause(self, side: int) -> str:
        return self.negated(side) if self._random.random() < 0.3 else self.plain(side)

    def _speaker(self) -> str:
        return self._companion if self._random.random() < 0.3 else self._pick(SOURCES)

    def _subject(self) -> tuple[str, str, str]:
        """Gives the kind of what is judged, its noun phrase, and "was" or "were"."""
        if self._random.random() < 0.2:
            return "any", f"the {self._thing}", "was"
        kinds = [kind for kind in DOMAINS[self.domain] if kind not in ("things", "facts")]
        sizes = [len(DOMAINS[self.domain][kind]) for kind in kinds]
        kind = self._random.choices(kinds, weights=sizes)[0]
        noun = self._pick(DOMAINS[self.domain][kind])
        return kind, f"the {noun.lstrip('*')}", "were" if noun.startswith("*") else "was"

    def _adjectives(self, kind: str, side: int) -> tuple[str, str]:
        """Gives two different adjectives that can be said of this kind of thing."""
        special = kind != "any" and self._random.random() < 0.4
        options = ADJECTIVES[kind if special else "any"][side]
        first = self._pick(options)
        return first, self._pick(tuple(word for word in options if word != first))

    def _infinitive(self, verbs: tuple[str, ...]) -> str:
        return self._pick(verbs).split("|")[0]

    def _past(self, verbs: tuple[str, ...]) -> str:
        return self._pick(verbs).split("|")[1]

    def _pick(self, options: tuple[str, ...]) -> str:
        return options[int(self._random.random() * len(options))]
