"""A run that is plainly wrong is judged so, and a good one is not."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xferlab.contracts import OutputKind, Split, Task, TaskSpec
from xferlab.evaluation.run_baselines import baselines_of, describe_baselines
from xferlab.evaluation.verdict import chance_loss, verdict


def cross_entropy(labels, outputs):
    z = outputs - outputs.max(axis=-1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    return -np.log(p[np.arange(len(labels)), labels]).mean()


LABELS = np.array([0, 1, 2, 0], "int32")


def experiment(steps=10, loss=cross_entropy, labels=LABELS, spec=None):
    return SimpleNamespace(
        data=SimpleNamespace(train=Split(["x"] * len(labels), labels)),
        spec=spec or TaskSpec(Task.single_label, ("a", "b", "c"), 4, 8),
        loss=loss,
        objective=None,
        model=SimpleNamespace(tokenizer=SimpleNamespace(vocabulary_size=1251)),
        budget=SimpleNamespace(steps_per_epoch=steps),
    )


def recipe(mode="max"):
    return SimpleNamespace(metrics={"accuracy": SimpleNamespace(mode=mode)})


def judged(losses, score=0.9, steps=10, constant=(), baselines=None, mode="max"):
    rows = [{"loss": loss} for loss in losses]
    scores = {"accuracy": score}
    own = experiment(steps)
    return verdict(recipe(mode), own, "test", scores, rows, baselines or {}, list(constant))


def test_the_loss_of_chance():
    assert chance_loss(experiment()) == pytest.approx(math.log(3))
    spec = TaskSpec(Task.regression, (), 3, 8, output_kind=OutputKind.values)
    labels = np.array([1, 2, 6], "float32")

    def squared_error(labels, outputs):
        return ((labels - outputs.ravel()) ** 2).mean()

    assert chance_loss(experiment(10, squared_error, labels, spec)) == pytest.approx(labels.var())


def test_a_masked_language_model_is_compared_with_an_even_guess_of_the_vocabulary():
    spec = TaskSpec(Task.masked_lm, (), 4, 8, output_kind=OutputKind.values)
    own = experiment(10, Task.masked_lm.loss(spec), np.zeros(4, "float32"), spec)
    assert chance_loss(own) == pytest.approx(math.log(1251))
    arguments = (SimpleNamespace(metrics={}), own, "validation", {})
    assert verdict(*arguments, [{"loss": 9.0}, {"loss": 7.1}], {}, []) == []
    assert verdict(*arguments, [{"loss": 13.6}, {"loss": 12.8}], {}, []) == [
        "the training loss fell from 13.6 to 12.8, and is 7.132 by chance: these texts are unlike"
        " those of the pretraining; train longer, or choose another model"
    ]
    (line,) = verdict(*arguments, [{"loss": 12.8}, {"loss": 13.6}], {}, [])
    assert line.startswith("nothing was learnt")
    one_batch = experiment(1, Task.masked_lm.loss(spec), np.zeros(4, "float32"), spec)
    losses = [{"loss": 6.0}] * 30
    assert verdict(arguments[0], one_batch, "validation", {}, losses, {}, []) == []


def test_a_training_loss_above_chance_is_judged_and_one_below_is_not():
    assert judged([1.2, 1.0]) == []
    assert judged([1.2, 1.11]) == [
        "nothing was learnt: the training loss is 1.11 in the last epoch, and 1.099 by chance"
        " (find-lr suggests a rate)"
    ]


def test_one_batch_that_is_not_learnt_by_heart():
    assert judged([1.1] * 20 + [0.01], steps=1) == []
    assert judged([1.1] * 20 + [0.6], steps=1)[0].startswith("one batch was not learnt in 21 ep")
    assert judged([1.1, 0.6], steps=1) == []  # a short run is no such test


def test_scores_that_simple_models_reach():
    simple = {"largest": {"test": {"accuracy": 0.5}}, "TF-IDF": {"test": {"accuracy": 0.8}}}
    assert judged([0.2], 0.81, baselines=simple) == []
    (line,) = judged([0.2], 0.8, baselines=simple)
    assert line == "test accuracy 0.8000 is no better than that of a simple model: TF-IDF 0.8000"
    assert judged([0.2], 0.3, baselines=simple, mode="min") == []
    assert describe_baselines(simple, "test", "accuracy").endswith("largest 0.5000, TF-IDF 0.8000")


def test_a_user_without_a_home_folder_has_baselines_too(monkeypatch):
    monkeypatch.delenv("XFERLAB_CACHE", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert len(scored_baselines(monkeypatch)) == 2


def no_home(path):
    raise RuntimeError("Could not determine home directory.")


def test_at_most_two_lines_and_the_constant_ones_instead_of_the_baselines():
    simple = {"largest": {"test": {"accuracy": 0.9}}}
    lines = judged([2.0], 0.5, constant=["one", "two"], baselines=simple)
    assert lines[0].startswith("nothing was learnt")
    assert lines[1:] == ["one"]
    assert judged([0.1], 0.5, constant=["one"], baselines=simple) == ["one"]


def scored_baselines(monkeypatch):
    """Return the baselines of four texts."""
    import xferlab.evaluation.run_baselines as module
    from xferlab.discovery import load_plugins
    from xferlab.origin import PACKAGE
    from xferlab.registry import REGISTRY

    monkeypatch.setattr(module, "FEWEST_ROWS", 3)
    load_plugins(PACKAGE.parent)
    texts = ["good film", "bad plot", "good plot", "bad film"]
    split = Split(texts, np.array([1, 0, 1, 0], "int32"))
    spec = TaskSpec(Task.single_label, ("n", "y"), 4, 8, class_counts=(2, 2))
    data = SimpleNamespace(spec=spec, train=split, splits={"train": split, "validation": split})
    metrics = {"accuracy": REGISTRY.create("metric", {"name": "accuracy"})}
    own = SimpleNamespace(metrics=metrics, seed=0)
    return baselines_of(own, data)


def test_the_model_of_texts_is_computed_once(tmp_path, monkeypatch):
    import xferlab.evaluation.run_baselines as module

    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path))
    first = scored_baselines(monkeypatch)
    assert [each.scores["validation"]["accuracy"] for each in first] == [0.5, 1.0]
    monkeypatch.setattr(module, "text_scores", lambda *a: pytest.fail("computed again"))
    assert scored_baselines(monkeypatch)[1] == first[1]
    (path,) = (tmp_path / "baselines").iterdir()
    path.write_text(json.dumps({"name": 3}))  # damaged: computed anew
    with pytest.raises(pytest.fail.Exception):
        scored_baselines(monkeypatch)
