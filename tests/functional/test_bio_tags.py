"""Entities in tags of every scheme, against seqeval's definition written out here."""

import random

import pytest

from xferlab.functional.bio_tags import spans, strange_tag, type_of


def seqeval(tags):
    """Entities by ``start_of_chunk`` and ``end_of_chunk`` of conlleval, as seqeval has them."""

    def ends(before, now, before_type, now_type):
        return (
            before in ("E", "S")
            or (before == "B" and now in ("B", "S", "O"))
            or (before == "I" and now in ("B", "S", "O"))
            or (before != "O" and before_type != now_type)
        )

    def starts(before, now, before_type, now_type):
        return (
            now in ("B", "S")
            or (before in ("E", "S", "O") and now in ("E", "I"))
            or (now != "O" and before_type != now_type)
        )

    found = set()
    begin = 0
    before = "O"
    before_type = ""
    for i, tag in enumerate([*tags, "O"]):
        now, _, now_type = tag.partition("-")
        if ends(before, now, before_type, now_type):
            found.add((begin, i, before_type))
        if starts(before, now, before_type, now_type):
            begin = i
        before = now
        before_type = now_type
    return found


@pytest.mark.parametrize("letters", ["BI", "BIES", "I", "BE", "ES", "S"])
def test_random_tags_have_the_entities_of_seqeval(letters):
    draw = random.Random(7)
    tags = ["O", *(f"{letter}-{kind}" for letter in letters for kind in ("PER", "LOC"))]
    for _ in range(3000):
        row = [draw.choice(tags) for _ in range(draw.randrange(9))]
        assert set(spans(row)) == seqeval(row), row


@pytest.mark.parametrize(
    ("letters", "others"), [("BIES", "BILU"), ("BIES", "BMEW"), ("BIES", "BMES")]
)
def test_other_letters_mean_the_same(letters, others):
    draw = random.Random(3)
    alike = dict(zip(letters, others, strict=True))
    if others.startswith("BM"):
        alike = {"B": "B", "I": "M", "E": "E", "S": others[-1]}
    for _ in range(500):
        row = [draw.choice(letters + "O") for _ in range(8)]
        usual = [f"{tag}-X" if tag != "O" else "O" for tag in row]
        renamed = [f"{alike[tag]}-X" if tag != "O" else "O" for tag in row]
        assert list(spans(renamed)) == list(spans(usual))


def test_plain_types_are_io_tags():
    assert list(spans(["PER", "PER", "O", "LOC", "PER"])) == [
        (0, 2, "PER"),
        (3, 4, "LOC"),
        (4, 5, "PER"),
    ]
    assert type_of("LOC") == "LOC"


@pytest.mark.parametrize(
    ("names", "strange"),
    [
        (["O", "B-PER", "I-PER"], None),
        (["B-PER", "E-PER", "O", "S-LOC", "S-PER"], None),
        (["O", "PER", "LOC"], None),
        (["O", "B_PER", "I_PER"], None),
        (["O"], None),
        (["NN", "VB"], "NN"),
        (["O", "B-PER", "PER"], "PER"),
        (["0", "1", "2"], "0"),
        (["O", "1"], "1"),
    ],
)
def test_what_fits_no_scheme_is_named(names, strange):
    assert strange_tag(names) == strange
