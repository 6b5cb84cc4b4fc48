"""The one table of a sweep, on made-up run folders: half-finished, failed, over seeds, several."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stand_in
from made_runs import write_sweep

from xferlab.cli import main
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.report.command import write_report
from xferlab.report.settings import read_report
from xferlab.report.tables import shown
from xferlab.runs.record import write_status
from xferlab.sweep.frozen import freeze
from xferlab.sweep.plan import plan_sweep

NINE = ["optimizer.lr=1e-5,3e-5,1e-4", "seed=0,1,2"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def made_up(name, words, score):
    """Return a sweep's folder; ``score(config)`` is a finished job's score, or a status."""
    plan = plan_sweep(words)
    folder = Path("outputs/sweeps") / name
    freeze(plan, folder, ["command"])
    for job in plan.jobs:
        given = score(job.config)
        if isinstance(given, float):
            stand_in.write_results(folder / job.run_id, given)
        elif given:
            write_status(folder / job.run_id, given, error="it went wrong")
    return folder


def by_rate(config):
    return {1e-5: 0.8, 3e-5: 0.9, 1e-4: 0.7}[config["optimizer"]["lr"]] + config["seed"] / 100


def rows_of(folder):
    with (folder / "results.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_every_job_is_a_row_sorted_by_its_values():
    folder = made_up("one", NINE, by_rate)
    write_report([(read_report([folder]), None)], pictures=True)
    rows = rows_of(folder)
    assert [(row["optimizer.lr"], row["seed"]) for row in rows[:4]] == [
        ("1e-05", "0"),
        ("1e-05", "1"),
        ("1e-05", "2"),
        ("3e-05", "0"),
    ]
    assert rows[3]["val_accuracy"] == "0.9"
    assert rows[3]["last val_accuracy"] == "0.89"
    assert (rows[3]["best epoch"], rows[3]["best step"]) == ("2", "20")
    assert (rows[3]["status"], rows[3]["seconds"]) == ("finished", "4.5")
    assert rows[3]["test accuracy"] == "0.88"


def test_seeds_are_one_setting_with_mean_and_sample_deviation():
    report = read_report([made_up("one", NINE, by_rate)])
    assert [setting.values for setting in report.settings] == [
        {"optimizer.lr": 1e-5},
        {"optimizer.lr": 3e-5},
        {"optimizer.lr": 1e-4},
    ]
    mean, deviation = report.settings[1].best
    assert mean == pytest.approx(0.91)
    assert deviation == pytest.approx(0.01)  # of 0.90, 0.91, 0.92
    assert report.best is report.settings[1]


def test_the_best_has_the_best_mean_not_the_luckiest_seed():
    def score(config):
        lucky = config["optimizer"]["lr"] == 1e-5 and config["seed"] == 0
        return 0.99 if lucky else by_rate(config) - 0.1

    report = read_report([made_up("one", NINE, score)])
    assert report.best.values == {"optimizer.lr": 3e-5}


def test_a_loss_is_better_when_it_is_less():
    folder = made_up("one", ["train.monitor=val_loss", "seed=1,2"], lambda c: c["seed"] / 10)
    for path in folder.glob("*/metrics.json"):
        metrics = json.loads(path.read_text())
        metrics["best"]["monitor"] = "val_loss"
        path.write_text(json.dumps(metrics))
    report = read_report([folder])
    assert report.better == "min"


def test_a_half_finished_sweep_has_a_table_too(capsys):
    states = {0: 0.5, 1: "failed", 2: "nan", 3: "interrupted", 4: None}
    folder = made_up("one", ["seed=0,1,2,3,4"], lambda config: states[config["seed"]])
    assert main(["report", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "5 jobs:" in told
    for word in ("1 finished", "1 failed", "1 nan", "1 interrupted", "1 queued"):
        assert word in told
    assert told.count("again: python -m xferlab.worker") == 2
    assert "it went wrong" in told
    assert [row["status"] for row in rows_of(folder)] == [
        "finished",
        "failed",
        "nan",
        "interrupted",
        "queued",
    ]
    assert (folder / "summary.md").read_text().count("it went wrong") == 2


def test_of_sweeps_with_different_choices_the_choices_differ_not_all_their_fields(capsys):
    one = made_up("one", ["optimizer=sgd", "optimizer.lr=1e-2,2e-2"], lambda config: 0.5)
    two = made_up("two", ["train.epochs=5", "seed=1,2"], lambda config: 0.6)
    assert list(read_report([one, two]).keys) == [
        "optimizer.lr",
        "seed",
        "optimizer",
        "train.epochs",
    ]
    assert main(["report", str(one), str(two)]) == 0
    assert "optimizer=adamw train.epochs=5" in capsys.readouterr().out


def test_jobs_that_were_all_stopped_show_their_best_so_far_and_no_means(capsys):
    folder = write_sweep(Path("outputs/sweeps/one"), ["seed=0,1"], lambda config: 0.5)
    for path in folder.glob("*/metrics.json"):
        path.unlink()
        write_status(path.parent, "interrupted")
    assert main(["report", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "val_accuracy" in told
    assert [float(row["val_accuracy"]) for row in rows_of(folder)] == pytest.approx(
        [0.5, 0.5], abs=0.1
    )
    assert "0/2" not in told
    assert "Over seeds" not in (folder / "summary.md").read_text()


def test_a_running_job_shows_its_best_so_far_and_counts_in_no_mean():
    folder = made_up("one", ["seed=0,1"], lambda config: 0.5)
    running = sorted(folder.glob("*/metrics.json"))[0]
    running.unlink()
    write_status(running.parent, "running")
    report = read_report([folder])
    (job,) = [job for job in report.jobs if job.state.status == "running"]
    assert (job.best, job.epoch, job.last) == (0.5, 2, 0.49)
    assert report.settings[0].finished == 1


def test_nothing_has_begun():
    report = read_report([made_up("one", NINE, lambda config: None)])
    assert report.best is None
    write_report([(report, None)])
    (group,) = json.loads((Path("outputs/sweeps/one") / "results.json").read_text())["groups"]
    assert group["best"] is None


def test_a_choice_from_a_group_is_one_column():
    folder = made_up("one", ["loss=focal,cross_entropy", "seed=1"], lambda config: 0.5)
    report = read_report([folder])
    assert report.keys == ["loss"]
    assert [job.setting("loss") for job in report.jobs] == ["cross_entropy", "focal"]


def test_several_sweeps_are_one_table_with_what_differs_between_them(capsys):
    one = made_up("one", ["optimizer.lr=1e-5,3e-5"], lambda config: 0.5)
    two = made_up("two", ["optimizer.lr=1e-5,3e-5", "train.epochs=5"], lambda config: 0.6)
    assert main(["report", str(one), str(two)]) == 0
    assert "4 jobs" in capsys.readouterr().out
    (target,) = Path("outputs/reports").iterdir()
    rows = rows_of(target)
    assert {row["train.epochs"] for row in rows} == {"3", "5"}
    assert {row["sweep"] for row in rows} == {str(one), str(two)}


def test_runs_without_a_plan_are_read_by_their_configs():
    folder = made_up("one", ["optimizer.lr=1e-5,3e-5"], lambda config: 0.5)
    for path in folder.glob("*/job.json"):
        config = json.loads(path.read_text())["config"]
        (path.parent / "config.yaml").write_text(json.dumps(config))
        path.unlink()
    (folder / "sweep.json").unlink()
    report = read_report([folder])
    assert report.keys == ["optimizer.lr"]
    single = read_report([next(folder.glob("*/status.json")).parent])
    assert len(single.jobs) == 1


def test_a_strangers_config_that_asks_for_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("SECRET", "told")
    run = Path("outputs/sweeps/stranger/00000000")
    write_status(run, "finished")
    (run / "config.yaml").write_text("name: ${oc.env:SECRET}\nloss: {_target_: os.system}\n")
    with pytest.raises(ConfigError, match="holds an interpolation"):
        read_report([run.parent])
    assert not (run.parent / "results.json").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "no folder is named"),
        (["nowhere"], "there is no such folder"),
        (["."], "there is no run in this folder"),
    ],
)
def test_a_folder_without_runs_is_refused(words, what, capsys):
    assert main(["report", *words]) == 2
    told = capsys.readouterr().err
    assert what in told
    assert len(told.splitlines()) == 3


def test_pictures_are_drawn_where_there_is_something_to_see():
    folder = made_up("one", NINE, by_rate)
    write_report([(read_report([folder]), None)], pictures=True)
    assert {path.name for path in folder.glob("*.png")} == {"score.png", "curves.png"}
    words = [*NINE, "optimizer.weight_decay=0,0.1", "loss=focal,cross_entropy"]
    folder = made_up("two", words, by_rate)
    write_report([(read_report([folder]), None)], pictures=True)
    assert len(list(folder.glob("*.png"))) == 3
    assert "![parallel](parallel.png)" in (folder / "summary.md").read_text()


def test_pictures_of_odd_sweeps_can_be_drawn():
    for name, words, score in [
        ("equal", ["optimizer.lr=1e-5,3e-5", "train.epochs=1,2"], lambda config: 0.5),
        ("zero", ["optimizer.weight_decay=0,0.01,0.1", "train.epochs=1,2"], lambda config: 0.5),
        ("one", ["optimizer.lr=1e-5"], lambda config: 0.5),
        ("lists", ["optimizer.no_decay=[a],[b]", "seed=1,2"], lambda config: 0.5),
        ("words", ["train.patience=null,3", "optimizer.lr=1e-5,3e-5"], by_epochs),
    ]:
        write_report([(read_report([made_up(name, words, score)]), None)], pictures=True)


def by_epochs(config):
    return 0.5 + (config["train"]["patience"] or 0) / 10


def test_a_half_written_sweep_is_reported_in_under_a_second_and_without_numpy_or_tensorflow():
    folder = made_up("one", ["seed=range(40)"], lambda config: None)
    started = time.process_time()
    read_report([folder])
    assert time.process_time() - started < 1
    code = (
        "import sys; from xferlab.cli import main\n"
        f"main(['report', {str(folder)!r}])\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_values_are_shown_as_they_are_typed():
    assert [shown(v) for v in (3e-5, 0.98765, 12, None, "x", 0.0)] == [
        "3e-5",
        "0.9877",
        "12",
        "",
        "x",
        "0",
    ]


def test_a_moved_sweep_is_reported_where_it_is():
    folder = made_up("one", NINE, by_rate)
    shutil.move(folder, "moved")
    write_report([(read_report([Path("moved")]), None)])
    assert len(rows_of(Path("moved"))) == 9
