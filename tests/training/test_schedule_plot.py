"""Pictures: whole PNG files, and what the one of a plan says."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from xferlab.contracts import Budget, Phase, TextModel, TransferPlan
from xferlab.formatting import format_learning_rate
from xferlab.plotting import as_png_bytes, new_figure, save_figure
from xferlab.training.schedule_plot import (
    block_rates,
    format_blocks,
    phase_labels,
    phase_spans,
    rate_groups,
    schedule_figure,
)

BLOCKS = ("embeddings", "layer_0", "layer_1", "layer_2", "head")
MODEL = TextModel(network=None, tokenizer=None, blocks={name: () for name in BLOCKS})
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def experiment(plan: TransferPlan, *, batches=10, total=None, gradient_accumulation_steps=None):
    """Return what a picture reads of an experiment."""
    epochs = sum(phase.epochs for phase in plan.phases)
    steps = (total or epochs * batches) // (gradient_accumulation_steps or 1)
    return SimpleNamespace(
        plan=plan,
        model=MODEL,
        budget=Budget(epochs, max(1, batches // (gradient_accumulation_steps or 1)), steps),
        batches=SimpleNamespace(steps_per_epoch=batches),
        optimizer=SimpleNamespace(gradient_accumulation_steps=gradient_accumulation_steps),
    )


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_a_picture_is_a_whole_png_of_the_size_asked_for(tmp_path):
    figure, axes = new_figure(640, 200)
    axes.plot([1, 2], [3, 4])
    png = save_figure(figure, tmp_path / "deep" / "down.png")
    assert (tmp_path / "deep" / "down.png").read_bytes() == png
    assert png.startswith(SIGNATURE)
    assert size_of(png) == (640, 200)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["down.png"]


def test_equal_figures_are_equal_bytes():
    assert as_png_bytes(new_figure()[0]) == as_png_bytes(new_figure()[0])


def test_drawing_needs_no_window_and_leaves_no_global_state():
    before = set(sys.modules)
    as_png_bytes(new_figure()[0])
    assert "matplotlib.pyplot" not in set(sys.modules) - before


@pytest.mark.parametrize(
    ("rate", "words"),
    [(5e-5, "5e-5"), (0.00031849, "3.2e-4"), (9.96e-4, "1e-3"), (0.5, "0.5"), (0.0, "0")],
)
def test_a_rate_is_written_as_it_is_typed(rate, words):
    assert format_learning_rate(rate) == words
    assert float(words) == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        (TransferPlan((Phase(3),)), {}),
        (TransferPlan((Phase(1, BLOCKS[:-1]), Phase(2))), {}),
        (TransferPlan((Phase(3, BLOCKS[:-1]),)), {"gradient_accumulation_steps": 3}),
        (TransferPlan((Phase(3),), {name: 0.5**i for i, name in enumerate(BLOCKS)}), {}),
        (TransferPlan((Phase(1, BLOCKS[:-1]), Phase(2)), {"head": 0.5}), {"total": 25}),
        (TransferPlan((Phase(90),)), {}),
        (TransferPlan((Phase(1),)), {"total": 1}),
        (TransferPlan((Phase(1, BLOCKS),)), {}),
        (TransferPlan(tuple(Phase(1, BLOCKS[: i % 5]) for i in range(60))), {"batches": 2}),
    ],
)
def test_every_plan_can_be_drawn(plan, options, tmp_path):
    of = experiment(plan, **options)
    rates = np.linspace(1e-5, 0, of.budget.total_steps, dtype="float32")
    png = schedule_figure(rates, of, "linear", tmp_path / "plan.png")
    assert size_of(png) == (900, 380)
    assert rates[0] == np.float32(1e-5)  # drawing changes nothing


def test_a_rate_of_zero_throughout_can_be_drawn(tmp_path):
    of = experiment(TransferPlan((Phase(1),)))
    assert schedule_figure(np.zeros(10, "float32"), of, "constant", tmp_path / "plan.png")


def test_phases_end_where_their_epochs_end():
    plan = TransferPlan((Phase(1, ("embeddings",)), Phase(2)))
    edges = [(first, last) for _, first, last in phase_spans(experiment(plan))]
    assert edges == [(0.5, 10.5), (10.5, 30.5)]


def test_an_epoch_may_end_within_an_optimizer_step():
    plan = TransferPlan((Phase(1, ("embeddings",)), Phase(1)))
    edges = [
        (first, last)
        for _, first, last in phase_spans(experiment(plan, gradient_accumulation_steps=4))
    ]
    assert edges == [(0.5, 3.0), (3.0, 5.5)]  # 10 batches are 2.5 steps


def test_a_phase_that_the_run_does_not_reach_is_left_out():
    plan = TransferPlan((Phase(1, ("embeddings",)), Phase(2)))
    assert len(phase_spans(experiment(plan, total=7))) == 1


def test_blocks_of_one_rate_are_one_group():
    plan = TransferPlan((Phase(2, ("embeddings",)),), {"head": 1.0, "layer_2": 0.5, "layer_1": 0.5})
    groups = [(group.blocks, group.fraction) for group in rate_groups(MODEL, plan)]
    assert groups == [(("head",), 1.0), (("layer_2", "layer_1"), 0.5), (("layer_0",), 1.0)]


def test_blocks_that_unfreeze_at_other_times_are_other_groups():
    plan = TransferPlan((Phase(1, BLOCKS[:-1]), Phase(1, BLOCKS[:1])))
    groups = [(group.blocks, group.phases) for group in rate_groups(MODEL, plan)]
    assert groups == [(("head",), (0, 1)), (("layer_2", "layer_1", "layer_0"), (1,))]


def test_neighbouring_blocks_are_formatted_as_a_range():
    assert format_blocks(BLOCKS[:4], BLOCKS) == "embeddings to layer_2"
    assert format_blocks(["layer_0", "layer_1"], BLOCKS) == "layer_0, layer_1"
    assert format_blocks(["embeddings", "head"], BLOCKS) == "embeddings, head"


def test_a_phase_has_longer_and_shorter_names():
    ways = phase_labels(Phase(1, BLOCKS[:4]), BLOCKS)
    assert ways[0] == "frozen: embeddings to layer_2   trainable: head"
    assert "head\nonly" in ways
    assert ways[-1] == "-4"
    assert "layer_1\nand up" in phase_labels(Phase(1, BLOCKS[:2]), BLOCKS)
    assert phase_labels(Phase(1), BLOCKS)[0] == "all blocks trainable"
    assert phase_labels(Phase(1, BLOCKS), BLOCKS)[0].endswith("trainable: none")


def test_each_block_has_its_rate_in_each_step_and_none_while_it_is_frozen():
    phases = (Phase(1, ("embeddings", "layer_0", "layer_1", "layer_2")), Phase(2, ("embeddings",)))
    plan = TransferPlan(phases, {"layer_0": 0.25, "layer_1": 0.5})
    rates = block_rates(experiment(plan), lambda step: 1.0 / step)
    frozen = dict.fromkeys(BLOCKS[1:-1], 0.0)  # the embeddings are trained in no phase
    assert rates(10) == frozen | {"head": 0.1}  # the last step of the first epoch
    later = {"layer_0": 0.25, "layer_1": 0.5, "layer_2": 1.0, "head": 1.0}
    assert rates(11) == {block: rate / 11 for block, rate in later.items()}


@pytest.mark.parametrize("frozen", [(), BLOCKS[:-1]])
def test_blocks_of_one_rate_have_none_of_their_own(frozen):
    rates = block_rates(experiment(TransferPlan((Phase(3, tuple(frozen)),))), lambda step: 1.0)
    assert rates(1) == {}
