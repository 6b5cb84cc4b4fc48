"""Scores against scikit-learn and SciPy, by hand, and where there is nothing to score."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as reference

from xferlab import ConfigError, LabelKind, OutputKind, Task, TaskSpec
from xferlab.functional.metrics import Average
from xferlab.registry import REGISTRY

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def spec(task=Task.single_label, classes=4, output_kind=OutputKind.logits) -> TaskSpec:
    names = classes if isinstance(classes, tuple) else tuple(f"c{i}" for i in range(classes))
    return TaskSpec(task, names, train_size=10, max_length=8, output_kind=output_kind)


REGRESSION = spec(Task.regression, (), OutputKind.values)


def score(name: str, labels, outputs, the_spec=None, **fields) -> float:
    """Return a metric of a whole split, given to a Keras metric in uneven parts."""
    metric = REGISTRY.create("metric", {"name": name, **fields}).build(the_spec or spec())
    labels = np.asarray(labels)
    outputs = np.asarray(outputs, "float32")
    if not hasattr(metric, "update_state"):
        return metric(labels, outputs)
    for part in (slice(0, 3), slice(3, 4), slice(4, None)):
        if len(labels[part]):
            metric.update_state(labels[part], outputs[part])
    return float(metric.result())


def rows(seed: int, classes: int = 4, number: int = 60, present: int | None = None):
    """Return labels of the first ``present`` classes and logits of all."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, present or classes, number).astype("int32")
    logits = random.normal(size=(number, classes)).astype("float32")
    logits[np.arange(number), labels] += 0.8
    return labels, logits


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def one_hot_logits(predicted, classes: int):
    return np.eye(classes, dtype="float32")[np.asarray(predicted)]


# accuracy and its kin


@pytest.mark.parametrize("seed", range(3))
def test_accuracy(seed):
    labels, logits = rows(seed)
    expected = reference.accuracy_score(labels, logits.argmax(-1))
    assert score("accuracy", labels, logits) == pytest.approx(expected)


def test_accuracy_counts_labelled_tokens_not_batches():
    labels = np.array([[0, 1, -1, -1], [1, -1, -1, -1], [1, 1, 1, 1], [0, -1, -1, -1]])
    outputs = one_hot_logits(np.ones((4, 4), int), 2)
    assert score("accuracy", labels, outputs, spec(Task.token_classification, 2)) == pytest.approx(
        6 / 8
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k(k):
    labels, logits = rows(5)
    expected = reference.top_k_accuracy_score(labels, logits, k=k, labels=range(4))
    assert score("top_k", labels, logits, k=k) == pytest.approx(expected)


def test_top_k_of_a_model_that_says_the_same_of_all_classes():
    """Ties go to the earlier class; otherwise a model that knows nothing would be perfect."""
    assert score("top_k", [0, 1, 2, 3], np.zeros((4, 4)), k=2) == 0.5
    assert score("accuracy", [0, 1, 2, 3], np.zeros((4, 4))) == 0.25


def test_top_k_of_tokens():
    labels = np.array([[0, 3, -1]])
    outputs = np.tile(np.array([3.0, 2.0, 1.0, 0.0]), (1, 3, 1))
    assert score("top_k", labels, outputs, spec(Task.token_classification), k=3) == 0.5


def test_k_that_is_always_right():
    with pytest.raises(ValueError, match="k is 4, but there are only 4 classes"):
        score("top_k", [0], np.zeros((1, 4)), k=4)


@pytest.mark.parametrize("output_kind", [OutputKind.logits, OutputKind.probabilities])
def test_subset_accuracy(output_kind):
    random = np.random.default_rng(0)
    labels = (random.random((40, 2)) < 0.5).astype("float32")
    logits = random.normal(size=(40, 2)) + labels
    outputs = logits if output_kind is OutputKind.logits else 1 / (1 + np.exp(-logits))
    found = score("subset_accuracy", labels, outputs, spec(Task.multi_label, 2, output_kind))
    assert found == pytest.approx(reference.accuracy_score(labels, logits > 0))


# precision, recall, F1, Matthews


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("present", [1, 3, 4])
def test_ratios_of_classes(name, average, present):
    labels, logits = rows(present, present=present)
    theirs = getattr(reference, f"{name}_score")
    expected = theirs(labels, logits.argmax(-1), average=average, zero_division=0)
    assert score(name, labels, logits, average=average) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_ratio_of_the_second_of_two_classes(name):
    labels, logits = rows(3, classes=2)
    theirs = getattr(reference, f"{name}_score")(labels, logits.argmax(-1))
    found = score(name, labels, logits, spec(classes=2), average="binary")
    assert found == pytest.approx(theirs)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("classes", [1, 3])
def test_ratios_of_labels(name, average, classes):
    random = np.random.default_rng(4)
    labels = (random.random((50, classes)) < 0.3).astype("float32")
    logits = random.normal(size=(50, classes)) + labels
    if classes > 1:
        labels[:, 1] = 0
        logits[:, 1] = -1  # neither asked for nor predicted
    each = [(labels[:, i], logits[:, i] > 0) for i in range(classes)]
    theirs = getattr(reference, f"{name}_score")
    if classes == 1:
        expected = theirs(*each[0], zero_division=0)  # scikit-learn takes one column for classes
    else:
        expected = theirs(labels, logits > 0, average=average, zero_division=0)
    multi = spec(Task.multi_label, classes)
    assert score(name, labels, logits, multi, average=average) == pytest.approx(expected)
    multi = spec(Task.multi_label, classes, OutputKind.probabilities)
    probabilities = 1 / (1 + np.exp(-logits))
    assert score(name, labels, probabilities, multi, average=average) == pytest.approx(expected)


def test_f1_of_tokens_leaves_out_the_unlabelled():
    labels, logits = rows(6, number=24)
    padded = np.where(np.arange(24) % 4 < 3, labels, -1).reshape(6, 4)
    keep = padded.reshape(-1) >= 0
    expected = reference.f1_score(labels[keep], logits.argmax(-1)[keep], average="macro")
    found = score("f1", padded, logits.reshape(6, 4, 4), spec(Task.token_classification))
    assert found == pytest.approx(expected)


def test_binary_average_of_four_classes():
    with pytest.raises(ValueError, match="average=binary needs two classes"):
        score("f1", [0], np.zeros((1, 4)), average="binary")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 4])
def test_matthews(seed, classes):
    labels, logits = rows(seed, classes=classes)
    expected = reference.matthews_corrcoef(labels, logits.argmax(-1))
    assert score("matthews", labels, logits, spec(classes=classes)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "matthews"])
def test_a_model_that_says_one_class(name):
    labels = np.array([1, 2, 3, 1])
    outputs = one_hot_logits([0, 0, 0, 0], 4)
    assert score(name, labels, outputs) == 0


def test_matthews_of_one_class_only():
    assert score("matthews", [1, 1, 1], one_hot_logits([1, 1, 1], 4)) == 0


# ranking


def test_auc_of_two_classes_is_of_the_second():
    labels, logits = rows(1, classes=2)
    expected = reference.roc_auc_score(labels, softmax(logits)[:, 1])
    assert score("auc", labels, logits, spec(classes=2)) == pytest.approx(expected)
    found = score(
        "auc", labels, softmax(logits), spec(classes=2, output_kind=OutputKind.probabilities)
    )
    assert found == pytest.approx(expected)


def test_auc_of_many_classes_is_the_mean_against_the_rest():
    labels, logits = rows(2)
    expected = reference.roc_auc_score(labels, softmax(logits.astype("float64")), multi_class="ovr")
    assert score("auc", labels, logits) == pytest.approx(expected)


def test_auc_of_labels():
    random = np.random.default_rng(0)
    labels = (random.random((40, 3)) < 0.4).astype("float32")
    logits = np.round(random.normal(size=(40, 3)) + labels, 1)  # with ties
    found = score("auc", labels, logits, spec(Task.multi_label, 3))
    assert found == pytest.approx(reference.roc_auc_score(labels, logits))


def test_auc_leaves_out_classes_without_rows():
    labels, logits = rows(3, present=3)
    each = [
        reference.roc_auc_score(labels == i, softmax(logits.astype("float64"))[:, i])
        for i in range(3)
    ]
    assert score("auc", labels, logits) == pytest.approx(np.mean(each))


def test_auc_of_guessing_and_of_one_class():
    assert score("auc", [0, 1, 1], np.zeros((3, 2)), spec(classes=2)) == 0.5
    assert math.isnan(score("auc", [1, 1, 1], np.zeros((3, 2)), spec(classes=2)))


# regression


def values(seed: int = 0):
    random = np.random.default_rng(seed)
    labels = random.normal(size=30).astype("float32").round(1)  # with ties
    return labels, (labels + random.normal(size=30)).astype("float32")[:, None]


def test_correlations():
    labels, found = values()
    expected = scipy.stats.pearsonr(labels, found[:, 0]).statistic
    assert score("pearson", labels, found, REGRESSION) == pytest.approx(expected, rel=1e-6)
    expected = scipy.stats.spearmanr(labels, found[:, 0]).statistic
    assert score("spearman", labels, found, REGRESSION) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_correlation_of_constants(name):
    labels, found = values()
    assert score(name, labels, np.full_like(found, 0.1), REGRESSION) == 0
    assert math.isnan(score(name, np.full_like(labels, 0.1), found, REGRESSION))
    assert math.isnan(score(name, labels[:1], found[:1], REGRESSION))


def test_errors():
    labels, found = values()
    expected = reference.mean_absolute_error(labels, found)
    assert score("mean_absolute_error", labels, found, REGRESSION) == pytest.approx(expected)
    expected = reference.mean_squared_error(labels, found)
    assert score("mean_squared_error", labels, found, REGRESSION) == pytest.approx(expected)


# calibration


def test_calibration_error_by_hand():
    """Two rows at 0.8, one right: 0.3 off; two at 0.6, both right: 0.4 off."""
    outputs = np.array([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6]])
    sure = spec(classes=2, output_kind=OutputKind.probabilities)
    found = score("calibration_error", [0, 1, 0, 1], outputs, sure)
    assert found == pytest.approx(0.5 * 0.3 + 0.5 * 0.4)
    one_bin = score("calibration_error", [0, 1, 0, 1], outputs, sure, bins=1)
    assert one_bin == pytest.approx(0.75 - 0.7)


def test_calibration_error_is_the_papers():
    """Equation 3, a loop over the bins of Guo et al. 2017."""
    labels, logits = rows(8, number=300)
    p = softmax(logits.astype("float64")).max(-1)
    right = logits.argmax(-1) == labels
    expected = 0.0
    for m in range(15):
        inside = (p > m / 15) & (p <= (m + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - p[inside].mean())
    assert score("calibration_error", labels, logits) == pytest.approx(expected)


def test_a_sure_and_right_model_is_calibrated():
    labels = np.arange(4)
    assert score("calibration_error", labels, 1e4 * one_hot_logits(labels, 4)) == 0
    assert score("calibration_error", labels[::-1], 1e4 * one_hot_logits(labels, 4)) == 1


# entities


def entity_f1(wanted: list[str], found: list[str]) -> float:
    """Return the score of one sentence of tags; "_" is a token without a label."""
    labels = np.array([[-1 if tag == "_" else BIO.index(tag) for tag in wanted]])
    predicted = np.array([[0 if tag == "_" else BIO.index(tag) for tag in found]])
    return score(
        "entity_f1", labels, one_hot_logits(predicted, 5), spec(Task.token_classification, BIO)
    )


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 1),
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-PER", 1 / 2),  # a wrong type
        ("B-PER I-PER O B-LOC", "B-PER O O B-LOC", 1 / 2),  # too short is wrong
        ("B-PER I-PER O B-LOC", "O O O B-LOC", 2 / 3),  # one of two, nothing wrong
        ("B-PER B-PER", "B-PER I-PER", 0),  # two are not one
        ("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC", 1),  # conlleval: I- may begin
        ("B-PER I-LOC", "B-PER B-LOC", 1),  # conlleval: another type begins anew
        ("B-PER _ I-PER O", "B-PER B-LOC I-PER O", 1),  # what has no label does not count
        ("O O", "O O", 0),
        ("O O", "B-PER O", 0),
    ],
)
def test_entities(wanted, found, expected):
    assert entity_f1(wanted.split(), found.split()) == pytest.approx(expected)


def test_entities_of_two_sentences_do_not_touch():
    labels = np.array([[1, 2], [2, -1]])  # B-PER I-PER | I-PER
    outputs = one_hot_logits(np.array([[1, 2], [2, 2]]), 5)
    assert score("entity_f1", labels, outputs, spec(Task.token_classification, BIO)) == 1


def test_tags_that_are_not_bio():
    with pytest.raises(ConfigError, match="'NOUN' is not O, B-<type> or I-<type>"):
        score(
            "entity_f1",
            [[0]],
            np.zeros((1, 1, 2)),
            spec(Task.token_classification, ("NOUN", "VERB")),
        )


# nothing to score

SPEC_OF = {
    LabelKind.class_index: spec(),
    LabelKind.token_tags: spec(Task.token_classification, ("O", "B-X", "I-X", "B-Y")),
    LabelKind.multi_hot: spec(Task.multi_label),
    LabelKind.float: REGRESSION,
}
LABELS_OF = {
    LabelKind.class_index: np.array([0, 1, 2, 3, 1]),
    LabelKind.token_tags: np.array([[0, 1], [2, 3], [1, -1], [0, 0], [1, 1]]),
    LabelKind.multi_hot: np.eye(4, dtype="float32")[[0, 1, 2, 3, 1]],
    LabelKind.float: np.arange(5, dtype="float32"),
}
EVERY = [
    (entry.name, kind)
    for entry in REGISTRY
    if entry.group == "metric"
    for kind in entry.cls.accepts.labels
    if kind is not LabelKind.none  # of parts of a loss, not of labels
]


def outputs_of(kind: LabelKind) -> np.ndarray:
    shape = {LabelKind.token_tags: (5, 2, 4), LabelKind.float: (5, 1)}.get(kind, (5, 4))
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_outputs_that_are_not_numbers_have_no_score(name, kind):
    outputs = outputs_of(kind)
    assert math.isfinite(score(name, LABELS_OF[kind], outputs, SPEC_OF[kind]))
    outputs[1] = np.nan
    assert math.isnan(score(name, LABELS_OF[kind], outputs, SPEC_OF[kind]))


@pytest.mark.parametrize("name", [name for name, kind in EVERY if kind is LabelKind.token_tags])
def test_what_an_unlabelled_token_outputs_is_nobodys_business(name):
    labels = LABELS_OF[LabelKind.token_tags]
    outputs = outputs_of(LabelKind.token_tags)
    token_classification = SPEC_OF[LabelKind.token_tags]
    expected = score(name, labels, outputs, token_classification)
    outputs[labels < 0] = np.nan
    assert score(name, labels, outputs, token_classification) == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name, kind in EVERY if kind is LabelKind.token_tags])
def test_a_split_without_tags(name):
    labels = np.full((5, 2), -1)
    found = score(name, labels, outputs_of(LabelKind.token_tags), SPEC_OF[LabelKind.token_tags])
    assert found == 0 or math.isnan(found)


@pytest.mark.parametrize("name", sorted({name for name, _ in EVERY}))
def test_keras_metrics_bear_the_plugins_name(name):
    plugin = REGISTRY.create("metric", {"name": name})
    kind = plugin.accepts.labels[0]
    metric = plugin.build(SPEC_OF[kind])
    assert getattr(metric, "name", name) == name


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("top_k", {"k": 0}, "k must be >= 1"),
        ("calibration_error", {"bins": 0}, "bins must be >= 1"),
        ("f1", {"average": "mean"}, "average"),
    ],
)
def test_impossible_fields_are_refused(name, fields, message):
    with pytest.raises(ConfigError, match=message):
        REGISTRY.create("metric", {"name": name, **fields})


def test_averages_are_typed_by_name():
    assert REGISTRY.create("metric", {"name": "f1", "average": "micro"}).average is Average.micro
