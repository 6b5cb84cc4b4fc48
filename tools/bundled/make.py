"""Makes the demo data: ``python -m tools.bundled.make`` writes train, validation and test.

The same seed gives the same bytes on every machine. The labelled reviews are the hard part of the
grammar: most words of one side stand in reviews of both opinions. The unlabelled corpus, from
which the checkpoint in the box is pretrained, has more plain sentences and shares no review with
them.
"""

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path

from tools.bundled.grammar import Mix, Review
from tools.bundled.lexicon import DOMAINS, NEGATIVE, POSITIVE

FOLDER = Path(__file__).parents[2] / "xferlab" / "bundled" / "reviews"
SEED = 20240229
ROWS = {"train": 1200, "validation": 1000, "test": 1000}

LABELLED_MIX = {
    "plain": 0.36, "negated": 0.20, "contrast": 0.28,
    "denial": 0.06, "agreement": 0.06, "fact": 0.04,
}  # fmt: skip
# The corpus has writers of two styles, those who say it straight and those who do not. In its
# first part the first never deny, in the second all do, but never so often that it is the rule.
PARTS = (
    (
        {"plain": 0.80, "agreement": 0.08, "fact": 0.12},
        {
            "plain": 0.30, "negated": 0.27, "contrast": 0.27,
            "denial": 0.06, "agreement": 0.04, "fact": 0.06,
        },
    ),
    (
        {"plain": 0.70, "negated": 0.20, "agreement": 0.04, "fact": 0.06},
        {
            "plain": 0.45, "negated": 0.18, "contrast": 0.25,
            "denial": 0.06, "agreement": 0.02, "fact": 0.04,
        },
    ),
)  # fmt: skip

Row = tuple[str, str]


def labelled_reviews(seed: int = SEED, rows: dict[str, int] | None = None) -> dict[str, list[Row]]:
    """Gives (text, label) rows for every split: balanced, and no text twice anywhere.

    Args:
        seed: Where the random numbers start.
        rows: How many rows each split has; the shipped sizes when not given. Even numbers.
    """
    state = random.Random(seed)
    seen: set[str] = set()
    return {name: _split(state, count, seen) for name, count in (rows or ROWS).items()}


def _split(state: random.Random, count: int, seen: set[str]) -> list[Row]:
    labels = ["negative", "positive"] * (count // 2)
    state.shuffle(labels)
    reviews = []
    for label in labels:
        text = _labelled_text(state, POSITIVE if label == "positive" else NEGATIVE)
        while text in seen:
            text = _labelled_text(state, POSITIVE if label == "positive" else NEGATIVE)
        seen.add(text)
        reviews.append((text, label))
    return reviews


def _labelled_text(state: random.Random, opinion: int) -> str:
    """Gives one to three sentences, of which at least one judges."""
    review = Review(state, opinion)
    length = state.choices((1, 2, 3), weights=(5, 4, 1))[0]
    judging = {kind: weight for kind, weight in LABELLED_MIX.items() if kind != "fact"}
    sentences = [review.sentence(judging)]
    sentences += [review.sentence(LABELLED_MIX) for _ in range(length - 1)]
    state.shuffle(sentences)
    return " ".join(sentences)


def corpus(seed: int, count: int, group: int = 1, part: int = 0) -> Iterator[list[str]]:
    """Yields unlabelled documents, each the three to six sentences of one review.

    Args:
        seed: Where the random numbers start; another than the labelled reviews' seed.
        count: How many documents there are.
        group: So many documents in a row are about the same kind of thing.
        part: Index of the part of the corpus in `PARTS`.
    """
    if seed == SEED:
        raise ValueError(f"the corpus needs a seed of its own, got the labelled reviews' {SEED}")
    taken = {text for split in labelled_reviews().values() for text, _ in split}
    state = random.Random(seed)
    domains = tuple(DOMAINS)
    domain = domains[0]
    for index in range(count):
        if index % group == 0:
            domain = state.choice(domains)
        yield _document(state, domain, taken, PARTS[part])


def _document(
    state: random.Random, domain: str, taken: set[str], styles: tuple[Mix, ...]
) -> list[str]:
    """Gives the sentences of one review, in no run of which a labelled review is found."""
    while True:
        review = Review(state, state.choice((NEGATIVE, POSITIVE)), domain)
        length = state.choice((3, 4, 4, 5, 5, 6))
        style = state.choice(styles)
        sentences = [review.sentence(style) for _ in range(length)]
        runs = (" ".join(sentences[i : i + n]) for n in (1, 2, 3) for i in range(length - n + 1))
        if taken.isdisjoint(runs):
            return sentences


def csv_bytes(reviews: list[Row]) -> bytes:
    """Gives the rows as a CSV file with the header ``text,label``."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(("text", "label"))
    writer.writerows(reviews)
    return page.getvalue().encode()


def write_reviews(folder: Path = FOLDER) -> None:
    """Writes one CSV file per split into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, reviews in labelled_reviews().items():
        (folder / f"{name}.csv").write_bytes(csv_bytes(reviews))


if __name__ == "__main__":
    write_reviews()
