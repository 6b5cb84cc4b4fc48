"""Comparisons over examples: every metric, a user's too, resampled by its own plugin."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from tests.functional.test_resampling import fitting, rows_of
from tests.support import synthetic_runs
from xferlab import Accepts, LabelKind, OutputKind, Task, register
from xferlab.config.compose import publish
from xferlab.evaluation.bootstrap import _sample_weights
from xferlab.report.comparison import _resampled_scores, compare
from xferlab.report.confusion import confusion_of
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Setting, read_report
from xferlab.report.stored_outputs import read_outputs
from xferlab.runs.predictions import keep_predictions
from xferlab.sweeps.job_state import State

EXAMPLES = 60


def job_of(
    folder: Path, spec, labels, outputs, name: str, node: dict, value: float, groups=None
) -> JobResult:
    """Return a finished run that stored its test outputs and has one score."""
    keep_predictions(folder, "test", labels, outputs, groups)
    task = {
        "task": spec.task.name,
        "class_names": list(spec.class_names),
        "class_counts": list(spec.class_counts),
        "rows": {"train": 9, "test": len(labels)},
        "max_length": 8,
        "pairs": False,
        "output_kind": spec.output_kind.value,
    }
    return JobResult(
        folder=folder,
        config={"metric": {name: node}},
        overrides={},
        state=State("finished", {}),
        monitor=f"val_{name}",
        score=value,
        epoch=1,
        step=1,
        last=value,
        test={name: value},
        validation={},
        task=task,
        digests={"test": "a" * 64},
        seconds=1.0,
        history=[],
    )


def settings_of(folder: Path, task: Task, plugin, name: str, node: dict) -> list[Setting]:
    """Return two settings of one run each, on the same labels."""
    found = []
    for number in (1, 2):
        spec, labels, outputs = rows_of(task, seed=5, rows=EXAMPLES)
        outputs = outputs + np.random.default_rng(number).normal(size=outputs.shape).astype("f4")
        value = plugin.build(spec)(labels, outputs)
        job = job_of(folder / str(number), spec, labels, outputs, name, node, value)
        found.append(Setting({"k": number}, [job], (value, None), {name: (value, None)}))
    return found


@pytest.mark.parametrize(("plugin", "task"), [*fitting("metric")])
def test_every_metric_is_resampled_over_examples(plugin, task, tmp_path, request):
    name = request.node.callspec.id.partition(" ")[0]
    node = {"name": name} | ({"k": 2} if name == "top_k" else {})
    settings = settings_of(tmp_path, task, plugin, name, node)
    scores = _resampled_scores(settings, "test", name)
    assert len(scores) == 2
    for job, run in zip((s.jobs[0] for s in settings), scores.values(), strict=True):
        assert run.value == pytest.approx(job.test[name], abs=1e-6)
        assert run.examples == EXAMPLES
        assert np.ptp(run.resampled) > 0
        assert abs(np.median(run.resampled) - run.value) < 0.2 * max(1, abs(run.value))


def sampled_pair(outputs, sample: int):
    """Return labels and outputs of one resample, as the bootstrap takes it."""
    weights = next(_sample_weights(len(outputs.labels), sample + 1))[sample]
    rows = np.repeat(np.arange(len(weights)), weights.astype(int))
    return outputs.labels[rows], outputs.outputs[rows]


REFERENCES = {
    "auc": lambda y, out: metrics.roc_auc_score(y, out, average="macro"),
    "f1": lambda y, out: metrics.f1_score(y, out > 0, average="macro", zero_division=0),
    "spearman": lambda y, out: stats.spearmanr(y, out[:, 0]).statistic,
    "pearson": lambda y, out: stats.pearsonr(y, out[:, 0]).statistic,
    "matthews": lambda y, out: metrics.matthews_corrcoef(y, out.argmax(1)),
    "accuracy": lambda y, out: metrics.accuracy_score(y, out.argmax(1)),
}


@pytest.mark.parametrize(
    ("plugin", "task"),
    [
        p
        for p in fitting("metric")
        if p.id.split()[0] in REFERENCES
        and not p.id.endswith("token_classification")
        and p.id not in ("f1 single_label", "auc single_label")
    ],
)
def test_a_resample_has_the_score_of_scikit_learn_or_scipy(plugin, task, tmp_path, request):
    name = request.node.callspec.id.partition(" ")[0]
    settings = settings_of(tmp_path, task, plugin, name, {"name": name})
    job = settings[0].jobs[0]
    run = _resampled_scores(settings, "test", name)[str(job.folder)]
    outputs = read_outputs(job, "test")
    for sample in range(5):
        expected = REFERENCES[name](*sampled_pair(outputs, sample))
        assert run.resampled[sample] == pytest.approx(expected, abs=1e-6)


@dataclass(frozen=True)
class Mine:
    """The metric of a user: a plain function of a whole split."""

    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))
    mode: ClassVar[str] = "max"

    def build(self, spec):
        return lambda labels, outputs: float((outputs.argmax(-1) == labels).mean() ** 2)


def test_a_users_metric_is_compared_over_examples(tmp_path):
    register("metric", "mine")(Mine)
    settings = settings_of(tmp_path, Task.single_label, Mine(), "mine", {"name": "mine"})
    scores = _resampled_scores(settings, "test", "mine")
    assert all(np.isfinite(run.resampled).all() for run in scores.values())


def test_a_metric_that_fails_or_is_not_installed_is_a_note(tmp_path):
    (setting, _) = settings_of(tmp_path, Task.single_label, Mine(), "mine", {"name": "gone"})
    with pytest.raises(ValueError, match="there is no metric named 'gone'"):
        _resampled_scores([setting], "test", "mine")
    with pytest.raises(ValueError, match="other cannot be computed"):
        _resampled_scores([setting], "test", "other")


def test_a_comparison_over_examples_needs_no_tensorflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish(tmp_path)
    folder = synthetic_runs.write_sweep(
        Path("outputs/sweeps/one"),
        ["optimizer.lr=1e-5,3e-5", "seed=0,1"],
        lambda config: 0.9 if config["optimizer"]["lr"] > 2e-5 else 0.6,
    )
    (other,) = compare(read_report([folder])).others
    assert other.difference.over == "seeds and examples"
    code = (
        "import sys\nfrom xferlab.cli.main import main\n"
        f"code = main(['report', {str(folder)!r}])\n"
        "print(code, {'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 set()"
    assert "Paired bootstrap over 300 test examples" in done.stdout


def test_the_confusion_of_tags_is_of_entity_types_as_in_an_evaluation(tmp_path):
    spec, labels, outputs = rows_of(Task.token_classification, seed=5, rows=EXAMPLES)
    job = job_of(tmp_path / "1", spec, labels, outputs, "f1", {"name": "f1"}, 0.5)
    table = confusion_of([job, job])
    assert table.names == ["O", "person", "place"]
    assert np.sum(table.counts) == 2 * (labels >= 0).sum()
    assert table.source == "test words, 2 runs together"
    predicted = outputs.argmax(-1)[labels >= 0]
    assert table.counts[0][0] == 2 * ((predicted == 0) & (labels[labels >= 0] == 0)).sum()
