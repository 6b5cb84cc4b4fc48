"""Each postprocess against an independent computation, without TensorFlow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.metrics import accuracy_score, f1_score, fbeta_score, log_loss, matthews_corrcoef

from xferlab import ConfigError, OutputKind, Task, TaskSpec
from xferlab.registry import REGISTRY

NAMES = ("a", "b", "c")


def plugin(name: str, **fields):
    return REGISTRY.create("postprocess", {"name": name, **fields})


def spec_of(task: Task, names=NAMES, counts=(5, 3, 2)) -> TaskSpec:
    return TaskSpec(task, names, 10, 8, class_counts=counts[: len(names)])


def single(rows: int, seed: int = 0, scale: float = 3.0, classes: int = 3):
    """Return labels, and logits that are too sure."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 1.5
    labels = (logits + random.gumbel(size=logits.shape)).argmax(1)
    return labels.astype("int32"), (scale * logits).astype("float32")


def several(rows: int, seed: int = 0, shift: float = 1.0):
    random = np.random.default_rng(seed)
    labels = (random.random((rows, 3)) < 0.3).astype("float32")
    labels[:3] = np.eye(3)
    logits = 2 * labels - 1 - shift + random.normal(size=labels.shape)
    return labels, logits.astype("float32")


def test_the_temperature_is_that_of_a_general_optimizer():
    labels, logits = single(500)
    found = plugin("temperature").fit(logits, labels, spec_of(Task.single_label))["temperature"]
    best = minimize_scalar(
        lambda t: log_loss(labels, softmax(logits.astype("float64") / t, axis=-1)),
        bounds=(0.1, 20),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found[0] == pytest.approx(best.x, rel=1e-4)
    assert found[0] == pytest.approx(3, rel=0.2)  # what the logits were multiplied by
    many, outputs = several(500, shift=0)
    found = plugin("temperature").fit(outputs, many, spec_of(Task.multi_label))["temperature"]
    best = minimize_scalar(
        lambda t: np.logaddexp(0, np.where(many > 0, -1, 1) * outputs / t).mean(),
        bounds=(0.1, 20),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found[0] == pytest.approx(best.x, rel=1e-4)


def test_outputs_without_an_error_have_the_lowest_temperature():
    labels = np.array([0, 1, 2])
    logits = np.eye(3, dtype="float32")
    found = plugin("temperature").fit(logits, labels, spec_of(Task.single_label))["temperature"]
    assert found[0] == pytest.approx(1 / 50)


def exhaustive(values, score):
    """Return the best score of all thresholds that differ in a decision."""
    cuts = [-np.inf, *np.unique(values)]
    return max(score(values > cut) for cut in cuts)


@pytest.mark.parametrize(
    ("fields", "score"),
    [
        ({}, f1_score),
        ({"beta": 2.0}, lambda y, p: fbeta_score(y, p, beta=2)),
        ({"score": "accuracy"}, accuracy_score),
        ({"score": "matthews"}, matthews_corrcoef),
    ],
)
def test_a_threshold_is_as_good_as_any_that_scikit_learn_scores(fields, score):
    thresholds = plugin("thresholds", **fields)
    labels, logits = several(80)
    spec = spec_of(Task.multi_label)
    cut = np.float32(thresholds.fit(logits, labels, spec)["cut"])
    predicted = thresholds.apply(logits, {"cut": cut}, np).decisive > 0
    for i in range(3):
        best = exhaustive(logits[:, i], lambda p, i=i: score(labels[:, i], p))
        assert score(labels[:, i], predicted[:, i]) == pytest.approx(best, abs=1e-12)
    # of two classes, the threshold of the second one
    y, logits = single(80, classes=2)
    logits += [1, 0]
    cut = np.float32(thresholds.fit(logits, y, spec_of(Task.single_label, NAMES[:2]))["cut"])
    predicted = thresholds.apply(logits, {"cut": cut}, np).decisive.argmax(1)
    best = exhaustive(logits[:, 1] - logits[:, 0], lambda p: score(y, p))
    assert score(y, predicted) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_a_shared_threshold_is_as_good_as_any(average):
    thresholds = plugin("thresholds", shared=True, average=average)
    labels, logits = several(60)
    logits = np.round(logits, 1)  # so that scores of several labels are equal
    cut = thresholds.fit(logits, labels, spec_of(Task.multi_label))["cut"]
    assert len({*cut}) == 1
    best = exhaustive(logits, lambda p: f1_score(labels, p, average=average, zero_division=0))
    found = f1_score(labels, logits > np.float32(cut), average=average)
    assert found == pytest.approx(best, abs=1e-12)


def test_the_usual_threshold_stays_where_none_is_better():
    labels = np.array([[0, 0, 1], [1, 1, 0]], "float32")
    found = plugin("thresholds").fit(4 * labels - 2, labels, spec_of(Task.multi_label))
    assert found["cut"].tolist() == [0, 0, 0]


def test_other_class_frequencies_are_bayes_rule():
    shift = plugin("prior_shift", priors={"a": 0.1})
    spec = spec_of(Task.single_label)
    labels, logits = single(20)
    shift.check(spec, labels)
    parameters = {k: np.float32(v) for k, v in shift.fit(logits, labels, spec).items()}
    found = softmax(shift.apply(logits, parameters, np).outputs, axis=-1)
    new = np.array([0.1, 0.9 * 3 / 5, 0.9 * 2 / 5])  # the others share the rest
    wanted = softmax(logits, axis=-1) * new / [0.5, 0.3, 0.2]
    np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_have_the_stated_coverage_on_new_examples(method):
    """The mean over many calibrations of the exact guarantee: from 1 - a to 1 - a + 1/(n + 1)."""
    conformal = plugin("conformal", coverage=0.8, method=method)
    spec = spec_of(Task.single_label)
    labels, logits = single(60 * 300, scale=1.0)
    covered = []
    sizes = []
    for part in range(300):
        own = slice(60 * part, 60 * part + 30)
        new = slice(60 * part + 30, 60 * part + 60)
        fitted = conformal.fit(logits[own], labels[own], spec)
        found = conformal.apply(logits[new], fitted, np).included
        covered.append(found[np.arange(30), labels[new]].mean())
        sizes.append(found.sum(1).mean())
        assert found.any(1).all()
    assert np.mean(covered) > 0.79
    if method == "lac":
        assert np.mean(covered) < 0.8 + 1 / 31 + 0.015
        assert np.mean(sizes) < 2


def test_intervals_have_the_stated_coverage_on_new_examples():
    conformal = plugin("conformal", coverage=0.9)
    spec = TaskSpec(Task.regression, (), 10, 8, output_kind=OutputKind.values)
    random = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        values = random.normal(size=(40, 1)).astype("float32")
        labels = (values[:, 0] + random.standard_t(3, size=40)).astype("float32")
        fitted = conformal.fit(values[:20], labels[:20], spec)
        low, high = conformal.apply(values[20:], fitted, np).interval.T
        covered.append(((low <= labels[20:]) & (labels[20:] <= high)).mean())
    assert 0.89 < np.mean(covered) < 0.9 + 1 / 21 + 0.01


def test_adaptive_sets_are_the_most_probable_classes_up_to_a_sum():
    conformal = plugin("conformal", coverage=0.7, method="aps")
    labels, logits = single(40, scale=1.0)
    fitted = conformal.fit(logits, labels, spec_of(Task.single_label))
    p = softmax(logits, axis=-1)
    for row, found in zip(p, conformal.apply(logits, fitted, np).included, strict=True):
        order = np.argsort(-row)
        wanted = order[np.cumsum(row[order]) <= fitted["limit"][0] + 1e-6]
        assert set(np.flatnonzero(found)) == set(wanted) | {order[0]}


BAD = [
    ("thresholds", {}, Task.multi_label, several(20)[0] * [1, 0, 1], "no validation example has"),
    ("thresholds", {}, Task.single_label, np.array([0, 1, 2]), "between two classes, and the data"),
    ("prior_shift", {}, Task.single_label, np.array([0, 1, 2]), "no class frequency is given"),
    ("prior_shift", {"priors": {"d": 0.1}}, Task.single_label, np.zeros(3), "there is no class"),
    (
        "prior_shift",
        {"priors": dict.fromkeys(NAMES, 0.3)},
        Task.single_label,
        np.zeros(3),
        "sum to 0.9, not to 1",
    ),
    ("conformal", {"coverage": 0.95}, Task.single_label, np.zeros(18), "which takes 19"),
]


@pytest.mark.parametrize(("name", "fields", "task", "labels", "what"), BAD)
def test_labels_that_allow_no_fit_are_refused(name, fields, task, labels, what):
    with pytest.raises(ConfigError, match=what) as caught:
        plugin(name, **fields).check(spec_of(task), labels)
    assert caught.value.where
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("thresholds", {"beta": 0.0}),
        ("conformal", {"coverage": 1.0}),
        ("prior_shift", {"priors": {"a": 1.5}}),
        ("prior_shift", {"priors": {"a": 0.7, "b": 0.7}}),
    ],
)
def test_a_value_that_means_nothing_is_refused(name, fields):
    with pytest.raises(ConfigError, match="must be"):
        plugin(name, **fields)


def test_as_many_examples_as_are_asked_for_are_enough():
    spec = spec_of(Task.single_label)
    for size, coverage in itertools.product((1, 9, 19, 99), (0.5, 0.9, 0.95, 0.99)):
        conformal = plugin("conformal", coverage=coverage)
        try:
            conformal.check(spec, np.zeros(size))
        except ConfigError as e:
            least = int(e.what.rpartition(" ")[2])
            assert size < least
            conformal.check(spec, np.zeros(least))
            plugin("conformal", coverage=float(e.fix.partition("=")[2].partition(",")[0])).check(
                spec, np.zeros(size)
            )


def test_a_model_of_probabilities_has_their_logits():
    from xferlab.functional.probabilities import sigmoid, to_logits
    from xferlab.functional.probabilities import softmax as ours

    _, logits = single(9, scale=1.0)
    spec = TaskSpec(Task.single_label, NAMES, 9, 9, output_kind=OutputKind.probabilities)
    np.testing.assert_allclose(ours(logits, np), softmax(logits, axis=-1), rtol=1e-5)
    found = to_logits(softmax(logits, axis=-1), spec, np)
    np.testing.assert_allclose(found, log_softmax(logits, axis=-1), atol=1e-5)
    spec = TaskSpec(Task.multi_label, NAMES, 9, 9, output_kind=OutputKind.probabilities)
    np.testing.assert_allclose(to_logits(expit(logits), spec, np), logits, atol=1e-4)
    np.testing.assert_allclose(sigmoid(logits, np), expit(logits), atol=1e-6)
    assert logit(0.5) == 0
