"""Few-shot training: pairs counted by hand, a loop written by hand, scikit-learn's head."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.sentence_files import write_sentence_files
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from tests.support.tiny_experiments import (
    BAG,
    Killed,
    MemoryCheckpointer,
    batches_of,
    descend,
    experiment_of,
    values_of,
    write_examples,
)
from xferlab import ConfigError, PluginError
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.contracts import Phase, TransferPlan
from xferlab.data.pair_batches import PairPlan
from xferlab.experiment.prepare import prepare_inputs
from xferlab.functional.few_shot import logistic_head, pairs_of_classes
from xferlab.registry import REGISTRY
from xferlab.training.fitted_head import FittedHead, fix_head
from xferlab.training.loop import fit
from xferlab.training.pairs import pairs_of_epoch
from xferlab.training.summary import parameter_rows

LABELS = np.array([0, 1, 1, 2, 0, 1, 1, 1], "int32")
FEW = ("objective=contrastive_pairs", "train.max_steps=8", "data.limit.train=12")


def as_sets(pairs) -> Counter:
    return Counter(frozenset(map(int, pair)) for pair in pairs)


@pytest.mark.parametrize("sampling", ["unique", "oversampling", "undersampling"])
def test_pairs_are_those_of_all_combinations(sampling):
    every = list(itertools.combinations_with_replacement(range(len(LABELS)), 2))
    alike = as_sets(pair for pair in every if LABELS[pair[0]] == LABELS[pair[1]])
    apart = as_sets(pair for pair in every if LABELS[pair[0]] != LABELS[pair[1]])
    assert (len(alike), len(apart)) == (19, 17)
    size = {"unique": (19, 17), "oversampling": (19, 19), "undersampling": (17, 17)}[sampling]
    pairs = pairs_of_classes(LABELS, sampling, 0, 0)
    is_alike = LABELS[pairs[:, 0]] == LABELS[pairs[:, 1]]
    for kind, found, count in zip((alike, apart), (is_alike, ~is_alike), size, strict=True):
        counted = as_sets(pairs[found])
        assert counted.total() == count
        assert counted.keys() <= kind.keys()
        if sampling != "undersampling":
            assert counted.keys() == kind.keys()
        assert max(counted.values()) <= 2
    if sampling != "unique":
        assert as_sets(pairs) != as_sets(pairs_of_classes(LABELS, sampling, 0, 1))


def test_a_batch_has_both_examples_of_each_pair_and_an_epoch_every_pair():
    def sample(epoch):
        return pairs_of_classes(LABELS, "oversampling", 5, epoch)

    lengths = np.arange(len(LABELS)) + 3
    plan = PairPlan(lengths, 4, 5, sample=sample, pairs=len(sample(0)))
    assert plan.steps_per_epoch == 10
    for epoch in (0, 1):
        batches = plan.epoch(epoch)
        assert [len(batch.rows) for batch in batches] == [8] * 9 + [4]
        assert all(batch.length == lengths[batch.rows].max() for batch in batches)
        found = np.concatenate([batch.rows.reshape(-1, 2) for batch in batches])
        assert as_sets(found) == as_sets(sample(epoch))
    steps = list(plan.steps(7, 23))
    assert len(steps) == 16
    np.testing.assert_array_equal(steps[3].rows, plan.epoch(1)[0].rows)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_logits_of_the_head_have_scikit_learns_probabilities(classes, bias):
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    vectors = random.normal(size=(30, 4)).astype("float32")
    labels = random.integers(classes, size=30)
    kernel, intercept = logistic_head(vectors, labels, 0.5, bias)
    assert (intercept is None) is not bias
    logits = vectors @ kernel + (intercept if bias else 0)
    odds = np.exp(logits)
    model = LogisticRegression(C=0.5, fit_intercept=bias, max_iter=1000)
    wanted = model.fit(vectors.astype("float64"), labels).predict_proba(vectors)
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "pairs", [np.zeros((0, 2), int), np.zeros((3, 2)), np.array([[0, 8]]), np.array([0, 1])]
)
def test_what_are_no_pairs_of_examples_is_the_plugins_error(pairs):
    recipe = SimpleNamespace(
        objective=SimpleNamespace(pairs=lambda *_: pairs), head=None, loss=None, seed=0
    )
    with pytest.raises(PluginError, match="gives pairs of shape") as caught:
        pairs_of_epoch(recipe, LABELS, None, 0)
    assert caught.value.fix == "return numbers of examples, int64 (pairs, 2), with one pair or more"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few_shot")
    write_examples(folder)
    return folder


def loss_by_hand(table, dropout, inputs, labels):
    """Return the mean squared distance of cosines and labels, pair by pair."""
    import tensorflow as tf

    mask = tf.cast(inputs["padding_mask"], "float32")[:, :, None]
    total = tf.reduce_sum(tf.gather(table, inputs["token_ids"]) * mask, 1)
    vectors = dropout(total / tf.reduce_sum(mask, 1), training=True)
    terms = []
    for i in range(0, len(labels), 2):
        product = tf.reduce_sum(vectors[i] * vectors[i + 1])
        cosine = product / (tf.norm(vectors[i]) * tf.norm(vectors[i + 1]))
        terms.append((cosine - float(labels[i] == labels[i + 1])) ** 2)
    return sum(terms) / len(terms)


def logits_of_scikit_learn(experiment):
    from sklearn.linear_model import LogisticRegression

    table = experiment.model.network.get_layer("embedding").embeddings.numpy()
    means = {
        split: np.stack([table[ids].mean(0) for ids in experiment.encodings[split].token_ids])
        for split in ("train", "validation")
    }
    model = LogisticRegression().fit(means["train"], experiment.data.train.labels)
    return model.predict_log_proba(means["validation"])


def test_steps_are_those_of_a_loop_by_hand_and_the_head_scikit_learns(workspace):
    import tensorflow as tf

    ours = experiment_of(workspace, *FEW)
    start = values_of(ours)
    assert parameter_rows(ours)[-1]["trained_in"] == "fitted"
    fit(ours, [])
    hand = experiment_of(workspace, *FEW)
    layer = hand.model.network.get_layer
    table = layer("embedding").embeddings
    for inputs, labels, _ in batches_of(hand):
        with tf.GradientTape() as tape:
            loss = loss_by_hand(table.value, layer("head_dropout"), inputs, labels)
        descend([table], [tape.gradient(loss, table.value)])
    found = ours.model.network.get_layer("embedding").embeddings.numpy()
    np.testing.assert_allclose(found, table.numpy(), atol=1e-6)
    assert abs(found - start[0]).max() > 1e-3
    _, logits = ours.outputs("validation")
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(logits, logits_of_scikit_learn(ours), atol=1e-4)


@pytest.mark.slow
def test_the_head_of_a_sentence_encoder_is_fitted_to_vectors_of_length_1(workspace, tmp_path):
    import keras
    from sklearn.linear_model import LogisticRegression

    checkpoint = write_tiny_checkpoint(tmp_path / "encoder", "bert", layers=1)
    write_sentence_files(checkpoint, normalize=True)
    model = ("model=encoder", f"model.checkpoint={checkpoint}")
    experiment = experiment_of(workspace, *FEW, "data.limit.validation=5", model=model)
    experiment.fit_head()
    network = experiment.model.network
    encode = keras.Model(network.input, network.get_layer("sentence_vector").output)
    vectors = {
        split: experiment.forward.of(encode)(experiment.encodings[split], data.labels)[1]
        for split, data in experiment.data.splits.items()
    }
    np.testing.assert_allclose(np.linalg.norm(vectors["train"], axis=1), 1, rtol=1e-5)
    model = LogisticRegression().fit(vectors["train"], experiment.data.train.labels)
    _, logits = experiment.outputs("validation")
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(logits, model.predict_log_proba(vectors["validation"]), atol=1e-4)


@pytest.mark.slow
def test_with_windows_the_head_is_fitted_to_the_mean_of_a_texts_windows(tmp_path):
    from sklearn.linear_model import LogisticRegression

    publish(tmp_path)
    random = np.random.default_rng(3)
    for name in ("train", "validation"):
        texts = [" ".join(random.choice(["good", "bad", "film", "the"], 14)) for _ in range(12)]
        rows = [f"{text},{['no', 'yes'][i % 2]}" for i, text in enumerate(texts)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    words = ("train.max_steps=4", "data.windows=2", "data.max_length=10")
    experiment = experiment_of(tmp_path, "objective=contrastive_pairs", *words)
    fit(experiment, [])
    table = experiment.model.network.get_layer("embedding").embeddings.numpy()

    def means(split):
        encoding = experiment.encodings[split]
        of_windows = np.stack([table[ids].mean(0) for ids in encoding.token_ids])
        assert len(of_windows) > 12
        return np.stack([of_windows[encoding.owners == text].mean(0) for text in range(12)])

    model = LogisticRegression().fit(means("train"), experiment.data.train.labels)
    _, logits = experiment.outputs("validation")
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(logits, model.predict_log_proba(means("validation")), atol=1e-4)


def test_a_network_without_a_last_dense_layer_has_no_head_to_fit():
    import keras

    given = keras.Input((3,))
    network = keras.Model(given, keras.layers.EinsumDense("ab,bc->ac", 2)(given))
    model = SimpleNamespace(network=network, blocks={"body": (), "head": ()})
    objective = REGISTRY.create("objective", {"name": "contrastive_pairs"})
    with pytest.raises(ConfigError) as caught:
        fix_head(objective, model, TransferPlan((Phase(1),)))
    assert caught.value.what == (
        "objective=contrastive_pairs fits a dense layer of one vector a text, and the network does"
        " not end with one"
    )
    assert caught.value.fix == "model=encoder, or another objective"


@pytest.mark.parametrize("kernel", [np.zeros((3, 1)), np.full((3, 2), np.nan)])
def test_a_fitted_head_of_other_numbers_is_the_plugins_error(kernel):
    import keras

    layer = keras.layers.Dense(2, use_bias=False)
    layer.build((None, 3))
    plugin = SimpleNamespace(fit_head=lambda *_: (kernel, None))
    head = FittedHead(plugin, layer, lambda *_: (LABELS, np.zeros((8, 3))), 1.0)
    with pytest.raises(PluginError, match="fits a kernel of shape") as caught:
        head.fit(None, SimpleNamespace(labels=LABELS), None)
    assert caught.value.fix == "return finite numbers of shape (3, 2)"


RESUMED = (*FEW, "objective.sampling=undersampling", "average=ema", "train.batch_size=24")


@pytest.fixture(scope="module")
def alone(workspace):
    """The weights of a run that nobody killed."""
    experiment = experiment_of(workspace, *RESUMED)
    assert experiment.batches.steps_per_epoch == 3
    fit(experiment, [])
    return values_of(experiment)


@pytest.mark.parametrize(
    "batch",
    [pytest.param(3, id="before_the_head_is_fitted"), pytest.param(7, marks=pytest.mark.slow)],
)
def test_a_resumed_run_has_the_same_bits(batch, workspace, alone):
    killed = MemoryCheckpointer(batch)
    with pytest.raises(Killed):
        fit(experiment_of(workspace, *RESUMED), [], killed)
    resumed = experiment_of(workspace, *RESUMED)
    fit(resumed, [], killed.resumed())
    for found, wanted in zip(values_of(resumed), alone, strict=True):
        np.testing.assert_array_equal(found, wanted)


def write(folder: Path, labels: list[str]) -> list[str]:
    for name in ("train", "validation"):
        lines = [f"{name} {i},{label}" for i, label in enumerate(labels)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return [f"data.{name}={folder}/{name}.csv" for name in ("train", "validation")]


REFUSED = {
    "a class of one": (
        ["no", "yes", "no", "maybe"],
        [],
        "a pair of one class needs two training examples, and there are fewer of maybe, yes",
        "objective",
        "add examples, leave those classes out, or objective=supervised",
    ),
    "many": (
        ["no", "yes"] * 1501,
        [],
        "3,002 training examples make 4,507,503 pairs; this is for few, at most 3,000",
        "objective",
        "data.limit.train=3000, or objective=supervised_contrastive",
    ),
    "sampling": (
        ["no", "yes"] * 3,
        ["train.sampling=balanced"],
        "train.sampling chooses examples, and objective=contrastive_pairs chooses pairs of them",
        "train.sampling",
        "train.sampling=null",
    ),
    "loss": (
        ["no", "yes"] * 3,
        ["loss=focal"],
        "objective=contrastive_pairs trains by a loss of its own, and the head is fitted",
        "loss",
        "loss=auto with its defaults",
    ),
    "frozen": (
        ["no", "yes"] * 3,
        ["transfer=frozen"],
        "objective=contrastive_pairs trains the encoder, and transfer freezes it",
        "transfer",
        "transfer=full, top_layers or lora",
    ),
    "several labels": (
        ["no|yes", "yes", "no"] * 2,
        [],
        "objective=contrastive_pairs accepts class_index labels, but the data's are multi_hot"
        " (multi_label)",
        "objective",
        None,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_pairs_is_refused_before_training(name, tmp_path):
    labels, words, what, where, fix = REFUSED[name]
    publish(tmp_path)
    model = ["model=bert"] if name == "frozen" else BAG
    overrides = ["data=files", *write(tmp_path, labels), *model, *words]
    with pytest.raises(ConfigError) as caught:
        prepare_inputs(read(compose_config([*overrides, "objective=contrastive_pairs"])))
    assert (caught.value.what, caught.value.where) == (what, where)
    assert fix is None or caught.value.fix == fix
