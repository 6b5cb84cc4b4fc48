"""What a resume stands on, without training: snapshots, locks, signals, the choice of a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from xferlab.cli.main import main
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.config.schema import Interval, TrainConfig, interval
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.experiment.train_and_test import _longer_run_note
from xferlab.io.atomic import atomic_write, write_json
from xferlab.runs.checkpoints import latest_checkpoint, write_checkpoint
from xferlab.runs.inputs import inputs_of, write_inputs
from xferlab.runs.lock import is_locked, locked
from xferlab.runs.metadata import write_config, write_status
from xferlab.runs.os_errors import as_run_error
from xferlab.runs.resume import PreviousRun, refuse_changed, run_folder
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.sweeps import worker
from xferlab.training.checkpointing import FolderCheckpointer
from xferlab.training.events import TrainState

FILES = ("state.safetensors", "state.json", "sha256.json")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """Two snapshots, of steps 1 and 2."""
    for step in (1, 2):
        arrays = {"network 0000": np.full((3,), step, "float32"), "scalar": np.asarray(step)}
        write_checkpoint(tmp_path, f"step-{step}", arrays, {"step": step})
    return tmp_path


def test_a_snapshot_comes_back_as_it_was(checkpoints):
    checkpoint = latest_checkpoint(checkpoints)
    assert checkpoint.state == {"step": 2}
    assert checkpoint.arrays()["network 0000"].tolist() == [2, 2, 2]
    assert checkpoint.arrays()["scalar"].shape == ()


def test_the_newest_two_are_kept(checkpoints):
    write_checkpoint(checkpoints, "step-3", {"a": np.zeros(1)}, {})
    assert sorted(p.name for p in checkpoints.iterdir()) == ["step-2", "step-3"]


@pytest.mark.parametrize("name", FILES)
def test_a_snapshot_cut_at_any_byte_is_passed_over(checkpoints, name):
    newest = checkpoints / "step-2"
    keep = checkpoints.parent / f"{checkpoints.name}-keep"
    shutil.copytree(newest, keep)
    newline = name == "sha256.json"  # the last byte, and nothing is lost with it
    for size in range((keep / name).stat().st_size - newline):
        shutil.copytree(keep, newest, dirs_exist_ok=True)
        os.truncate(newest / name, size)
        assert latest_checkpoint(checkpoints).state == {"step": 1}, size


@pytest.mark.parametrize("name", FILES[:2])
def test_a_snapshot_with_any_flipped_byte_is_passed_over(checkpoints, name):
    newest = checkpoints / "step-2"
    keep = checkpoints.parent / f"{checkpoints.name}-keep"
    shutil.copytree(newest, keep)
    whole = (keep / name).read_bytes()
    for place in range(len(whole)):
        shutil.copytree(keep, newest, dirs_exist_ok=True)
        flipped = bytes([whole[place] ^ 1])
        (newest / name).write_bytes(whole[:place] + flipped + whole[place + 1 :])
        assert latest_checkpoint(checkpoints).state == {"step": 1}, place


@pytest.mark.parametrize("name", FILES)
def test_a_snapshot_without_one_of_its_files_is_passed_over(checkpoints, name, caplog):
    (checkpoints / "step-2" / name).unlink()
    assert latest_checkpoint(checkpoints).state == {"step": 1}
    assert "step-2 is damaged" in caplog.text


def test_no_whole_snapshot_is_said_and_is_none(checkpoints, caplog):
    for step in (1, 2):
        (checkpoints / f"step-{step}" / "state.json").write_text("{")
    assert latest_checkpoint(checkpoints) is None
    assert "the run starts again" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500", Interval(steps=500)),
        ("30s", Interval(seconds=30)),
        ("5min", Interval(seconds=300)),
        ("1.5 h", Interval(seconds=5400)),
        (None, Interval()),
    ],
)
def test_an_interval_is_steps_or_time(text, expected):
    assert interval(text) == expected


@pytest.mark.parametrize("text", ["", "0", "5 minutes", "-3", "1.5", "0min", "often"])
def test_anything_else_is_no_interval(text):
    with pytest.raises(ValueError, match="checkpoint_every is steps"):
        TrainConfig(checkpoint_every=text)


@pytest.mark.parametrize("every", [None, "5min", "500"])
def test_without_an_interval_an_epoch_s_end_is_saved_only_when_asked(tmp_path, monkeypatch, every):
    saves = []
    monkeypatch.setattr(FolderCheckpointer, "_save", lambda *_: saves.append(1))
    monkeypatch.setattr(FolderCheckpointer, "_cost_of", lambda *_: 0.0)
    with StopRequest() as stop:
        checkpointer = FolderCheckpointer(tmp_path, [], interval(every), 1, {}, stop)
        checkpointer.after_epoch(None, TrainState())
        assert len(saves) == (every is not None)
        stop.number = signal.SIGTERM
        with pytest.raises(Interrupted):
            checkpointer.after_epoch(None, TrainState())
        assert len(saves) == 1 + (every is not None)


def test_a_folder_has_one_process_at_a_time(tmp_path):
    code = (
        "import sys; from pathlib import Path; from xferlab.runs.lock import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "in\n"
        assert is_locked(tmp_path)
        with pytest.raises(ConfigError, match=f"process {holder.pid} "), locked(tmp_path):
            pass
        holder.kill()  # its lock dies with it
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)


def test_who_only_looks_does_not_turn_a_process_away(tmp_path):
    with locked(tmp_path):
        pass
    with (tmp_path / ".lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.2, looking.close).start()
        with locked(tmp_path):
            assert is_locked(tmp_path)


def test_where_there_is_no_lock_nothing_is_told(tmp_path):
    assert is_locked(tmp_path) is None
    os.mkfifo(tmp_path / ".lock")
    assert is_locked(tmp_path) is None


LINKS = [".lock", "train.log", "checkpoints", "tensorboard/train/x", ".submitit", "1a/.submitit/x"]


@pytest.mark.parametrize("place", LINKS)
def test_a_run_folder_with_a_link_is_not_worked_in(tmp_path, place):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "run" / place).parent.mkdir(parents=True)
    (tmp_path / "run" / place).symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError, match=f"holds a link, {place}"), locked(tmp_path / "run"):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_links_that_submitit_makes_in_its_own_folder_are_no_hindrance(tmp_path):
    (tmp_path / ".submitit" / "1").mkdir(parents=True)
    (tmp_path / ".submitit" / ".submission_file.sh").symlink_to(tmp_path / ".submitit" / "1")
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("command", ["recover", "job"])
def test_a_strangers_log_that_is_a_link_is_not_written_to(recipe, tmp_path, capsys, command):
    run = tmp_path / "theirs"
    mine = tmp_path / "mine"
    mine.write_text("precious")
    write_config(run, recipe().config)
    write_status(run, "interrupted")
    atomic_write(run / ".hydra" / "overrides.yaml", "[]\n")
    (run / "train.log").symlink_to(mine)
    code = main(["--recover=theirs"]) if command == "recover" else worker.main([str(run)])
    assert code == 2
    assert "this run's folder holds a link, train.log" in capsys.readouterr().err
    assert mine.read_text() == "precious"


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, caplog):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path):
        assert is_locked(tmp_path) is None
    assert "no locks on this file system" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_is_heard_at_once_unless_it_is_held(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        with pytest.raises(Interrupted) as raised:  # noqa: PT012 - the second line must be reached
            with stop.held():
                os.kill(os.getpid(), number)
                assert stop.number == number
            stop.obey()
        assert raised.value.exit_code == 128 + number
    assert signal.getsignal(number) == before
    with pytest.raises(Interrupted), StopRequest():
        os.kill(os.getpid(), number)


def test_a_held_signal_is_heard_where_holding_is_lifted():
    with StopRequest() as stop, stop.held():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted), stop.held(False):
            raise AssertionError("the body must not begin")


def test_a_second_sigint_ends_the_process_at_once():
    code = (
        "import os, signal; from xferlab.runs.signals import StopRequest\n"
        "with StopRequest() as stop, stop.held():\n"
        "    os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(28, "x", "file"), "the disk is full"),
        (OSError(30, "x", "file"), "the folder can only be read"),
        (MemoryError(), "out of memory"),
        (RuntimeError("Failed to flush: No space left on device"), "the disk is full"),
        (ValueError("something else"), None),
    ],
)
def test_troubles_around_a_run_are_known(error, what):
    known = as_run_error(error)
    assert (what in known.what) if what else known is None


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Return a function that reads the recipe of some words."""
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    return lambda *overrides: read(compose_config(overrides))


def begun(folder: Path, recipe, status: str = "interrupted", step: str = "step-1") -> Path:
    """Make a folder as a run of ``recipe`` leaves it."""
    write_config(folder, recipe.config)
    write_status(folder, status)
    (folder / "checkpoints" / step).mkdir(parents=True)
    return folder


def chosen(recipe, recover="", named=False, force=False, usual="runs/new"):
    return run_folder(recipe, Path(usual), named=named, recover=recover, force=force)


def test_the_interrupted_run_of_the_same_config_that_got_furthest_goes_on(recipe):
    same = recipe("optimizer.lr=1e-5")
    begun(Path("runs/a"), same, step="step-3")
    begun(Path("runs/b"), recipe("optimizer.lr=0.00001", "name=x"), step="step-9")
    begun(Path("runs/c"), recipe("optimizer.lr=2e-5"), step="step-99")
    begun(Path("runs/d"), same, status="finished", step="step-50")
    assert chosen(same) == Path("runs/b")


def test_how_a_run_is_saved_and_called_is_not_what_it_computes(recipe):
    plain = recipe()
    for overrides in (["train.checkpoint_every=7"], ["train.resume=auto"], ["name=x"]):
        assert recipe(*overrides).run_id == plain.run_id
    assert recipe("seed=1").run_id != plain.run_id


def test_another_config_is_refused_with_the_keys_that_differ(recipe):
    folder = begun(Path("runs/a"), recipe("optimizer.lr=1e-5"))
    changed = recipe("optimizer.lr=2e-5", "train.batch_size=8")
    for refusing in (lambda: chosen(changed), lambda: refuse_changed(folder, changed)):
        with pytest.raises(ConfigError) as raised:
            refusing()
        assert "optimizer.lr is 2e-05, was 1e-05" in raised.value.what
        assert "train.batch_size is 8, was 16" in raised.value.what
        words = raised.value.fix.partition("set ")[2].replace(",", "").split()
        assert words[:2] == ["optimizer.lr=1e-5", "train.batch_size=16"]
        assert chosen(recipe("optimizer.lr=2e-5", "train.batch_size=8", *words[:2])) == folder


def test_another_choice_is_refused_by_the_files_and_words_of_then(recipe):
    begun(Path("runs/a"), recipe("optimizer=sgd"))
    with pytest.raises(ConfigError, match="the files of presets, of then"):
        chosen(recipe("optimizer=adamw"))


def test_more_epochs_go_on_and_fewer_are_refused(recipe):
    folder = begun(Path("runs/a"), recipe("train.epochs=3"))
    assert chosen(recipe("train.epochs=5")) == folder
    assert refuse_changed(folder, recipe("train.epochs=5")).changed == {"train.epochs": (3, 5)}
    with pytest.raises(ConfigError, match=r"train\.epochs is 2, was 3"):
        chosen(recipe("train.epochs=2"))


def test_epochs_that_nobody_chose_can_be_more_than_were_planned(recipe):
    folder = begun(Path("runs/a"), recipe())
    record = {"run_id": recipe().run_id, "task": TASK, "data": {}, "checkpoint": {}}
    write_json(folder / "run.json", {**record, "plan": {"epochs": 14}})
    assert chosen(recipe()) == folder
    assert refuse_changed(folder, recipe("train.epochs=20")).changed == {"train.epochs": (14, 20)}
    assert refuse_changed(folder, recipe("train.epochs=14")).changed == {}
    with pytest.raises(ConfigError, match=r"train\.epochs is 9, was 14"):
        chosen(recipe("train.epochs=9"))


TASK = {
    "task": "single_label",
    "class_names": ["a", "b"],
    "class_counts": [1, 1],
    "rows": {"train": 2},
    "max_length": 8,
    "pairs": False,
    "emits": "logits",
}


def test_without_an_interrupted_run_recover_is_refused_and_auto_begins(recipe):
    with pytest.raises(ConfigError, match="there is no interrupted run"):
        chosen(recipe())
    assert chosen(recipe("train.resume=auto"), recover=None) == Path("runs/new")


def test_a_folder_in_use_is_replaced_only_by_force(recipe):
    folder = begun(Path("runs/a"), recipe(), status="finished")
    with pytest.raises(ConfigError, match="not empty"):
        chosen(recipe(), recover=None, usual="runs/a")
    assert chosen(recipe(), recover=None, usual="runs/a", force=True) == folder
    assert not folder.exists()


def test_force_leaves_what_is_no_run(recipe):
    Path("mine").mkdir()
    write_json(Path("mine/thesis.json"), {})
    with pytest.raises(ConfigError, match="holds something else"):
        chosen(recipe(), recover=None, usual="mine", force=True)
    assert Path("mine/thesis.json").exists()


def test_what_a_start_that_was_killed_leaves_is_as_good_as_empty(recipe):
    folder = Path("runs/a")
    write_config(folder, recipe().config)
    (folder / ".hydra").mkdir()
    (folder / ".partial-status.json").touch()
    write_inputs(folder, inputs_of(recipe().config))
    assert chosen(recipe(), recover=None, usual="runs/a") == folder


@pytest.mark.parametrize(
    ("status", "why"),
    [("finished", "that run had finished"), ("interrupted", "no checkpoint is left")],
)
def test_more_epochs_without_a_checkpoint_are_told_to_begin_anew(recipe, status, why):
    before = PreviousRun(Path("x"), status, ("", ""), {"train.epochs": (3, 4)})
    raised = _longer_run_note(recipe("train.epochs=4"), None, None, TrainState(), before)
    assert (
        raised == f"train.epochs changed since, and {why}: training starts again from the beginning"
    )
