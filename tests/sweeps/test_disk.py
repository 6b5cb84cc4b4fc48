"""A sweep leaves one file of weights a job, both of the best; no scored file is lost."""

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest

from xferlab.config.schema import Keep
from xferlab.formatting import format_size
from xferlab.runs.kept_weights import delete_unkept
from xferlab.sweeps.disk import SecondFiles, disk_lines, frozen_bytes, weight_bytes


def job(sweep, name, value, *, status="finished", weights="best", train=None, linked=False, **more):
    folder = sweep / name
    (folder / "checkpoints").mkdir(parents=True)
    best = folder / "checkpoints" / "best.safetensors"
    last = folder / "checkpoints" / "last.safetensors"
    best.write_bytes(b"best")
    os.link(best, last) if linked else last.write_bytes(b"last")
    train = {"keep": None} if train is None else train
    monitor = more.get("monitor", "val_accuracy")
    write = {
        "job.json": {"run_id": "0" * 8, "overrides": [], "plugins": {}, "config": {"train": train}},
        "status.json": {"status": status},
        "metrics.json": {
            "best": {"monitor": monitor, "value": value, "epoch": 1},
            "weights": weights,
            "validation": {monitor.removeprefix("val_"): more.get("last", value)},
        },
    }
    for file, content in write.items():
        (folder / file).write_text(json.dumps(content))
    return folder


def files(*folders):
    return [sorted(p.stem for p in each.glob("checkpoints/*")) for each in folders]


BOTH = ["best", "last"]


def test_both_files_stay_in_the_best_job_alone(tmp_path):
    jobs = [job(tmp_path, f"job{i}", value) for i, value in enumerate([0.5, 0.9, 0.7])]
    second = SecondFiles(jobs)
    second.ended(jobs[0])  # the others have finished meanwhile
    assert files(*jobs) == [["best"], BOTH, ["best"]]
    better = job(tmp_path, "job3", 0.95, weights="last")
    second.ended(better)
    assert files(*jobs, better) == [["best"], ["best"], ["best"], BOTH]
    SecondFiles([*jobs, better]).finish()
    assert files(better) == [BOTH]


def test_the_best_job_has_the_best_weights_that_a_run_uses(tmp_path):
    good = job(tmp_path, "good", 0.8, weights="last")
    lucky = job(tmp_path, "lucky", 0.9, weights="last", last=0.6)  # an epoch that is not used
    SecondFiles([good, lucky]).finish()
    assert files(good, lucky) == [BOTH, ["last"]]


def test_a_sweep_that_was_killed_ends_as_one_that_was_not(tmp_path):
    values = [0.5, 0.9, 0.9, 0.2]
    ends = []
    for name, ended in (("straight", [0, 1, 2, 3]), ("killed", [2]), ("other order", [3, 2, 1, 0])):
        jobs = [job(tmp_path / name, f"job{i}", value) for i, value in enumerate(values)]
        second = SecondFiles(jobs)
        for i in ended:
            second.ended(jobs[i])
        assert files(jobs[1], jobs[2]) == [BOTH, BOTH]  # equally good
        SecondFiles(jobs).finish()
        SecondFiles(jobs).finish()  # again: nothing changes
        ends.append(files(*jobs))
    assert ends == [[["best"], BOTH, ["best"], ["best"]]] * 3


def test_a_job_that_was_killed_as_it_finished_keeps_what_it_chose(tmp_path):
    """Its status is written before anything is deleted, and no sweep runs a finished job again."""
    jobs = [job(tmp_path, f"job{i}", 0.5, train={"keep": k.value}) for i, k in enumerate(Keep)]
    default = job(tmp_path, "default", 0.5)
    running = job(tmp_path, "running", 0.9, status="running", train={"keep": "none"})
    for folder in (*jobs, default, running):
        state = folder / "checkpoints" / "step-00000008"
        state.mkdir()
        (state / "state.json").write_text("{}")
    SecondFiles([*jobs, default, running]).finish()
    kept = {"both": BOTH, "best": ["best"], "last": ["last"], "none": []}
    assert files(*jobs) == [kept[k.value] for k in Keep]
    assert files(default, running) == [BOTH, [*BOTH, "step-00000008"]]


KILLED = """
import sys
from pathlib import Path
from xferlab.sweeps.disk import SecondFiles
print("ready", flush=True)
SecondFiles([Path(each) for each in sys.argv[1:]]).finish()
"""


@pytest.mark.slow
def test_killed_as_it_thins_the_sweep_loses_no_scored_file(tmp_path):
    """The command alone is killed, at many moments; typed again it ends as one that was not."""
    values = [(i * 7 % 50) / 50 for i in range(200)]
    jobs = [job(tmp_path, f"job{i:03}", value) for i, value in enumerate(values)]
    best = jobs[values.index(max(values))]
    partly = 0
    for milliseconds in range(0, 400, 10):
        command = [sys.executable, "-c", KILLED, *map(str, jobs)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(milliseconds / 1000)
        process.kill()
        process.communicate()
        kept = files(*jobs)
        assert all("best" in names for names in kept)  # what the scores are of
        assert files(best) == [BOTH]
        partly += 1 < sum(names == BOTH for names in kept) < len(jobs)
        for folder in jobs:
            (folder / "checkpoints" / "last.safetensors").write_bytes(b"last")
    assert partly > 1
    SecondFiles(jobs).finish()
    assert files(*jobs) == [BOTH if each == best else ["best"] for each in jobs]


def test_of_a_loss_the_smallest_is_the_best_and_the_scored_file_stays(tmp_path):
    jobs = [
        job(tmp_path, f"job{i}", value, monitor="val_loss", weights="last")
        for i, value in enumerate([0.5, 0.2])
    ]
    SecondFiles(jobs).finish()
    assert files(*jobs) == [["last"], BOTH]


def test_what_is_left_alone(tmp_path):
    best = job(tmp_path, "best", 0.99)
    others = [
        job(tmp_path, "chosen", 0.1, train={"keep": "both"}),
        job(tmp_path, "older", 0.1, train={}),  # of a version without train.keep
        job(tmp_path, "failed", 0.1, status="failed"),
        job(tmp_path, "equal", 0.1, linked=True),  # one file with two names takes no disk
        job(tmp_path, "damaged", 0.1),
        job(tmp_path, "without", None),
    ]
    (tmp_path / "damaged" / "metrics.json").write_text("{")
    second = SecondFiles([best, *others])
    second.ended(best)
    second.finish()
    assert files(best, *others) == [BOTH] * 7


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (None, BOTH),
        (Keep.both, BOTH),
        (Keep.best, ["best"]),
        (Keep.last, ["last"]),
        (Keep.none, []),
    ],
)
def test_a_run_keeps_what_it_chooses(tmp_path, keep, left):
    folder = job(tmp_path, "run", 0.5)
    for _ in range(2):  # killed in between, and run again
        delete_unkept(folder, keep)
        assert files(folder) == [left]


def test_the_only_weights_stay_whatever_they_are(tmp_path):
    folder = job(tmp_path, "run", None)
    (folder / "checkpoints" / "best.safetensors").unlink()  # no finite score: no best epoch
    delete_unkept(folder, Keep.best)
    assert files(folder) == [["last"]]


def test_the_disk_is_estimated_from_the_checkpoint(tmp_path):
    model = {"name": "encoder", "checkpoint": "bundled:bert"}
    assert weight_bytes({"name": "no_such"}) is None
    size = weight_bytes(model)
    assert 4 * 590_976 <= size < 4 * 610_000  # its own head is in the file too
    config = {"model": model, "train": {"keep": None}}
    (line,) = disk_lines([config] * 9, tmp_path / "new", 2)
    assert line.startswith("disk       about 24 MB: one file of weights a job, both of the best;")
    assert "while jobs run up to 34 MB more" in line  # 2 x 7 x 2.4 MB
    kept = {"model": model, "train": {"keep": "both"}}
    assert "about 44 MB: train.keep chooses" in disk_lines([kept] * 9, tmp_path, 1)[0]
    assert disk_lines([{"model": {"name": "no_such"}}], tmp_path, 1) == []


def test_what_no_job_trains_is_counted_once(tmp_path):
    model = {"name": "encoder", "checkpoint": "bundled:bert"}
    whole = weight_bytes(model)
    lines = {}
    for name, more in {"full": {}, "frozen": {}, "top_layers": {"blocks": 1}, "lora": {}}.items():
        config = {"model": model, "transfer": {"name": name, **more}, "train": {"keep": "best"}}
        frozen = frozen_bytes(config)
        (lines[name],) = disk_lines([config] * 9, tmp_path, 1)
        if name in ("full", "lora"):  # LoRA's are known once the network is built
            assert frozen == 0
            assert "about 22 MB: train.keep chooses;" in lines[name]
    frozen = frozen_bytes({"model": model, "transfer": {"name": "frozen"}})
    assert 0.9 * whole < frozen <= whole
    total = format_size(9 * (whole - frozen) + frozen)
    assert f"about {total}: train.keep chooses, what no job trains once;" in lines["frozen"]
    assert frozen_bytes({"model": model, "transfer": {"name": "top_layers", "blocks": 1}}) < frozen


def test_jobs_with_the_same_frozen_weights_have_one_file_of_them(tmp_path):
    digest = hashlib.sha256(b"frozen").hexdigest()
    jobs = [job(tmp_path, f"job{i}", 0.5) for i in range(4)]
    for folder in jobs:
        (folder / "checkpoints" / "frozen.safetensors").write_bytes(b"frozen")
        metrics = json.loads((folder / "metrics.json").read_text())
        metrics["sha256"] = {"frozen.safetensors": digest}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    (jobs[0] / "checkpoints" / "frozen.safetensors").write_bytes(b"broken")
    paths = [folder / "checkpoints" / "frozen.safetensors" for folder in jobs]
    second = SecondFiles(jobs)
    for folder in jobs:
        second.ended(folder)
    assert [path.stat().st_nlink for path in paths] == [1, 3, 3, 3]  # nothing to the bad one
    second.finish()
    assert [path.read_bytes() for path in paths] == [b"frozen"] * 4
    assert [path.stat().st_nlink for path in paths] == [4] * 4
