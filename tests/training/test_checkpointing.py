"""Which epoch is the best, and that its file and its scores stay of one epoch."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from xferlab.callbacks import Epoch
from xferlab.contracts import Budget
from xferlab.training.callbacks.best_weights import BestWeights


class Weights:
    """What a network's weights are to a BestWeights: one number."""

    def __init__(self):
        import keras

        self.weights = [keras.Variable(np.zeros(1), name="w")]

    def set(self, value):
        self.weights[0].assign(np.full(1, value))


def checkpointing(tmp_path, values, **options):
    """Return the keeper, the epochs at which it asks to stop, and the weights in its file."""
    network = Weights()
    keeper = BestWeights(network, tmp_path / "best.safetensors", "val_score", "max", **options)
    stops = []
    for number, value in enumerate(values, start=1):
        network.set(number)
        if keeper.on_epoch(Epoch(number, number, {}, {"score": value}, 0.0)):
            stops.append(number)
    keeper.write()
    (weights,) = load_file(tmp_path / "best.safetensors").values()
    return keeper, stops, float(weights[0])


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ([0.5, 0.7, 0.7, 0.6], 3),
        ([0.7, 0.7, 0.7], 3),
        ([0.2, 0.1], 1),
        ([0.3, float("nan"), 0.3], 3),
    ],
)
def test_the_later_of_equal_epochs_is_the_best(values, epoch, tmp_path):
    keeper, _, weights = checkpointing(tmp_path, values)
    assert keeper.best_epoch == epoch
    assert weights == epoch
    assert keeper.validation == {"score": values[epoch - 1]}


def test_equal_epochs_do_not_use_up_patience_and_do_not_renew_it(tmp_path):
    keeper, stops, _ = checkpointing(tmp_path, [0.5, 0.7, 0.7, 0.7], patience=2)
    assert stops == [4]
    assert keeper.best_epoch == 4


def test_equal_epochs_are_written_with_a_checkpoint_not_each_time(tmp_path):
    network = Weights()
    keeper = BestWeights(network, tmp_path / "best.safetensors", "val_score", "max")
    for number in (1, 2):
        network.set(number)
        keeper.on_epoch(Epoch(number, number, {}, {"score": 0.5}, 0.0))
    (before,) = load_file(tmp_path / "best.safetensors").values()
    assert before[0] == 1
    assert keeper.files() == [tmp_path / "best.safetensors"]
    (after,) = load_file(tmp_path / "best.safetensors").values()
    assert after[0] == 2


def test_small_data_is_trained_for_enough_steps():
    from xferlab.config.schema import TrainConfig
    from xferlab.training.assemble import length_of_run

    assert length_of_run(TrainConfig(), 2) == (400, Budget(200, 2, 400))
    assert length_of_run(TrainConfig(), 300) == (900, Budget(3, 300, 900))
    assert length_of_run(TrainConfig(gradient_accumulation_steps=4), 8) == (
        1600,
        Budget(200, 2, 400),
    )
    assert length_of_run(TrainConfig(max_steps=7), 2) == (7, Budget(4, 2, 7))
