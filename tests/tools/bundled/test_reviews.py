"""The demo data is what its code makes, balanced, and without repeats."""

import csv
import random
from collections import Counter

import pytest

from tools.bundled.grammar import Review, with_article
from tools.bundled.lexicon import ADJECTIVES, DOMAINS, NEGATIVE, POSITIVE
from tools.bundled.make import FOLDER, ROWS, SEED, corpus, csv_bytes, labelled_reviews

MIX = {"plain": 1.0, "negated": 1.0, "contrast": 1.0, "denial": 1.0, "agreement": 1.0, "fact": 1.0}


@pytest.fixture(scope="module")
def reviews():
    return labelled_reviews()


@pytest.mark.parametrize("split", ROWS)
def test_files_equal_what_the_code_makes(reviews, split):
    assert (FOLDER / f"{split}.csv").read_bytes() == csv_bytes(reviews[split])


@pytest.mark.parametrize("split", ROWS)
def test_csv_reads_back_with_its_header(split):
    with (FOLDER / f"{split}.csv").open(newline="", encoding="utf-8") as page:
        rows = list(csv.DictReader(page))
    assert rows[0].keys() == {"text", "label"}
    assert len(rows) == ROWS[split]


def test_splits_are_balanced(reviews):
    for split, rows in reviews.items():
        counts = Counter(label for _, label in rows)
        assert counts == {"negative": ROWS[split] // 2, "positive": ROWS[split] // 2}


def test_no_text_occurs_twice_within_or_across_splits(reviews):
    texts = [text for rows in reviews.values() for text, _ in rows]
    assert len(texts) == len(set(texts)) == sum(ROWS.values())


def test_corpus_holds_no_labelled_review(reviews):
    labelled = {text for rows in reviews.values() for text, _ in rows}
    for sentences in corpus(seed=1, count=3000):
        for start in range(len(sentences)):
            for stop in range(start + 1, len(sentences) + 1):
                assert " ".join(sentences[start:stop]) not in labelled


def test_corpus_is_reproducible_and_depends_on_its_seed():
    first, again, other = (list(corpus(seed, 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_corpus_refuses_the_seed_of_the_labelled_reviews():
    with pytest.raises(ValueError, match="needs a seed of its own"):
        next(corpus(SEED, 1))


def test_groups_of_the_corpus_share_a_kind_of_thing():
    things = {thing: name for name, kind in DOMAINS.items() for thing in kind["facts"]}
    for group in range(5):
        text = " ".join(s for d in list(corpus(3, 320, group=64))[64 * group :][:64] for s in d)
        assert len({name for fact, name in things.items() if fact in text}) == 1


def test_other_seed_gives_other_reviews(reviews):
    small = {"train": 20}
    assert labelled_reviews(1, small) == labelled_reviews(1, small) != labelled_reviews(2, small)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("kind", MIX)
def test_every_sentence_is_capitalised_and_complete(domain, kind):
    for seed in range(100):
        review = Review(random.Random(seed), POSITIVE, domain)
        sentence = review.sentence({kind: 1.0})
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "  " not in sentence
        assert not set("{}|*") & set(sentence)


@pytest.mark.parametrize("kind", ADJECTIVES)
def test_no_adjective_is_on_both_sides(kind):
    everywhere = {side: {w for k in ADJECTIVES.values() for w in k[side]} for side in (1, -1)}
    assert not set(ADJECTIVES[kind][POSITIVE]) & everywhere[NEGATIVE]
    assert not set(ADJECTIVES[kind][NEGATIVE]) & everywhere[POSITIVE]


def test_plain_and_negated_sentences_of_one_opinion_use_opposite_words():
    sides = {side: {w for k in ADJECTIVES.values() for w in k[side]} for side in (1, -1)}
    plain = "\n".join(
        Review(random.Random(i), POSITIVE, "hotel").plain(POSITIVE) for i in range(300)
    )
    negated = "\n".join(
        Review(random.Random(i), POSITIVE, "hotel").negated(POSITIVE) for i in range(300)
    )
    assert set(plain.split()) & sides[POSITIVE]
    assert not set(plain.split()) & sides[NEGATIVE]
    assert set(negated.split()) & sides[NEGATIVE]
    assert not set(negated.split()) & sides[POSITIVE]


def test_article_follows_the_first_letter():
    assert with_article("ordeal") == "an ordeal"
    assert with_article("joy") == "a joy"
