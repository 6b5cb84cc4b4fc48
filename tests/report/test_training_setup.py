"""What a report has beside the scores: what was trained, which keys matter, what it costs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.support import synthetic_runs
from xferlab.cli.main import main
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.report.importance import MIN_JOBS, importance_of
from xferlab.report.pareto import pareto_charts, pareto_front
from xferlab.report.settings import Report, read_report
from xferlab.report.training_setup import setup_of
from xferlab.runs.latency import write_latency

NINE = ["optimizer.lr=1e-5,3e-5,1e-4", "seed=0,1,2", "train.batch_size=8"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def sweep(words: list[str] = NINE, skill=lambda config: 0.6 + config["optimizer"]["lr"] * 2000):
    return synthetic_runs.write_sweep(Path("outputs/sweeps/one"), words, skill)


def change(run: Path, **values: object) -> None:
    """Change the record of a run."""
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | values))


def report(**of_seed: dict) -> Report:
    """Return the report of the nine jobs, with a record that depends on the seed."""
    folder = sweep()
    for run in folder.glob("*/run.json"):
        seed = json.loads((run.parent / "job.json").read_text())["config"]["seed"]
        change(run.parent, **of_seed.get(f"seed{seed}", {}))
    return read_report([folder])


def test_model_data_settings_command_versions_and_device_are_there():
    checkpoint = {"architecture": "bert", "source": "mine", "revision": "abc", "parameters": 1234}
    checkpoint["sha256"] = {"model.safetensors": "f" * 64}
    shared = {"versions": {"keras": "3.15", "torch": None}, "host": {"system": "Linux"}}
    shared |= {"device": "CPU: mine, 2 cores", "precision": "float32", "checkpoint": checkpoint}
    other = shared | {"device": "GPU: H200"}
    setup = setup_of(report(seed0=shared, seed1=shared, seed2=other))
    assert setup.parts == {
        "model": [
            "bert from mine, revision abc, 1,234 parameters, model.safetensors sha256 ffffffffffff"
        ],
        "data": ["train 400, validation 200 (sha256 aaaaaaaaaaaa), test 300 (sha256 aaaaaaaaaaaa)"],
        "settings": ["train.batch_size=8"],
        "command": ["command"],
        "versions": ["keras 3.15"],
        "device": ["CPU: mine, 2 cores, Linux", "GPU: H200, Linux"],
        "precision": ["float32"],
    }
    assert setup.settings["train.batch_size"] == "8"
    assert "optimizer.lr" not in setup.settings
    assert "seed" not in setup.settings


def test_the_page_and_the_summary_have_it(capsys):
    folder = sweep()
    assert main(["report", str(folder)]) == 0
    for name in ("report.html", "summary.md"):
        text = (folder / name).read_text()
        for word in ("What was trained", "train.batch_size=8", "Importance", "functional ANOVA"):
            assert word in text, (name, word)
    (group,) = json.loads((folder / "results.json").read_text())["groups"]
    assert group["setup"]["settings"] == ["train.batch_size=8"]
    assert group["importance"].keys() == {"optimizer.lr", "seed"}


def test_the_key_that_makes_the_difference_is_the_important_one():
    found = importance_of(report())
    assert found is not None
    assert found.jobs == 9
    assert sum(found.fractions.values()) == pytest.approx(1)
    assert found.ranked()[0][0] == "optimizer.lr"
    assert found.fractions["optimizer.lr"] > 0.7


@pytest.mark.parametrize(
    "words",
    [
        ["optimizer.lr=1e-5,3e-5,1e-4", "seed=0,1"],  # fewer than MIN_JOBS
        ["optimizer.lr=1e-5,2e-5,3e-5,4e-5,5e-5,6e-5,7e-5,8e-5"],
        ["seed=0,1,2,3", "data.folds=2", "data.fold=0,1"],
    ],
)
def test_few_jobs_one_key_and_repeats_alone_have_no_importance(words):
    assert MIN_JOBS == 8
    assert importance_of(read_report([sweep(words)])) is None


def test_no_setting_beats_one_of_the_pareto_front():
    draw = random.Random(0)
    for mode, sign in (("max", 1), ("min", -1)):
        points = [(draw.randrange(9), draw.randrange(9)) for _ in range(30)]
        beaten = {
            (cost, score)
            for cost, score in points
            for c, s in points
            if (c <= cost and sign * s > sign * score) or (c < cost and s == score)
        }
        assert pareto_front(points, mode) == sorted(set(points) - beaten)


def test_a_chart_of_the_score_by_size_comes_with_several_sizes():
    sizes = {f"seed{seed}": {"checkpoint": {"parameters": 1000}} for seed in range(3)}
    assert list(pareto_charts(report(**sizes))) == []
    folder = Path("outputs/sweeps/one")
    for run in folder.glob("*/run.json"):
        rate = json.loads((run.parent / "job.json").read_text())["config"]["optimizer"]["lr"]
        change(run.parent, checkpoint={"parameters": {1e-5: 1000, 3e-5: 3000, 1e-4: 2000}[rate]})
    (chart,) = pareto_charts(read_report([folder]))
    assert chart.title == "val_accuracy by parameters"
    assert [cost for cost, _ in chart.lines[0].points] == [1000, 2000]
    assert len(chart.lines[0].dots) == 3


def test_latencies_are_compared_on_one_device_alone():
    folder = Path("outputs/sweeps/one")
    assert list(pareto_charts(report())) == []
    runs = sorted(folder.glob("*/run.json"))
    for run in runs:
        rate = json.loads((run.parent / "job.json").read_text())["config"]["optimizer"]["lr"]
        change(run.parent, device="CPU: one")
        write_latency(run.parent, "test", 100, 1e4 * rate, 64)
    (chart,) = pareto_charts(read_report([folder]))
    assert chart.title == "val_accuracy by milliseconds an example (CPU: one)"
    change(runs[0].parent, device="CPU: another")
    assert list(pareto_charts(read_report([folder]))) == []
