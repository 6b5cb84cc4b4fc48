"""Baselines score what scikit-learn's own estimators and metrics say."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from xferlab.contracts import Split, Task, TaskSpec
from xferlab.discovery import load_plugins
from xferlab.origin import PACKAGE
from xferlab.registry import REGISTRY
from xferlab.statistics.baselines import constant_scores, text_scores

WORDS = ["good", "bad", "fine", "poor", "film", "plot", "cast", "the", "was"]


@pytest.fixture(scope="module", autouse=True)
def plugins():
    load_plugins(PACKAGE.parent)


def metric(name, **fields):
    return REGISTRY.create("metric", {"name": name, **fields})


def texts(seed, rows):
    numbers = np.random.RandomState(seed)
    return [" ".join(numbers.choice(WORDS, 5)) for _ in range(rows)]


def split(seed, rows, label):
    own = texts(seed, rows)
    return Split(own, np.array([label(text) for text in own]))


def of_class(text):
    return np.int32(2 if "plot" in text and "good" in text else "good" in text)


def vectorizer():
    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"\b\w+\b")


def test_classes():
    train = split(0, 300, of_class)
    test = split(1, 100, of_class)
    counts = tuple(np.bincount(train.labels).tolist())
    spec = TaskSpec(Task.single_label, ("a", "b", "c"), 300, 16, class_counts=counts)
    metrics = {"accuracy": metric("accuracy"), "f1": metric("f1", average="macro")}
    constant = constant_scores(spec, train, {"test": test}, metrics)
    dummy = DummyClassifier().fit(train.texts, train.labels).predict(test.texts)
    assert constant.scores["test"]["accuracy"] == pytest.approx(accuracy_score(test.labels, dummy))
    assert constant.name == "largest class (a)"
    found = text_scores(spec, train, {"validation": train, "test": test}, metrics, seed=0)
    theirs = make_pipeline(vectorizer(), LogisticRegression(max_iter=200))
    predicted = theirs.fit(train.texts, train.labels).predict(test.texts)
    scores = found.scores["test"]
    assert scores["accuracy"] == pytest.approx(accuracy_score(test.labels, predicted))
    assert scores["accuracy"] > 0.8
    assert scores["f1"] == pytest.approx(f1_score(test.labels, predicted, average="macro"))
    assert list(found.scores) == ["validation", "test"]
    again = text_scores(spec, train, {"test": test}, metrics, seed=0)
    assert again.scores["test"] == scores


def test_several_labels():
    def labels(text):
        return np.array(["good" in text, "plot" in text, True, False], "float32")

    train = split(0, 200, labels)
    test = split(1, 80, labels)
    spec = TaskSpec(Task.multi_label, ("g", "p", "all", "none"), 200, 16)
    metrics = {"f1": metric("f1", average="micro")}
    found = text_scores(spec, train, {"test": test}, metrics, seed=0)
    one = LogisticRegression(max_iter=200, solver="liblinear")
    theirs = make_pipeline(vectorizer(), OneVsRestClassifier(one))
    predicted = theirs.fit(train.texts, train.labels).predict(test.texts)
    expected = f1_score(test.labels, predicted, average="micro")
    assert found.scores["test"]["f1"] == pytest.approx(expected)
    assert found.scores["test"]["f1"] > 0.9
    constant = constant_scores(spec, train, {"test": test}, metrics)
    frequent = train.labels.mean(axis=0) >= 0.5
    expected = f1_score(test.labels, np.tile(frequent, (80, 1)), average="micro")
    assert constant.scores["test"]["f1"] == pytest.approx(expected)


def test_numbers():
    train, test = (split(i, 150, lambda t: np.float32(t.count("good") + 0.5)) for i in (0, 1))
    spec = TaskSpec(Task.regression, (), 150, 16)
    metrics = {"mse": metric("mean_squared_error"), "accuracy": metric("accuracy")}
    found = text_scores(spec, train, {"test": test}, metrics, seed=0)
    theirs = make_pipeline(vectorizer(), Ridge()).fit(train.texts, train.labels)
    expected = mean_squared_error(test.labels, theirs.predict(test.texts))
    assert found.scores["test"] == {"mse": pytest.approx(expected, rel=1e-4)}
    constant = constant_scores(spec, train, {"test": test}, metrics)
    mean = np.full(150, train.labels.mean())
    assert constant.scores["test"]["mse"] == pytest.approx(mean_squared_error(test.labels, mean))


def test_tags():
    words = [["Ada", "slept", "well"], ["Ada", "ran"], ["Bo", "slept"]]
    tags = [np.array(each, "int32") for each in ([1, 0, 0], [1, 0], [-1, 0])]
    train = Split(words, tags)
    test = Split([["Ada", "met", "Bo"]], [np.array([1, 0, 1], "int32")])
    spec = TaskSpec(Task.token_classification, ("O", "B-person"), 3, 16, class_counts=(4, 2))
    found = text_scores(spec, train, {"test": test}, {"f": metric("entity_f1")}, seed=0)
    assert found.scores["test"]["f"] == pytest.approx(2 / 3)  # Bo has no tag in train: O
    constant = constant_scores(spec, train, {"test": test}, {"a": metric("accuracy")})
    assert constant.scores["test"]["a"] == pytest.approx(1 / 3)


def test_similar_texts():
    pairs = Split(["good film", "bad plot"], np.array([1, 0], "float32"), ["good film", "fine"])
    spec = TaskSpec(Task.similarity, (), 2, 16, has_pairs=True)
    found = text_scores(spec, pairs, {"test": pairs}, {"p": metric("pearson")}, seed=0)
    assert found.scores["test"]["p"] == pytest.approx(1)
    assert constant_scores(spec, pairs, {"test": pairs}, {"p": metric("pearson")}) is None
    zeros = Split(pairs.texts, np.zeros(2, "float32"), pairs.pairs)
    spec = TaskSpec(Task.retrieval, (), 2, 16, has_pairs=True)
    found = text_scores(spec, zeros, {"test": zeros}, {"m": metric("mrr")}, seed=0)
    assert 0.5 < found.scores["test"]["m"] <= 1


def test_texts_without_any_word_have_no_model_of_texts():
    train = Split(["", "!"], np.array([0, 1], "int32"))
    spec = TaskSpec(Task.single_label, ("a", "b"), 2, 16, class_counts=(1, 1))
    assert text_scores(spec, train, {"test": train}, {}, seed=0) is None
    assert constant_scores(spec, train, {"test": train}, {}) is not None
