"""A batch computed in slices gives the optimizer step of the whole batch."""

from __future__ import annotations

import numpy as np
import pytest

VOCABULARY = 30
CLASSES = 3


def network(tags: bool, optimizer, loss, metrics=()):
    import keras

    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    vectors = keras.layers.Embedding(VOCABULARY, 8, name="embedding")(ids)
    if not tags:
        vectors = keras.layers.GlobalAveragePooling1D()(vectors)
    outputs = keras.layers.Dense(CLASSES, name="head")(keras.layers.Dense(8, "tanh")(vectors))
    model = keras.Model({"token_ids": ids}, outputs)
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    return model


def batches(kind: str):
    """Yield inputs and labels; the last batch has fewer rows than a batch has slices."""
    random = np.random.default_rng(0)
    for rows in (8, 8, 5, 1):
        ids = random.integers(0, VOCABULARY, (rows, 6), dtype="int32")
        if kind == "several labels":
            labels = random.integers(0, 2, (rows, CLASSES)).astype("float32")
        elif kind == "tags":
            labels = random.integers(-1, CLASSES, (rows, 6), dtype="int32")
        else:
            labels = random.integers(0, CLASSES, rows, dtype="int32")
        yield {"token_ids": ids}, labels


def loss_of(kind: str):
    from xferlab.contracts import Task, TaskSpec
    from xferlab.functional.losses import binary_cross_entropy, cross_entropy

    task = {"several labels": Task.multi_label, "tags": Task.token_classification}.get(
        kind, Task.single_label
    )
    spec = TaskSpec(
        task=task,
        class_names=("a", "b", "c"),
        train_size=10,
        max_length=8,
        has_pairs=False,
        class_counts=(2, 3, 5),
    )
    weighted = None if kind != "classes with weights" else {"a": 3.0, "b": 0.5, "c": 1.0}
    if kind == "several labels":
        return binary_cross_entropy(spec)
    return cross_entropy(spec, class_weight=weighted)


def trained(kind: str, micro_batches: int, optimizer):
    import keras

    from xferlab import TextModel
    from xferlab.backend.train_step import set_train_step
    from xferlab.training.optimizer_extensions import extend_optimizer

    metrics = [] if kind in ("tags", "several labels") else ["accuracy"]
    model = network(kind == "tags", optimizer, loss_of(kind), metrics)
    optimizer.build(model.trainable_variables)
    extend_optimizer(optimizer, TextModel(model, None, {}), {})
    set_train_step(model, micro_batches)
    logs = []
    for inputs, labels in batches(kind):
        logs.append(model.train_on_batch(inputs, labels, return_dict=True))
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    return logs, weights


@pytest.mark.parametrize(
    ("kind", "micro_batches"),
    [("classes", 2), ("classes with weights", 4), ("tags", 4), ("several labels", 2)],
)
def test_slices_add_up_to_the_step_of_the_whole_batch(kind, micro_batches):
    import keras

    def optimizer():
        return keras.optimizers.SGD(0.5, global_clipnorm=1.0)

    logs, weights = trained(kind, 1, optimizer())
    split_logs, split_weights = trained(kind, micro_batches, optimizer())
    for whole, split in zip(logs, split_logs, strict=True):
        assert split == pytest.approx(whole, rel=1e-5)
    for whole, split in zip(weights, split_weights, strict=True):
        np.testing.assert_allclose(split, whole, atol=2e-6)


def test_slices_and_accumulation_work_together():
    import keras

    def optimizer():
        return keras.optimizers.AdamW(1e-2, gradient_accumulation_steps=2)

    _, weights = trained("classes", 1, optimizer())
    _, split_weights = trained("classes", 2, optimizer())
    for whole, split in zip(weights, split_weights, strict=True):
        np.testing.assert_allclose(split, whole, atol=2e-5)
