"""A postprocess is held to its contract; an ill-behaved one is named with its file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab import (
    Accepts,
    ConfigError,
    LabelKind,
    OutputKind,
    PluginError,
    Processed,
    Task,
    TaskSpec,
    register,
)
from xferlab.discovery import load_plugins
from xferlab.functional.unseen_words import predict_unseen
from xferlab.postprocessing.fit import fit_postprocess, refuse_postprocess
from xferlab.postprocessing.record import FILE, read_postprocess, write_postprocess
from xferlab.postprocessing.steps import chosen_steps
from xferlab.registry import REGISTRY

SPEC = TaskSpec(Task.single_label, ("x", "y", "z"), 10, 8, class_counts=(4, 3, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 0, 1, 2], "int32")
OUTPUTS = (np.eye(3)[LABELS] + np.random.default_rng(0).normal(size=(10, 3))).astype("float32")


def plugin(name, fit, apply):
    """Return a registered postprocess of two functions."""

    @register("postprocess", name)
    @dataclass(frozen=True)
    class Given:
        """A postprocess."""

        accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), tuple(LabelKind))

        def fit(self, outputs, labels, spec):
            return fit(outputs, labels)

        def apply(self, outputs, parameters, xp):
            return apply(outputs, parameters, xp)

    return Given()


def one(outputs, labels):
    return {"a": np.ones(3)}


def as_they_are(outputs, parameters, xp):
    return Processed(outputs * parameters["a"])


VIOLATIONS = {
    "fits_nothing": (lambda o, y: {}, as_they_are, "fits nothing: it returns no parameter"),
    "fits_a_list": (lambda o, y: [1.0], as_they_are, "fits a list"),
    "fits_words": (lambda o, y: {"a": "much"}, as_they_are, "fits <U4 values as 'a'"),
    "fits_nan": (lambda o, y: {"a": np.log(-np.ones(3))}, as_they_are, "not finite as 'a'"),
    "fails_to_fit": (lambda o, y: {"a": o[99]}, as_they_are, "fails to fit: IndexError"),
    "fails": (one, lambda o, p, xp: Processed(o * p["b"]), "fails to apply: KeyError"),
    "gives_an_array": (one, lambda o, p, xp: o, "returns a ndarray"),
    "does_nothing": (one, lambda o, p, xp: Processed(), "changes nothing"),
    "loses_a_class": (one, lambda o, p, xp: Processed(o[:, :2]), "gives outputs of shape (10, 2)"),
    "gives_nan": (
        one,
        lambda o, p, xp: Processed(xp.log(o - 9)),
        "gives outputs that are not finite",
    ),
    "counts_rows": (
        one,
        lambda o, p, xp: Processed(o - xp.mean(o, axis=0)),
        "gives a row other results among other rows",
    ),
    "floats_as_sets": (one, lambda o, p, xp: Processed(included=o), "gives included of float32"),
    "interval_of_classes": (
        one,
        lambda o, p, xp: Processed(interval=o[:, :2]),
        "gives an interval for classes",
    ),
}


@pytest.fixture(autouse=True)
def own_plugins() -> Iterator[None]:
    with isolated_plugins():
        yield


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_violation_is_named_with_its_file_and_line(name):
    fit, apply, what = VIOLATIONS[name]
    with pytest.raises(PluginError) as caught:
        fit_postprocess({name: plugin(name, fit, apply)}, LABELS, OUTPUTS, SPEC)
    assert f"postprocess={name} " in caught.value.what
    assert what in caught.value.what
    assert f"{__file__}:" in caught.value.where


def test_an_honest_one_is_fitted_kept_and_read_with_the_same_bits(tmp_path):
    chosen = {name: REGISTRY.create("postprocess", {"name": name}) for name in ("temperature",)}
    chosen["mine"] = plugin("mine", lambda o, y: {"a": o.std(0)}, as_they_are)
    fitted = fit_postprocess(chosen, LABELS, OUTPUTS, SPEC, "w" * 64)
    write_postprocess(tmp_path, fitted, data="d" * 64, examples=10)
    found = read_postprocess(tmp_path, chosen, SPEC)
    assert found is not None
    assert found.weights == "w" * 64
    np.testing.assert_array_equal(found(OUTPUTS).outputs, fitted(OUTPUTS).outputs)
    # the second one was fitted to what the first one gives
    scaled = OUTPUTS / np.float32(fitted.steps[0].parameters["temperature"])
    np.testing.assert_allclose(fitted.steps[1].parameters["a"], scaled.std(0), rtol=1e-5)
    assert chosen_steps(chosen["temperature"]).keys() == {"temperature"}
    record = json.loads((tmp_path / FILE).read_text())
    for shape in ([-1, -2], [2**40, 2**40], [4]):
        record["steps"][1]["parameters"]["a"]["shape"] = shape
        (tmp_path / FILE).write_text(json.dumps(record))
        with pytest.raises(ConfigError, match="is damaged"):
            read_postprocess(tmp_path, chosen, SPEC)
    (tmp_path / FILE).write_text(json.dumps(record).replace('"mine"', '"other"'))
    with pytest.raises(ConfigError, match="has other steps"):
        read_postprocess(tmp_path, chosen, SPEC)
    (tmp_path / FILE).unlink()
    with pytest.raises(ConfigError, match="is missing"):
        read_postprocess(tmp_path, chosen, SPEC)


def test_probabilities_do_not_change_after_a_decision():
    names = ("conformal", "temperature")
    chosen = {name: REGISTRY.create("postprocess", {"name": name}) for name in names}
    with pytest.raises(ConfigError) as caught:
        fit_postprocess(chosen, LABELS, OUTPUTS, SPEC)
    assert str(caught.value).splitlines() == [
        " error: temperature changes probabilities after an earlier postprocess has used them to"
        " decide",
        " where: postprocess",
        "   fix: put temperature first: postprocess=[temperature,...]",
    ]
    with pytest.raises(ConfigError, match="no validation output"):
        fit_postprocess(chosen, LABELS[:0], OUTPUTS[:0], SPEC)


def test_a_postprocess_of_another_task_is_refused_by_its_declaration():
    chosen = {"thresholds": REGISTRY.create("postprocess", {"name": "thresholds"})}
    spec = TaskSpec(Task.regression, (), 9, 9, output_kind=OutputKind.values)
    with pytest.raises(ConfigError, match="thresholds accepts multi_hot or class_index labels"):
        refuse_postprocess(chosen, spec, np.zeros(3))


def test_words_without_a_token_keep_their_outputs():
    spec = TaskSpec(Task.token_classification, ("O", "B-X"), 9, 9)
    outputs = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("float32")
    unseen = np.zeros((4, 5), bool)
    unseen[:, 4] = True
    predict_unseen(outputs, unseen, 0)
    labels = np.tile(np.array([0, 1, 0, -1, 0]), (4, 1))
    chosen = {"temperature": REGISTRY.create("postprocess", {"name": "temperature"})}
    fitted = fit_postprocess(chosen, labels, outputs, spec)
    units = fit_postprocess(
        chosen, labels[None, :, :3].reshape(1, -1), outputs[:, :3].reshape(1, -1, 2), spec
    )
    assert fitted.steps[0].parameters == units.steps[0].parameters
    done = fitted(outputs).outputs
    np.testing.assert_array_equal(done[unseen], outputs[unseen])
    assert (done[~unseen] != outputs[~unseen]).all()
    listed = [row[:3] for row in outputs]
    listed[1] = np.full((3, 2), np.nan, "float32")
    found = fitted.of_examples(listed).outputs
    np.testing.assert_array_equal(found[0], done[0, :3])
    assert np.isnan(found[1]).all()


def test_the_documented_plugin_works(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "postprocess.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "plugins" / "postprocess").mkdir(parents=True)
    (tmp_path / "plugins" / "postprocess" / "platt.py").write_text(code)
    load_plugins(tmp_path)
    assert not REGISTRY.broken
    spec = TaskSpec(Task.multi_label, ("x", "y"), 9, 9)
    random = np.random.default_rng(0)
    labels = (random.random((60, 2)) < 0.4).astype("float32")
    outputs = (labels - 0.5 + random.normal(size=labels.shape)).astype("float32")
    chosen = {"platt": REGISTRY.create("postprocess", {"name": "platt"})}
    fitted = fit_postprocess(chosen, labels, 3 * outputs + 1, spec)
    expected = fit_postprocess(chosen, labels, outputs, spec)(outputs).outputs
    np.testing.assert_allclose(fitted(3 * outputs + 1).outputs, expected, atol=1e-3)
