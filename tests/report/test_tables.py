"""The one table of a sweep, on made-up run folders: half-finished, failed, over seeds, several."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support import stub_job, synthetic_runs
from tests.support.synthetic_runs import write_sweep
from xferlab.cli.main import main
from xferlab.cli.report import fitting_columns, write_report
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.io.atomic import write_json
from xferlab.report.analysis import analyse
from xferlab.report.comparison import compare
from xferlab.report.settings import read_report, read_reports
from xferlab.report.tables import format_value
from xferlab.runs.metadata import write_status
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep

NINE = ["optimizer.lr=1e-5,3e-5,1e-4", "seed=0,1,2"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def made_up(name, overrides, score):
    """Return a sweep's folder; ``score(config)`` is a finished job's score, or a status."""
    plan = plan_sweep(overrides)
    folder = Path("outputs/sweeps") / name
    write_manifest(plan, folder, ["command"])
    for job in plan.jobs:
        given = score(job.config)
        if isinstance(given, float):
            stub_job.write_results(folder / job.run_id, given)
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
    write_report([analyse(read_report([folder]))])
    rows = rows_of(folder)
    assert [(row["optimizer.lr"], row["seed"]) for row in rows[:4]] == [
        ("1e-05", "0"),
        ("1e-05", "1"),
        ("1e-05", "2"),
        ("3e-05", "0"),
    ]
    assert rows[3]["val_accuracy"] == "0.9"
    assert rows[3]["last val_accuracy"] == "0.89"
    assert (rows[3]["weights"], rows[3]["epoch"], rows[3]["step"]) == ("best", "2", "20")
    assert (rows[3]["status"], rows[3]["seconds"]) == ("finished", "4.5")
    assert rows[3]["test accuracy"] == "0.88"


def use_last(folder, epochs):
    """Let a made-up run use the weights of its last epoch, with its scores of each epoch."""
    rows = [f"{e},{e * 10},0.5,{score},1.5" for e, score in enumerate(epochs, 1)]
    text = "\n".join(["epoch,step,val_loss,val_accuracy,seconds", *rows])
    (folder / "history.csv").write_text(text + "\n")
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    best = {"value": max(epochs), "epoch": 1 + epochs.index(max(epochs))}
    metrics |= {"weights": "last", "validation": {"loss": 0.5, "accuracy": epochs[-1]}}
    path.write_text(json.dumps({**metrics, "best": metrics["best"] | best}))


def test_runs_are_ranked_by_the_weights_that_they_use(capsys):
    folder = made_up("one", ["optimizer.lr=1e-5,3e-5"], by_rate)
    slow, fast = (job.folder for job in read_report([folder]).jobs)
    use_last(slow, [0.6, 0.7, 0.8])
    use_last(fast, [0.7, 0.99, 0.5])  # the best epoch's weights are not the run's
    report = read_report([folder])
    assert [(job.score, job.epoch, job.step) for job in report.jobs] == [(0.8, 3, 30), (0.5, 3, 30)]
    assert report.best.values == {"optimizer.lr": 1e-5}
    assert main(["report", str(folder)]) == 0
    assert "weights    val_accuracy is of the last epoch, whose" in capsys.readouterr().out
    assert [row["weights"] for row in rows_of(folder)] == ["last", "last"]
    assert "val_accuracy is of the last epoch" in (folder / "report.html").read_text()
    assert "val_accuracy is of the last epoch" in (folder / "summary.md").read_text()


def test_a_report_says_that_weights_of_the_best_and_of_the_last_epoch_are_compared(capsys):
    folder = made_up("one", ["optimizer.lr=1e-5,3e-5"], by_rate)
    use_last(read_report([folder]).jobs[0].folder, [0.6, 0.7, 0.8])
    assert main(["report", str(folder)]) == 0
    assert "of the last epoch in 1 job, of the best in 1" in capsys.readouterr().out


def test_an_unfinished_run_has_the_score_of_the_weights_that_it_will_use():
    folder = made_up("one", ["train.restore_best=false,true"], lambda config: 0.9)
    for job in read_report([folder]).jobs:
        (job.folder / "metrics.json").unlink()
        record = synthetic_runs.record(job.folder, ["a", "b"], 300, "a" * 64)
        write_json(job.folder / "run.json", record)
        write_status(job.folder, "interrupted")
    scores = {job.weights: (job.score, job.epoch) for job in read_report([folder]).jobs}
    assert scores == {"best": (0.9, 2), "last": (0.89, 3)}


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
    assert report.mode == "min"


def test_a_half_finished_sweep_has_a_table_too(capsys):
    states = {0: 0.5, 1: "failed", 2: "nan", 3: "interrupted", 4: None}
    folder = made_up("one", ["seed=0,1,2,3,4"], lambda config: states[config["seed"]])
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "5 jobs:" in printed
    for word in ("1 finished", "1 failed", "1 nan", "1 interrupted", "1 queued"):
        assert word in printed
    assert printed.count("again: python -m xferlab.sweeps.worker") == 2
    assert "it went wrong" in printed
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
    printed = capsys.readouterr().out
    assert "val_accuracy" in printed
    assert [float(row["val_accuracy"]) for row in rows_of(folder)] == pytest.approx(
        [0.5, 0.5], abs=0.1
    )
    assert "0/2" not in printed
    assert "Over seeds" not in (folder / "summary.md").read_text()


def test_a_running_job_shows_its_best_so_far_and_counts_in_no_mean():
    folder = made_up("one", ["seed=0,1"], lambda config: 0.5)
    running = sorted(folder.glob("*/metrics.json"))[0]
    running.unlink()
    write_status(running.parent, "running")
    report = read_report([folder])
    (job,) = [job for job in report.jobs if job.state.status == "running"]
    assert (job.score, job.epoch, job.last) == (0.5, 2, 0.49)
    assert report.settings[0].finished == 1


def test_nothing_has_begun():
    report = read_report([made_up("one", NINE, lambda config: None)])
    assert report.best is None
    write_report([analyse(report)])
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
    assert {row["train.epochs"] for row in rows} == {"", "5"}  # unsaid: as many as the data needs
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
    ("overrides", "what"),
    [
        ([], "no folder is named"),
        (["nowhere"], "there is no such folder"),
        (["."], "there is no run in this folder"),
    ],
)
def test_a_folder_without_runs_is_refused(overrides, what, capsys):
    assert main(["report", *overrides]) == 2
    printed = capsys.readouterr().err
    assert what in printed
    assert len(printed.splitlines()) == 3


def test_charts_are_written_where_there_is_something_to_see():
    folder = made_up("one", NINE, by_rate)
    write_report([analyse(read_report([folder]))])
    assert {path.name for path in folder.glob("*.svg")} == {"score.svg", "curves.svg"}
    overrides = [*NINE, "optimizer.weight_decay=0,0.1", "loss=focal,cross_entropy"]
    folder = made_up("two", overrides, by_rate)
    write_report([analyse(read_report([folder]))])
    assert len(list(folder.glob("*.svg"))) == 3
    assert "![parallel](parallel.svg)" in (folder / "summary.md").read_text()


def test_charts_of_odd_sweeps_are_well_formed():
    for name, overrides, score in [
        ("equal", ["optimizer.lr=1e-5,3e-5", "train.epochs=1,2"], lambda config: 0.5),
        ("zero", ["optimizer.weight_decay=0,0.01,0.1", "train.epochs=1,2"], lambda config: 0.5),
        ("one", ["optimizer.lr=1e-5"], lambda config: 0.5),
        ("lists", ["optimizer.no_decay=[a],[b]", "seed=1,2"], lambda config: 0.5),
        ("words", ["train.patience=null,3", "optimizer.lr=1e-5,3e-5"], by_epochs),
    ]:
        folder = made_up(name, overrides, score)
        write_report([analyse(read_report([folder]))])
        for path in folder.glob("*.svg"):
            assert ElementTree.parse(path).findall(".//{*}path"), path
        assert "](curves.svg)" in (folder / "summary.md").read_text()


def by_epochs(config):
    return 0.5 + (config["train"]["patience"] or 0) / 10


def test_a_half_written_sweep_is_reported_without_numpy_or_tensorflow():
    folder = made_up("one", ["seed=range(40)"], lambda config: None)
    code = (
        "import sys; from xferlab.cli.main import main\n"
        f"main(['report', {str(folder)!r}])\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_values_are_shown_as_they_are_typed():
    assert [format_value(v) for v in (3e-5, 0.98765, 12, None, "x", 0.0)] == [
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
    write_report([analyse(read_report([Path("moved")]))])
    assert len(rows_of(Path("moved"))) == 9


def written_inputs(run, **content):
    """Write what a run read beside it; the rest as for every run here."""
    write_json(
        run / "inputs.json",
        {"inputs": {"data.train": "a", "data.validation": "b", **content}, "plugins": {}},
    )


def test_runs_of_different_data_are_neither_ranked_nor_averaged(capsys):
    folder = made_up("one", ["seed=0,1,2,3"], lambda config: [0.9, 0.8, 0.2, 0.1][config["seed"]])
    runs = {
        json.loads(p.read_text())["config"]["seed"]: p.parent for p in folder.glob("*/job.json")
    }
    for seed, run in runs.items():
        written_inputs(run, **{"data.validation": "old" if seed < 2 else "new"})
    reports = read_reports([folder])
    assert sorted(report.best.best[0] for report in reports) == pytest.approx([0.15, 0.85])
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "scored on data.validation new: neither ranked nor averaged with jobs" in printed
    assert "scored on data.validation old" in printed
    assert "neither ranked nor averaged" in (folder / "summary.md").read_text()
    assert "neither ranked nor averaged" in (folder / "report.html").read_text()


def test_equal_settings_that_were_trained_on_other_rows_are_two_settings():
    folder = made_up("one", ["seed=0,1,2"], by_seed)
    for path in folder.glob("*/job.json"):
        seed = json.loads(path.read_text())["config"]["seed"]
        written_inputs(path.parent, **{"data.train": "new" if seed == 2 else "old"})
    (report,) = read_reports([folder])
    assert [setting.values for setting in report.settings] == [
        {"data.train (content)": "old"},
        {"data.train (content)": "new"},
    ]
    assert [setting.finished for setting in report.settings] == [2, 1]
    assert report.settings[0].best[0] == pytest.approx(0.55)  # of 0.5 and 0.6


def by_seed(config):
    return 0.5 + config["seed"] / 10


def test_runs_from_before_digests_were_kept_go_by_their_test_rows():
    one = write_sweep(Path("outputs/sweeps/one"), ["seed=0,1"], lambda config: 0.6)
    two = write_sweep(Path("outputs/sweeps/two"), ["seed=2,3"], lambda config: 0.9, data="b" * 64)
    assert len(read_reports([one, two])) == 1
    for path in Path().rglob("job.json"):
        record = json.loads(path.read_text())
        del record["inputs"]
        path.write_text(json.dumps(record))
    first, second = read_reports([one, two])
    assert {job.folder.parent for job in first.jobs} == {one}
    assert {job.folder.parent for job in second.jobs} == {two}


def test_a_folder_that_is_named_twice_counts_once(capsys):
    folder = made_up("one", NINE, by_rate)
    run = next(folder.glob("*/status.json")).parent
    assert main(["report", str(run), f"{run}/", str(run.resolve())]) == 0
    assert "1 job: 1 finished" in capsys.readouterr().out
    assert (run / "report.html").exists()
    assert len(read_report([folder, run, folder]).jobs) == 9


def test_files_among_the_folders_are_left_out_and_named(capsys):
    folder = made_up("one", NINE, by_rate)
    runs = [str(path) for path in sorted(folder.iterdir())]
    assert main(["report", *runs]) == 0
    printed = capsys.readouterr().out
    assert f"left out   {folder}/sweep.json: this is a file, not a folder" in printed
    assert "9 jobs" in printed
    assert main(["report", f"{folder}/sweep.json"]) == 2
    assert "this is a file, not a folder" in capsys.readouterr().err


DAMAGED = {
    "an empty status": ("status.json", "", "status.json is damaged"),
    "a torn job": ("job.json", "{", "job.json is damaged"),
    "a short line": ("history.csv", "step,epoch,val_accuracy\n1\n", "history.csv is damaged"),
    "a line without a step": ("history.csv", "epoch,step,val_loss\n1\n", "row 1 has 1 of 3"),
    "a number without end": ("history.csv", "epoch,step\n1e999,1\n", "history.csv is damaged"),
}


@pytest.mark.parametrize(("name", "content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_job_is_left_out_and_named(name, content, message, capsys):
    folder = made_up("one", NINE, by_rate)
    run = next(folder.glob("*/status.json")).parent
    (run / name).write_text(content)
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"left out   {run}/{name}: " in printed
    assert message in printed
    assert "8 jobs" in printed
    assert message in (folder / "summary.md").read_text()
    assert main(["report", str(run)]) == 2
    assert message in capsys.readouterr().err


def test_a_config_with_an_interpolation_is_left_out_and_named(capsys):
    for name, text in {"good": "seed: 1\n", "bad": "name: ${oc.env:HOME}\n"}.items():
        run = Path("outputs/runs") / name
        stub_job.write_results(run, 0.5)
        (run / "config.yaml").write_text(text)
    assert main(["report", "outputs/runs"]) == 0
    printed = capsys.readouterr().out
    assert "left out   outputs/runs/bad/config.yaml:1: a saved config is plain data" in printed
    assert "1 job: 1 finished" in printed


def test_every_key_of_a_list_of_jobs_is_a_column():
    overrides = "sweep.list=[{loss: focal, loss.gamma: 1}, {train.epochs: 5}, {train.epochs: 7}]"
    report = read_report([made_up("one", [overrides], lambda config: 0.5)])
    assert report.keys == ["loss", "loss.gamma", "train.epochs"]
    assert [setting.values["train.epochs"] for setting in report.settings] == [5, 7, None]


def test_how_often_a_run_is_saved_splits_no_setting():
    one = made_up("one", ["seed=0"], lambda config: 0.5)
    two = made_up("two", ["seed=1", "train.checkpoint_every=7", "name=x"], lambda config: 0.6)
    report = read_report([one, two])
    assert report.keys == ["seed"]
    assert len(report.settings) == 1


def test_an_interval_of_a_difference_stays_within_what_two_accuracies_can_differ_by():
    overrides = ["optimizer.lr=1e-5,3e-5", "seed=0,1"]
    scores = {(1e-5, 0): 0.05, (1e-5, 1): 0.6, (3e-5, 0): 0.4, (3e-5, 1): 0.95}
    folder = made_up("one", overrides, lambda c: scores[c["optimizer"]["lr"], c["seed"]])
    (other,) = compare(read_report([folder])).others
    assert (other.difference.low, other.difference.high) == (-1.0, 1.0)


def test_a_folder_with_a_files_name_is_three_lines(capsys):
    folder = made_up("one", ["seed=0"], lambda config: 0.5)
    (folder / "report.html").mkdir()
    assert main(["report", str(folder)]) == 2
    printed = capsys.readouterr().err
    assert "report.html is a folder here" in printed
    assert len(printed.splitlines()) == 3


def test_a_narrow_terminal_gets_whole_columns_and_fewer():
    rows = [{"run": "a1", "status": "finished", "last val_f1": "0.5", "time": "1 s"}]
    optional = ["status", "last val_f1", "time"]
    assert fitting_columns(rows, 40, optional) == ["run", "status", "last val_f1", "time"]
    assert fitting_columns(rows, 30, optional) == ["run", "last val_f1", "time"]
    assert fitting_columns(rows, 12, optional) == ["run", "time"]
    assert fitting_columns(rows, 1, optional) == ["run"]
