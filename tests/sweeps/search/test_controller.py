"""A search: how many jobs it has, what it tells Optuna, and that it goes on whatever is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tests.support import search_job, stub_search
from xferlab.cli.main import main
from xferlab.cli.search import begin
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, RunError
from xferlab.runs.lock import locked
from xferlab.sweeps.job_state import state_of
from xferlab.sweeps.planner import plan_sweep
from xferlab.sweeps.search.runner import run_rounds

RATES = "space: {optimizer.lr: {loguniform: [1e-6, 1e-2]}}"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def read_json(path):
    return json.loads(path.read_text())


def overrides(trials=4, more="", space=RATES):
    return [f"sweep.search={{trials: {trials}, startup: 2, {space}{more}}}"]


def search(command, does="", workers=1):
    os.environ["DOES"] = does
    try:
        return stub_search.search(command, workers)
    finally:
        del os.environ["DOES"]


def folder():
    (found,) = Path("outputs/sweeps").iterdir()
    return found


def jobs():
    return [folder() / run_id for run_id in read_json(folder() / "sweep.json")["requested"]]


def attempts():
    return [len((job / "attempts").read_text().split()) for job in jobs()]


def statuses():
    return [state_of(job).status for job in jobs()]


def trials():
    with sqlite3.connect(folder() / "search.db") as base:
        return [state for (state,) in base.execute("select state from trials order by number")]


# What there is to search


def test_a_search_is_checked_at_both_ends_and_at_every_choice():
    rate = "optimizer.lr: {loguniform: [1e-5, 1e-3]}"
    size = "train.batch_size: {choice: [8, 16, 32]}"
    space = f"space: {{{rate}, {size}}}"
    plan = plan_sweep(overrides(space=space))
    assert plan.search.checked == 1 + 1 + 2
    assert plan.swept == ("optimizer.lr", "train.batch_size")
    assert plan.search.size == float("inf")
    few = plan_sweep(
        overrides(space="space: {seed: {int: [1, 4]}, train.epochs: {choice: [1, 2, 2]}}")
    )
    assert few.search.size == 8


def test_a_search_is_known_by_what_it_computes():
    this = plan_sweep(overrides()).search.search_id
    assert plan_sweep(overrides(trials=99)).search.search_id == this
    assert plan_sweep([*overrides(), "sweep.workers=2"]).search.search_id == this
    assert plan_sweep(overrides(more=", seed: 1")).search.search_id != this
    assert plan_sweep([*overrides(), "seed=1"]).search.search_id != this
    other = "space: {optimizer.lr: {loguniform: [1e-6, 2e-2]}}"
    assert plan_sweep(overrides(space=other)).search.search_id != this


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["sweep.search={trails: 3}"], "there is no key 'sweep.search.trails'"),
        (["sweep.search={trials: 3}"], "the space is empty"),
        (["sweep.search={}"], "the space is empty"),
        (overrides(trials=0), "trials must be at least 1, got 0"),
        (overrides(trials="many"), "sweep.search.trials must be of type int"),
        (overrides(more=", min_epochs: 0"), "min_epochs must be at least 1"),
        (overrides(more=", sampler: tea"), "sweep.search.sampler must be one of tpe, random, qmc"),
        (overrides(more=", pruner: mean"), "must be one of median, successive_halving"),
        (overrides(more=", storage: trials.db"), "the storage is no URL of a database"),
        (overrides(space="space: {optimizer.lr: {normal: [0, 1]}}"), "is no distribution"),
        (overrides(space="space: {optimizer.lrr: {uniform: [0, 1]}}"), "no key 'optimizer.lrr'"),
        (overrides(space="space: {optimizer.lr: {uniform: [-1, 1]}}"), "lr must be"),
        (overrides(space="space: {loss: {choice: [auto, focl]}}"), "there is no loss named 'focl'"),
        ([*overrides(), "seed=1,2"], "a search chooses its jobs one by one, and seed has several"),
        ([*overrides(), "sweep.grid={seed: [1, 2]}"], "chooses its jobs one by one, and seed"),
        (
            [*overrides(), "optimizer.lr=1e-5"],
            "optimizer.lr is sampled by the search and has a value",
        ),
        (
            overrides(space="space: {metric: {choice: [accuracy, f1]}}"),
            "trials are compared by one",
        ),
    ],
)
def test_a_wrong_word_is_three_lines(command, what, capsys):
    assert main(["-m", *command]) == 2
    printed = capsys.readouterr().err
    assert what in printed
    assert len(printed.splitlines()) == 3
    assert not Path("outputs").exists()


def test_a_dry_run_says_what_is_drawn_and_writes_nothing(capsys):
    assert main(["-m", "sweep=search", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert printed.err.endswith(": 20 trials\n")
    assert "20 trials by tpe (seed 0), poor ones pruned by median after 1 epoch" in printed.out
    assert "train.batch_size        one of 8, 16, 32\n" in printed.out
    assert not Path("outputs").exists()


def test_without_optuna_it_says_how_to_get_it(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "optuna" else found(name)
    )
    assert main(["-m", "sweep=search"]) == 2
    printed = capsys.readouterr().err.splitlines()[1:]
    assert printed == [
        " error: a search needs Optuna, which is not installed",
        " where: sweep.search",
        "   fix: pip install 'xferlab[optuna]'",
    ]
    assert not Path("outputs").exists()


OWN_DATA = [
    ["data=files", "data.train=train.csv"],
    ["data=hub", "data.id=./rows", "data.validation=null", "data.test=null"],
    ["model=encoder", "model.checkpoint=bundled:bert"],
]


@pytest.mark.parametrize("own", OWN_DATA, ids=lambda own: own[0])
def test_a_trial_is_composed_while_hydra_runs_the_search(own):
    composer = plan_sweep([*overrides(), *own]).search.composer
    with initialize_config_module("xferlab.conf", version_base="1.3"):
        at_work = GlobalHydra.instance().hydra
        recipe = composer.recipe([*own, "optimizer.lr=0.01"])
        with pytest.raises(ConfigError, match=r"no key 'optimizer\.rl'"):
            composer.recipe([*own, "optimizer.rl=0.01"])
        assert GlobalHydra.instance().hydra is at_work
    assert recipe.config["optimizer"]["lr"] == 0.01
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.slow
def test_a_search_over_ones_own_rows_runs(capsys):
    Path("train.csv").write_text("text,label\n" + "a fine film,good\na poor one,bad\n" * 8)
    short = ["model=bag_of_embeddings", "train.epochs=1"]
    assert main(["-m", *overrides(1), *OWN_DATA[0], *short]) == 0
    assert statuses() == ["finished"]
    assert trials() == ["COMPLETE"]


# What is run


def test_nan_and_failure_are_failed_trials_and_a_killed_one_is_tried_again(capsys):
    assert search(overrides(5), "0:nan,1:fail,2:die") == 1
    assert statuses() == ["nan", "failed", "finished", "finished", "finished"]
    assert attempts() == [1, 1, 2, 1, 1]
    assert trials() == ["FAIL", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    first = jobs()
    printed = capsys.readouterr()
    assert "5 jobs: 3 finished, 1 failed, 1 nan" in printed.out

    assert search(overrides(6)) == 1  # the same again, and one more
    assert jobs()[:5] == first
    assert statuses() == ["nan", *["finished"] * 5]  # the failed one is done again, nan is not
    assert attempts() == [1, 2, 2, 1, 1, 1]
    printed = capsys.readouterr()
    assert "continuing outputs/sweeps/" in printed.err
    assert "1 nan, 1 failed, 3 finished, 1 to run" in printed.err

    assert search(overrides(6)) == 1
    assert attempts() == [1, 2, 2, 1, 1, 1]


def test_a_poor_trial_is_asked_to_end_and_the_table_says_so(capsys):
    assert search(overrides(4), "3:poor") == 0
    assert statuses() == ["finished", "finished", "finished", "pruned"]
    assert trials()[3] == "PRUNED"
    assert len((jobs()[3] / "history.csv").read_text().splitlines()) == 2  # one epoch of three
    assert read_json(jobs()[3] / "prune.json")["pruner"] == "median"
    out = capsys.readouterr().out
    assert "4 jobs: 3 finished, 1 pruned" in out
    assert "failed" not in out
    rows = (folder() / "results.csv").read_text().splitlines()
    assert [row for row in rows if ",pruned,0." in row]

    assert search(overrides(4)) == 0
    assert attempts() == [1, 1, 1, 1]


def test_none_ends_no_trial_early():
    os.environ["DOES"] = ""
    assert search(overrides(4, ", pruner: none")) == 0
    assert trials() == ["COMPLETE"] * 4


def test_the_database_has_what_the_folders_say():
    search(overrides(3))
    with sqlite3.connect(folder() / "search.db") as base:
        values = [v for (v,) in base.execute("select value from trial_values order by trial_id")]
        epochs = base.execute("select count(*) from trial_intermediate_values").fetchone()
    best = [read_json(job / "metrics.json")["best"]["value"] for job in jobs()]
    assert values == pytest.approx(best)
    assert epochs == (3 * search_job.EPOCHS,)


def test_two_workers_run_as_many_jobs_as_were_asked_for(capsys):
    assert search(overrides(5), workers=2) == 0
    assert attempts() == [1] * 5
    assert trials() == ["COMPLETE"] * 5


def test_one_experiment_is_run_once_and_a_small_space_is_searched_to_its_end():
    space = "space: {optimizer.lr: {choice: [1e-4, 1e-3, 1e-5]}, seed: {choice: [1, 2]}}"
    assert search(overrides(20, space=space)) == 0
    assert attempts() == [1] * 6
    twins = Counter(trials())
    assert twins["RUNNING"] == 0
    assert twins["COMPLETE"] >= 6


@pytest.mark.slow
def test_drawing_does_not_depend_on_when_a_search_was_stopped():
    search([*overrides(5), "hydra.sweep.dir=one"])
    search([*overrides(2), "hydra.sweep.dir=two"])
    search([*overrides(5), "hydra.sweep.dir=two"])
    one, two = (read_json(Path(name) / "sweep.json")["requested"] for name in ("one", "two"))
    assert one == two
    assert len(set(one)) == 5


# What is killed


def killed_in_the_middle(command, does):
    """Kill a search and the job that sleeps, and return that job's folder."""
    parent = subprocess.Popen(
        [sys.executable, stub_search.__file__, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "DOES": does},
    )
    for _ in range(600):
        here = list(Path().glob("outputs/sweeps/*/*/here"))
        if here:
            break
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    process = int(read_json(here[0].parent / "status.json")["process"])
    os.kill(process, signal.SIGKILL)  # the stand-in reads no lifeline; a worker ends by itself
    while Path(f"/proc/{process}").exists():
        time.sleep(0.05)
    return here[0].parent


def test_a_search_that_was_killed_goes_on_with_the_trial_that_was_open(capsys):
    job = killed_in_the_middle(overrides(4), "2:sleep")
    assert trials() == ["COMPLETE", "COMPLETE", "RUNNING"]
    assert search(overrides(4)) == 0
    assert "2 finished, 1 to resume, 1 to run" in capsys.readouterr().err
    assert jobs()[2] == job
    assert attempts() == [1, 1, 2, 1]
    assert trials() == ["COMPLETE"] * 4


@pytest.mark.parametrize(
    "after", [*(pytest.param(s, marks=pytest.mark.slow) for s in ("asking", "freezing")), "running"]
)
def test_killed_between_two_steps_nothing_is_lost_or_done_twice(after, monkeypatch):
    """A search is left by an exception that nothing hears, after each of its steps."""

    class Killed(BaseException):
        pass

    def killed(*args, **kwargs):
        raise Killed

    search(overrides(2))
    name = {"asking": "_job", "freezing": "fill", "running": "_close"}[after]
    with monkeypatch.context() as patched:
        if after == "freezing":
            patched.setattr("xferlab.sweeps.local_pool.Pool.run", killed)
        else:
            patched.setattr(f"xferlab.sweeps.search.controller.Search.{name}", killed)
        with pytest.raises(Killed):
            search(overrides(4))
    assert trials()[-1] == "RUNNING"
    assert search(overrides(4)) == 0
    assert attempts() == [1] * 4
    assert trials() == ["COMPLETE"] * 4


def test_a_lost_database_is_made_again_from_the_folders():
    search(overrides(4, ", pruner: none"))
    before = jobs()
    (folder() / "search.db").unlink()
    assert search(overrides(4, ", pruner: none")) == 0
    assert jobs() == before
    assert attempts() == [1] * 4
    assert trials() == ["COMPLETE"] * 4


# What is refused


@pytest.mark.slow
def test_three_failures_alike_end_a_search():
    with pytest.raises(RunError, match="3 jobs in a row failed with the same error: no such rows"):
        search(overrides(9), "1:fail,2:fail,3:fail")
    assert statuses() == ["finished", "failed", "failed", "failed"]
    assert search(overrides(5)) == 0
    assert attempts() == [1, 2, 2, 2, 1]


def test_fail_fast_asks_for_no_further_job():
    assert search([*overrides(4), "sweep.fail_fast=true"], "1:nan") == 1
    assert statuses() == ["finished", "nan"]


def test_one_process_asks_and_tells():
    search(overrides(1))
    with locked(folder()), pytest.raises(ConfigError, match="another process runs this search"):
        search(overrides(2))


@pytest.mark.slow
def test_a_search_and_a_grid_do_not_share_a_folder(capsys):
    search(overrides(1, space="space: {optimizer.lr: {choice: [1e-4, 1e-3]}}"))
    here = f"hydra.sweep.dir={folder()}"
    time.sleep(1.1)  # a folder is named by the second
    assert main(["-m", "optimizer.lr=1e-4,1e-3", "--dry-run"]) == 0
    assert "continuing" not in capsys.readouterr().err
    assert main(["-m", "optimizer.lr=1e-4,1e-3", here]) == 2
    assert "this folder holds a search" in capsys.readouterr().err
    assert main(["-m", *overrides(3), here]) == 2
    assert "this folder holds another sweep: another space" in capsys.readouterr().err


def test_no_password_is_printed_or_kept(capsys, monkeypatch):
    url = "nosuch+driver://me:hush@localhost/trials?password=hush"
    monkeypatch.setattr(sys, "argv", ["xferlab", "-m", f"sweep.search.storage={url}"])
    assert main(["-m", "sweep=search", f"sweep.search.storage='{url}'"]) == 2
    printed = capsys.readouterr()
    assert "me:***@localhost" in printed.err
    assert "hush" not in printed.err + printed.out
    texts = [path.read_text() for path in folder().rglob("*") if path.is_file()]
    assert any("me:***@localhost" in text for text in texts)
    assert not any("hush" in text for text in texts)


def test_any_database_by_its_url(tmp_path):
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    assert search(overrides(2, f", storage: '{url}'")) == 0
    assert Path("elsewhere.db").exists()
    assert not (folder() / "search.db").exists()
    with pytest.raises(ConfigError, match="the trials of this search are in sqlite:"):
        search(overrides(3))


def test_another_launcher_is_given_rounds():
    os.environ["DOES"] = ""
    plan = plan_sweep(overrides(3))
    begun = begin(plan, Path("sweep"))
    rounds = []

    def launch(folders):
        rounds.append(len(folders))
        for each in folders:
            subprocess.run(stub_search.command(each), check=True)

    run_rounds(begun, launch, 2)
    assert rounds == [2, 1]
    assert len(begun.run_ids) == 3
    assert begun.left == 0
    assert [state_of(Path("sweep") / run_id).status for run_id in begun.run_ids] == ["finished"] * 3
