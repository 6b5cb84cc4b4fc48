"""Batches: the order is a pure function of (seed, epoch), with little padding."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xferlab.contracts import Encoding
from xferlab.data.batching import (
    Batch,
    BatchPlan,
    Ragged,
    batch_arrays,
    evaluation_batches,
    measure_padding,
    padded_length,
    row_lengths,
)
from xferlab.data.readers.table import read_table
from xferlab.data.sampling import permutation, stratified_sample

DATA = Path(__file__).parents[3] / "shared" / "data"
plans = st.builds(
    BatchPlan,
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=400).map(np.array),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)


def same(one, other):
    return [(b.rows.tolist(), b.length) for b in one] == [
        (b.rows.tolist(), b.length) for b in other
    ]


def encoding_of(lengths, *, as_lists=False):
    """Rows of the given lengths; row r holds 100 r + 1, 100 r + 2, ..."""
    rows = [np.arange(1, n + 1, dtype="int32") + 100 * r for r, n in enumerate(lengths)]
    zeros = [np.zeros(n, "int32") for n in lengths]
    if as_lists:
        return Encoding(rows, zeros)
    return Encoding(
        Ragged(np.concatenate(rows), lengths), Ragged(np.concatenate(zeros), lengths), None
    )


@given(plan=plans, epoch=st.integers(0, 5))
def test_every_row_comes_once_an_epoch(plan, epoch):
    batches = plan.epoch(epoch)
    rows = np.concatenate([b.rows for b in batches])
    assert sorted(rows) == list(range(len(plan.lengths)))
    assert len(batches) == plan.steps_per_epoch


@given(plan=plans, epoch=st.integers(0, 5))
def test_batches_are_full_but_for_the_last_and_hold_their_rows(plan, epoch):
    batches = plan.epoch(epoch)
    assert all(len(b.rows) == plan.batch_size for b in batches[:-1])
    assert all(plan.lengths[b.rows].max() <= b.length <= plan.lengths.max() for b in batches)


@given(plan=plans)
def test_a_longest_full_batch_comes_first(plan):
    full = [b for b in plan.epoch(0) if len(b.rows) == plan.batch_size]
    if full:
        assert full[0].length == max(b.length for b in full)


@given(plan=plans, epoch=st.integers(0, 3))
def test_the_same_seed_and_epoch_give_the_same_order(plan, epoch):
    again = BatchPlan(plan.lengths.copy(), plan.batch_size, plan.seed)
    again.epoch(epoch + 1)
    assert same(plan.epoch(epoch), again.epoch(epoch))


@given(plan=plans, start=st.integers(0, 60), length=st.integers(0, 60))
def test_a_jump_equals_the_run(plan, start, length):
    whole = list(plan.steps(0, start + length))
    assert same(plan.steps(start, start + length), whole[start:])


def test_epochs_and_seeds_differ():
    lengths = np.arange(1, 257)
    orders = {
        tuple(np.concatenate([b.rows for b in BatchPlan(lengths, 4, seed).epoch(epoch)]))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_rows_of_a_batch_change_from_epoch_to_epoch():
    """Else each row would always be averaged with the same neighbours."""
    plan = BatchPlan(permutation(2000, 5) % 60 + 4, 16, 0)
    company = [{frozenset(b.rows.tolist()) for b in plan.epoch(e)} for e in range(3)]
    assert not company[0] & company[1]
    assert not company[1] & company[2]


def test_the_order_is_the_one_it_always_was():
    """A change here breaks every resume in the middle of an epoch."""
    plan = BatchPlan(permutation(1003, 7) % 90 + 3, 16, 42)
    batches = [*plan.epoch(0), *plan.epoch(1)]
    text = ";".join(f"{b.length}:{b.rows.tolist()}" for b in batches)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "ef2088cf13520a72"


def test_an_empty_split_has_no_batches():
    assert BatchPlan(np.array([], int), 4, 0).epoch(0) == []
    assert list(BatchPlan(np.array([], int), 4, 0).steps(0, 0)) == []


@given(length=st.integers(1, 512))
def test_padded_lengths_are_few_and_near(length):
    padded = padded_length(length, 512)
    assert length <= padded <= max(length * 1.25 + 1, length + 3)
    assert len({padded_length(n, 512) for n in range(1, 513)}) == 24


@given(lengths=st.lists(st.integers(1, 99), min_size=1, max_size=50), size=st.integers(1, 9))
def test_evaluation_visits_every_row_once_longest_first(lengths, size):
    encoding = encoding_of(lengths)
    batches = evaluation_batches(encoding, size)
    rows = np.concatenate([b.rows for b in batches])
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[r] for r in rows] == sorted(lengths, reverse=True)
    assert np.array_equal(rows[np.argsort(rows, kind="stable")], np.arange(len(lengths)))


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=9),
    as_lists=st.booleans(),
    data=st.data(),
)
def test_a_batch_holds_its_rows_and_padding(lengths, as_lists, data):
    encoding = encoding_of(lengths, as_lists=as_lists)
    rows = np.array(data.draw(st.permutations(range(len(lengths)))))
    labels = np.arange(len(lengths), dtype="int32")
    inputs, y = batch_arrays(encoding, labels, Batch(rows, 12), pad_id=-7)
    assert y.tolist() == rows.tolist()
    assert {v.dtype.name for v in inputs.values()} == {"int32"}
    assert {v.shape for v in inputs.values()} == {(len(rows), 12)}
    for i, row in enumerate(rows):
        n = lengths[row]
        assert inputs["token_ids"][i].tolist() == [*encoding.token_ids[row], *[-7] * (12 - n)]
        assert inputs["padding_mask"][i].tolist() == [1] * n + [0] * (12 - n)
    assert row_lengths(encoding).tolist() == lengths


def test_segments_are_padded_with_zero():
    ids = [np.array([5, 6, 7], "int32")]
    encoding = Encoding(ids, [np.array([0, 1, 1], "int32")])
    inputs, _ = batch_arrays(encoding, np.zeros(1), Batch(np.array([0]), 4), pad_id=9)
    assert inputs["segment_ids"].tolist() == [[0, 1, 1, 0]]


def test_a_tag_stands_at_the_first_piece_of_its_word():
    # [CLS] wor ##d word [SEP] / [CLS] (word 0 has no piece) w1 w2a w2b, w3 was cut off
    words = [[-1, 0, 0, 1, -1], [-1, 1, 2, 2]]
    rows = [np.arange(len(w), dtype="int32") for w in words]
    encoding = Encoding(rows, rows, [np.array(w, "int32") for w in words])
    tags = [np.array([4, 5], "int32"), np.array([6, 7, 8, 9], "int32")]
    _, y = batch_arrays(encoding, tags, Batch(np.array([1, 0]), 6), pad_id=0)
    assert y.dtype == "int32"
    assert y.tolist() == [[-1, 7, 8, -1, -1, -1], [-1, 4, -1, 5, -1, -1]]


def test_ragged_rows_are_views():
    ragged = Ragged(np.arange(6, dtype="int32"), np.array([1, 0, 3, 2]))
    assert [row.tolist() for row in ragged] == [[0], [], [1, 2, 3], [4, 5]]
    assert ragged[-1].tolist() == [4, 5]
    assert [row.tolist() for row in ragged[1:3]] == [[], [1, 2, 3]]
    assert ragged[2].base is not None
    with pytest.raises(IndexError):
        ragged[4]


@settings(max_examples=50)
@given(
    strata=st.lists(st.integers(0, 4), min_size=1, max_size=200).map(np.array),
    data=st.data(),
    leave_one=st.booleans(),
)
def test_a_stratified_sample_keeps_shares(strata, data, leave_one):
    size = data.draw(st.integers(1, len(strata)))
    rows = stratified_sample(strata, size, 3, leave_one=leave_one)
    assert sorted(set(rows.tolist())) == rows.tolist()
    assert len(rows) <= size
    assert leave_one or len(rows) == size
    for stratum, count in enumerate(np.bincount(strata)):
        sampled = (strata[rows] == stratum).sum()
        assert sampled <= max(count - leave_one, 0)
        assert leave_one or abs(sampled - size * count / len(strata)) < 1


def test_permutations_depend_on_all_their_entropy():
    orders = {tuple(permutation(20, *e)) for e in ((0,), (1,), (0, 0), (0, 1), (1, 0), (2**40, 1))}
    assert len(orders) == 6
    assert all(sorted(order) == list(range(20)) for order in orders)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data folder")
@pytest.mark.parametrize(
    ("name", "most", "fraction"),
    [("sst2_glue", 66, 0.25), ("imdb", 256, 0.25), ("mrpc", 128, 0.45)],
)
def test_padding_of_real_texts_is_far_below_the_naive(name, most, fraction):
    """Word counts stand for tokens; ``share`` is how much of the naive padding may be left."""
    columns = read_table(str(DATA / name / "train.csv"), "data.train").columns
    texts = columns.get("text") or [f"{a} {b}" for a, b in zip(*list(columns.values())[:2])]  # noqa: B905
    lengths = np.array([min(len(text.split()) + 2, most) for text in texts])
    padding = measure_padding(BatchPlan(lengths, 16, 0))
    assert padding.planned < fraction * padding.random
    assert padding.random <= padding.longest
    assert "of training tokens" in str(padding)
