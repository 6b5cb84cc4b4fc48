"""Batches: the order is a pure function of (seed, epoch), with little padding."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xferlab.contracts import Encoding
from xferlab.data.batching import (
    WINDOW,
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


def lognormal_lengths(size):
    """Lengths of texts like SST-2's: 4 to 66 tokens, the median 24."""
    quantiles = (permutation(size, 11) + 0.5) / size
    normal = np.log(quantiles / (1 - quantiles)) / 1.702  # of a logistic, near enough
    return np.clip(np.exp(np.log(24) + 0.45 * normal), 4, 66).astype(int)


def together_again(plan):
    """Return the fraction of the pairs of a batch that share one in the next epoch too."""
    batch_of = np.zeros(len(plan.lengths), int)
    for number, batch in enumerate(plan.epoch(1)):
        batch_of[batch.rows] = number
    counts = [np.bincount(batch_of[batch.rows]) for batch in plan.epoch(0)]
    pairs = sum(len(b.rows) * (len(b.rows) - 1) for b in plan.epoch(0))
    return sum((c * (c - 1)).sum() for c in counts) / pairs


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
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "6f6ddfb58c282c0e"


def test_an_empty_split_has_no_batches():
    assert BatchPlan(np.array([], int), 4, 0).epoch(0) == []
    assert list(BatchPlan(np.array([], int), 4, 0).steps(0, 0)) == []


@given(plan=plans, epoch=st.integers(0, 3))
def test_a_batch_is_as_long_as_its_longest_example(plan, epoch):
    assert all(plan.lengths[b.rows].max() == b.length for b in plan.epoch(epoch))


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_a_batch_is_never_of_no_tokens(lengths):
    assert padded_length(np.array(lengths, int)) == 1


@pytest.mark.parametrize("batches", [1, 2, 50, 51, 99, 101, 1003])
def test_windows_are_of_nearly_equal_sizes_and_at_most_fifty_batches(batches):
    plan = BatchPlan(np.arange(1, batches * 4 + 1), 4, 0)
    _, windows = plan._sort_keys(plan.lengths, batches, 0)
    sizes = np.bincount(windows) // 4
    assert sizes.max() <= WINDOW
    assert sizes.max() - sizes.min() <= 1
    assert len(sizes) == -(-batches // WINDOW)


@pytest.mark.parametrize("size", [96, 512, 1024, 6400])
def test_examples_of_a_batch_meet_others_in_the_next_epoch(size):
    """Small sets are one window: without noise pairs of an epoch would be those of the next."""
    plan = BatchPlan(lognormal_lengths(size), 16, 3)
    assert together_again(plan) < {96: 0.8, 512: 0.45}.get(size, 0.3)


@pytest.mark.parametrize(
    ("size", "batch_size", "most"),
    [(96, 16, 0.25), (512, 16, 0.08), (512, 32, 0.12), (1024, 32, 0.08), (6920, 32, 0.05)],
)
def test_padding_is_small_from_five_hundred_rows_on(size, batch_size, most):
    paddings = [
        measure_padding(BatchPlan(lognormal_lengths(size), batch_size, seed)).planned
        for seed in range(5)
    ]
    assert np.mean(paddings) < most


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
