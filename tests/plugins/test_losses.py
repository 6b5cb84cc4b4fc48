"""Losses against scikit-learn, against each other and by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from xferlab import ConfigError, OutputKind, Task, TaskSpec
from xferlab.registry import REGISTRY

CLASSES = ("bad", "fine", "good")
LABELS = np.array([0, 2, 1, 1, 0, 2, 1, 0], "int32")
LOGITS = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
MULTI_HOT = (np.random.default_rng(1).random((8, 3)) < 0.4).astype("float32")
CLOSE = 1e-5  # relative; float32 sums of eight rows


def spec(
    task=Task.single_label,
    output_kind=OutputKind.logits,
    classes=CLASSES,
    counts=(30, 60, 10),
    rows=100,
):
    return TaskSpec(task, classes, rows, 16, class_counts=counts, output_kind=output_kind)


def build(name: str, the_spec=None, **fields):
    return REGISTRY.create("loss", {"name": name, **fields}).build(the_spec or spec())


def value(name: str, labels, outputs, the_spec=None, **fields) -> float:
    return float(build(name, the_spec, **fields)(labels, outputs))


# cross-entropy


def test_cross_entropy_is_log_loss():
    expected = log_loss(LABELS, PROBABILITIES)
    assert value("cross_entropy", LABELS, LOGITS) == pytest.approx(expected, rel=CLOSE)
    from_probabilities = value(
        "cross_entropy", LABELS, PROBABILITIES, spec(output_kind=OutputKind.probabilities)
    )
    assert from_probabilities == pytest.approx(expected, rel=CLOSE)


def test_label_smoothing_spreads_the_label():
    log_p = np.log(PROBABILITIES)
    right = log_p[np.arange(8), LABELS]
    expected = -(0.7 * right + 0.3 * log_p.mean(-1)).mean()
    found = value("cross_entropy", LABELS, LOGITS, label_smoothing=0.3)
    assert found == pytest.approx(expected, rel=CLOSE)


def test_named_weights_are_those_of_scikit_learn():
    weights = np.array([2.0, 1.0, 0.5])[LABELS]
    found = value("cross_entropy", LABELS, LOGITS, class_weight={"bad": 2, "good": 0.5})
    expected = log_loss(LABELS, PROBABILITIES, sample_weight=weights) * weights.mean()
    assert found == pytest.approx(expected, rel=CLOSE)


def test_auto_weights_are_scikit_learns_balanced():
    rows = np.repeat([0, 1, 2], [30, 60, 10])
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=rows)
    named = dict(zip(CLASSES, map(float, balanced), strict=True))
    assert value("cross_entropy", LABELS, LOGITS, class_weight="auto") == pytest.approx(
        value("cross_entropy", LABELS, LOGITS, class_weight=named), rel=CLOSE
    )


def test_auto_weights_have_mean_one_even_if_a_class_is_missing():
    from xferlab.functional.losses import class_weights

    weights = class_weights("auto", spec(counts=(30, 0, 10)))
    assert weights @ [30, 0, 10] == pytest.approx(40)
    assert weights[1] == 1


def test_class_names_may_be_numbers():
    numbered = spec(classes=("0", "1", "2"))
    assert value("cross_entropy", LABELS, LOGITS, numbered, class_weight={1: 3.0}) == (
        value("cross_entropy", LABELS, LOGITS, class_weight={"fine": 3.0})
    )


def test_a_class_that_is_not_there():
    with pytest.raises(ConfigError, match="did you mean 'good'"):
        build("cross_entropy", class_weight={"goood": 2.0})


def test_auto_weights_without_counts():
    with pytest.raises(ConfigError, match="has no class counts"):
        build("cross_entropy", spec(counts=()), class_weight="auto")


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "focal", "auto"])
@pytest.mark.parametrize("choice", ["balanced", {}, {"bad": -1}, {"bad": "x"}, 3, {"bad": True}])
def test_class_weights_that_mean_nothing(name, choice):
    with pytest.raises(ConfigError, match="class_weight"):
        REGISTRY.create("loss", {"name": name, "class_weight": choice})


# tags


TAGS = np.array([[0, 2, -1, 1], [1, -1, -1, -1]], "int32")
TAG_LOGITS = np.random.default_rng(2).normal(size=(2, 4, 3)).astype("float32")


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "class_balanced", "auto"])
def test_tags_are_the_mean_over_labelled_tokens(name):
    labelled = TAGS >= 0
    found = value(name, TAGS, TAG_LOGITS, spec(Task.token_classification))
    assert found == pytest.approx(value(name, TAGS[labelled], TAG_LOGITS[labelled]), rel=CLOSE)


def test_padding_changes_nothing():
    longer = np.pad(TAGS, ((0, 0), (0, 5)), constant_values=-1)
    wider = np.pad(TAG_LOGITS, ((0, 0), (0, 5), (0, 0)), constant_values=9)
    token_classification = spec(Task.token_classification)
    assert value("cross_entropy", longer, wider, token_classification) == pytest.approx(
        value("cross_entropy", TAGS, TAG_LOGITS, token_classification), rel=CLOSE
    )


def test_a_batch_without_tags_costs_nothing():
    assert (
        value("cross_entropy", np.full_like(TAGS, -1), TAG_LOGITS, spec(Task.token_classification))
        == 0
    )


def test_unlabelled_tokens_have_no_gradient():
    import tensorflow as tf

    outputs = tf.Variable(TAG_LOGITS)
    loss = build("focal", spec(Task.token_classification))
    with tf.GradientTape() as tape:
        cost = loss(TAGS, outputs)
    gradient = tape.gradient(cost, outputs).numpy()
    assert np.all(gradient[TAGS < 0] == 0)
    assert np.all(np.abs(gradient[TAGS >= 0]).max(-1) > 0)


# several labels a row


def test_binary_cross_entropy_is_the_mean_log_loss_of_the_labels():
    yes = 1 / (1 + np.exp(-LOGITS))
    expected = np.mean([log_loss(MULTI_HOT[:, i], yes[:, i], labels=[0, 1]) for i in range(3)])
    multi = spec(Task.multi_label)
    assert value("binary_cross_entropy", MULTI_HOT, LOGITS, multi) == pytest.approx(expected)
    multi = spec(Task.multi_label, OutputKind.probabilities)
    assert value("binary_cross_entropy", MULTI_HOT, yes, multi) == pytest.approx(
        expected, rel=CLOSE
    )


def test_smoothed_yes_and_no():
    """At p = 1/2 every label costs log 2; a sure yes costs by its smoothed no."""
    multi = spec(Task.multi_label, OutputKind.probabilities)
    yes = np.ones((1, 3), "float32")
    p = np.full((1, 3), 0.9, "float32")
    found = value("binary_cross_entropy", yes, p, multi, label_smoothing=0.2)
    assert found == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), rel=CLOSE)


def test_auto_weights_balance_the_yes_and_no_of_each_label():
    from xferlab.functional.losses import label_weights

    no, yes = label_weights("auto", spec(Task.multi_label, counts=(30, 50, 0)))
    np.testing.assert_allclose(yes * [30, 50, 0], [50, 50, 0])
    np.testing.assert_allclose(no * [70, 50, 100], [50, 50, 100])  # the third has no yes at all


def test_named_weights_are_those_of_the_yes():
    multi = spec(Task.multi_label, OutputKind.probabilities)
    half = np.full((1, 3), 0.5, "float32")
    labels = np.array([[1.0, 1.0, 0.0]], "float32")
    found = value("binary_cross_entropy", labels, half, multi, class_weight={"bad": 4, "good": 9})
    assert found == pytest.approx((4 + 1 + 1) / 3 * np.log(2), rel=CLOSE)


# focal and class-balanced


def test_gamma_zero_is_cross_entropy():
    for fields in ({}, {"class_weight": "auto"}):
        assert value("focal", LABELS, LOGITS, gamma=0, **fields) == pytest.approx(
            value("cross_entropy", LABELS, LOGITS, **fields), rel=CLOSE
        )
    multi = spec(Task.multi_label)
    for fields in ({}, {"class_weight": "auto"}):
        assert value("focal", MULTI_HOT, LOGITS, multi, gamma=0, **fields) == pytest.approx(
            value("binary_cross_entropy", MULTI_HOT, LOGITS, multi, **fields), rel=CLOSE
        )


def test_gamma_two_by_hand():
    """A row with p = 0.9 costs a hundredth of its cross-entropy."""
    sure = spec(output_kind=OutputKind.probabilities)
    p = np.array([[0.9, 0.05, 0.05]], "float32")
    found = value("focal", np.array([0]), p, sure, gamma=2)
    assert found == pytest.approx(0.01 * -np.log(0.9), rel=1e-4)  # 0.9 in float32


def test_focal_of_labels_is_that_of_keras():
    import keras

    theirs = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True
    )
    found = value("focal", MULTI_HOT, LOGITS, spec(Task.multi_label), alpha=0.25, gamma=2)
    assert found == pytest.approx(float(theirs(MULTI_HOT, LOGITS)), rel=CLOSE)


def test_alpha_weighs_the_second_of_two_classes():
    two = spec(classes=("no", "yes"), counts=(90, 10))
    labels = LABELS % 2
    assert value("focal", labels, LOGITS[:, :2], two, alpha=0.75) == pytest.approx(
        value("focal", labels, LOGITS[:, :2], two, class_weight={"no": 0.25, "yes": 0.75})
    )


def test_alpha_of_three_classes():
    with pytest.raises(ConfigError, match="alpha weights two classes, and the data has 3"):
        build("focal", alpha=0.25)


def test_class_balanced_without_memory_is_cross_entropy():
    assert value("class_balanced", LABELS, LOGITS, beta=0) == pytest.approx(
        value("cross_entropy", LABELS, LOGITS), rel=CLOSE
    )
    assert value("class_balanced", LABELS, LOGITS, beta=0, gamma=2) == pytest.approx(
        value("focal", LABELS, LOGITS, gamma=2), rel=CLOSE
    )


def test_effective_numbers_by_hand():
    """With beta = 0.5, 1, 2 and 3 rows are 1, 1.5 and 1.75 new ones."""
    loss = REGISTRY.create("loss", {"name": "class_balanced", "beta": 0.5})
    weights = loss.weights(spec(counts=(1, 2, 3)))
    np.testing.assert_allclose(weights / weights[0], [1, 1 / 1.5, 1 / 1.75], rtol=CLOSE)
    assert weights.mean() == pytest.approx(1)
    assert loss.weights(spec(counts=(1, 0, 3)))[1] == 1


def test_beta_near_one_is_inverse_frequency():
    weights = REGISTRY.create("loss", {"name": "class_balanced", "beta": 1 - 1e-9}).weights(spec())
    np.testing.assert_allclose(weights * [30, 60, 10], [20, 20, 20], rtol=1e-4)


# regression


REAL = np.array([0.0, 1.0, -2.0], "float32")


def test_squared_error_is_of_rows_not_of_pairs_of_rows():
    values = REAL[:, None] + np.array([[0.0], [1.0], [3.0]], "float32")
    regression = spec(Task.regression, OutputKind.values, classes=(), counts=())
    for name in ("mean_squared_error", "auto"):
        assert value(name, REAL, values, regression) == pytest.approx(10 / 3)


def test_huber_is_square_near_and_straight_far():
    regression = spec(Task.regression, OutputKind.values, classes=(), counts=())
    values = REAL[:, None] + np.array([[0.5], [-1.0], [4.0]], "float32")
    assert value("huber", REAL, values, regression) == pytest.approx((0.125 + 0.5 + 3.5) / 3)
    assert value("huber", REAL, values, regression, delta=2) == pytest.approx((0.125 + 0.5 + 6) / 3)


# auto


def test_auto_is_the_loss_of_the_task():
    fields = {"label_smoothing": 0.1, "class_weight": "auto"}
    assert value("auto", LABELS, LOGITS, **fields) == value(
        "cross_entropy", LABELS, LOGITS, **fields
    )
    multi = spec(Task.multi_label)
    assert value("auto", MULTI_HOT, LOGITS, multi, **fields) == value(
        "binary_cross_entropy", MULTI_HOT, LOGITS, multi, **fields
    )


@pytest.mark.parametrize("fields", [{"label_smoothing": 0.1}, {"class_weight": "auto"}])
def test_a_regression_has_no_classes(fields):
    with pytest.raises(ConfigError, match="no classes to smooth or to weigh"):
        build("auto", spec(Task.regression, OutputKind.values, classes=(), counts=()), **fields)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("cross_entropy", {"label_smoothing": 1}, "label_smoothing must be in"),
        ("binary_cross_entropy", {"label_smoothing": -0.1}, "label_smoothing must be in"),
        ("auto", {"label_smoothing": 2}, "label_smoothing must be in"),
        ("focal", {"gamma": -1}, "gamma must be >= 0"),
        ("focal", {"alpha": 1}, "alpha must be in"),
        ("focal", {"alpha": 0.5, "class_weight": "auto"}, "give only one"),
        ("class_balanced", {"beta": 1}, "beta must be in"),
        ("class_balanced", {"gamma": -1}, "gamma must be >= 0"),
        ("huber", {"delta": 0}, "delta must be > 0"),
    ],
)
def test_impossible_fields_are_refused(name, fields, message):
    with pytest.raises(ConfigError, match=message):
        REGISTRY.create("loss", {"name": name, **fields})
