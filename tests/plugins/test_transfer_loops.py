"""Transfer strategies against a training loop written by hand: the same weights after ten steps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.support import tiny_experiments
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from tests.support.tiny_experiments import write_examples
from xferlab.data.batching import batch_arrays
from xferlab.training.assemble import Experiment
from xferlab.training.evaluation import input_names
from xferlab.training.loop import fit

LR = 1e-3
DECAY = 0.1
STEPS = 10
EPSILON = 1e-3  # so large that gradients that are rounding alone (a key's bias) move nothing
ROUNDING = 2e-6  # float32: ten AdamW steps in another order of operations
COMMON = [
    f"optimizer.lr={LR}",
    f"optimizer.weight_decay={DECAY}",
    f"optimizer.epsilon={EPSILON}",
    "train.max_grad_norm=0.5",
    "train.batch_size=8",
    "model.dropout=0",
    "data.max_length=32",
    "schedule=constant",
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loops")
    write_tiny_checkpoint(
        folder / "bert", "bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    write_examples(folder)
    return folder


def experiment_of(folder: Path, *overrides: str) -> Experiment:
    model = ["model=encoder", f"model.checkpoint={folder}/bert"]
    return tiny_experiments.experiment_of(folder, *overrides, model=model, common=COMMON)


def by_hand(
    experiment: Experiment,
    rates: dict[str, float],
    learning: list[set[str]],
    gradient_accumulation_steps: int = 1,
) -> None:
    """Train as the papers say: AdamW, a rate a block, on the blocks that learn in each epoch."""
    import tensorflow as tf

    model = experiment.model
    network = experiment.model.network
    block_of = {
        id(variable): block
        for block, layers in model.blocks.items()
        for layer in layers
        for variable in network.get_layer(layer).trainable_variables
    }
    mean = {k: 0.0 for k in block_of}
    square = {k: 0.0 for k in block_of}
    names = input_names(network)
    per_epoch = experiment.batches.steps_per_epoch
    summed = {}
    update = 0
    for step in range(experiment.total_batches):
        (batch,) = experiment.batches.steps(step, step + 1)
        inputs, labels = batch_arrays(
            experiment.encodings["train"],
            experiment.data.train.labels,
            batch,
            model.tokenizer.pad_id,
        )
        variables = [
            v for v in network.trainable_variables if block_of[id(v)] in learning[step // per_epoch]
        ]
        with tf.GradientTape() as tape:
            logits = network({n: inputs[n] for n in names}, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        found = tape.gradient(loss, [v.value for v in variables])
        for variable, gradient in zip(variables, found, strict=True):
            dense = tf.convert_to_tensor(gradient).numpy()
            summed[id(variable)] = (
                summed.get(id(variable), 0.0) + dense / gradient_accumulation_steps
            )
        if (step + 1) % gradient_accumulation_steps:
            continue
        update += 1
        norm = math.sqrt(sum(float((g**2).sum()) for g in summed.values()))
        for v in variables:
            key = id(v)
            gradient = summed[id(v)] * min(1.0, 0.5 / norm)
            rate = LR * rates.get(block_of[key], 1.0)
            value = v.numpy()
            if not any(part in ("bias", "gamma", "beta") for part in v.path.split("/")):
                value = value - rate * DECAY * value
            mean[key] = 0.9 * mean[key] + 0.1 * gradient
            square[key] = 0.999 * square[key] + 0.001 * gradient**2
            rate *= math.sqrt(1 - 0.999**update) / (1 - 0.9**update)
            v.assign(value - rate * mean[key] / (np.sqrt(square[key]) + EPSILON))
        summed = {}


def largest_difference(one: Experiment, other: Experiment) -> float:
    pairs = zip(one.model.network.weights, other.model.network.weights, strict=True)
    return max(float(abs(a.numpy() - b.numpy()).max()) for a, b in pairs if "seed" not in a.path)


def everything(experiment: Experiment) -> set[str]:
    return set(experiment.model.blocks)


@pytest.mark.slow
@pytest.mark.parametrize("recompute", ["false", "true"])
def test_full_with_accumulation(workspace, recompute):
    overrides = ["transfer=full", "train.epochs=2", "train.gradient_accumulation_steps=2"]
    ours = experiment_of(workspace, *overrides, f"train.recompute={recompute}")
    hand = experiment_of(workspace, *overrides)
    fit(ours, [])
    by_hand(hand, {}, [everything(hand)] * 2, gradient_accumulation_steps=2)
    assert largest_difference(ours, hand) < ROUNDING


@pytest.mark.slow  # the stack below has its rates too
def test_layer_decay_gives_every_block_its_rate(workspace):
    overrides = ["transfer=layer_decay", "transfer.decay=0.5", "train.epochs=2"]
    ours = experiment_of(workspace, *overrides)
    hand = experiment_of(workspace, *overrides)
    fit(ours, [])
    rates = {block: 0.5**depth for depth, block in enumerate(reversed(hand.model.blocks))}
    by_hand(hand, rates, [everything(hand)] * 2)
    assert largest_difference(ours, hand) < ROUNDING


@pytest.mark.slow  # the head first is unfreezing too
def test_gradual_unfreezing_from_the_top(workspace):
    overrides = ["transfer=gradual", "train.epochs=2"]
    ours = experiment_of(workspace, *overrides)
    hand = experiment_of(workspace, *overrides)
    fit(ours, [])
    top = list(reversed(hand.model.blocks))
    by_hand(hand, {}, [set(top[:1]), set(top[:2])])
    assert largest_difference(ours, hand) < ROUNDING


@pytest.mark.slow  # the stack below has its matrices too
def test_lora_trains_low_rank_additions_and_the_head(workspace):
    overrides = ["transfer=lora", "transfer.rank=2", "train.epochs=2"]
    ours = experiment_of(workspace, *overrides, "train.recompute=true")
    hand = experiment_of(workspace, *overrides)
    before = {v.path: v.numpy() for v in ours.model.network.weights}
    fit(ours, [])
    by_hand(hand, {}, [everything(hand)] * 2)
    assert largest_difference(ours, hand) < ROUNDING
    moved = {v.path for v in ours.model.network.weights if (v.numpy() != before[v.path]).any()}
    assert moved
    assert all("lora" in path or path.startswith("head/") for path in moved)


def test_a_stack_of_fresh_layers_rates_and_matrices(workspace):
    overrides = ["transfer=[reinit_top,layer_decay,lora]", "train.epochs=2"]
    overrides += ["transfer.layer_decay.decay=0.5", "transfer.lora.rank=2"]
    ours = experiment_of(workspace, *overrides)
    hand = experiment_of(workspace, *overrides)
    assert largest_difference(ours, hand) == 0  # the fresh layers are those of the seed
    before = {v.path: v.numpy() for v in ours.model.network.weights}
    fit(ours, [])
    rates = {block: 0.5**depth for depth, block in enumerate(reversed(hand.model.blocks))}
    by_hand(hand, rates, [everything(hand)] * 2)
    assert largest_difference(ours, hand) < ROUNDING
    moved = {v.path for v in ours.model.network.weights if (v.numpy() != before[v.path]).any()}
    assert all("lora" in path or path.startswith("head/") for path in moved)


def test_moments_survive_unfreezing(workspace):
    """In epoch two the head goes on with the moments of epoch one; a new optimizer would not."""
    overrides = ["transfer=head_first", "train.epochs=2"]
    ours = experiment_of(workspace, *overrides)
    fit(ours, [])
    assert int(ours.optimizer.iterations) == STEPS
    hand = experiment_of(workspace, *overrides)
    by_hand(hand, {}, [{"head"}, everything(hand)])
    assert largest_difference(ours, hand) < ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize(
    "precision", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def test_frozen_outputs_of_half_precision_train_like_the_whole_network(workspace, precision):
    overrides = ["transfer=gradual", "train.epochs=2", f"train.precision={precision}"]
    cached = experiment_of(workspace, *overrides)
    fit(cached, [])
    whole = experiment_of(workspace, *overrides, "train.cache_frozen=false")
    start = [weight.numpy() for weight in whole.model.network.weights]
    fit(whole, [])
    pairs = zip(whole.model.network.weights, start, strict=True)
    moved = max(float(abs(a.numpy() - b).max()) for a, b in pairs if "seed" not in a.path)
    assert moved > 10 * largest_difference(cached, whole)
