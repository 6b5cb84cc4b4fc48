"""Makes trouble for real runs, one kind at a time, and writes down how each ends.

    python -m tests.support.fault_injection [--only "disk full"]
        [--override model=bag_of_embeddings]

Prints the table of docs/reliability.md. Every trouble is real: a small disk, a signal, a second
process, a folder that is deleted. What needs a mount is left out where mounting is not allowed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.forked_runs import RUN, attempt, differing, ended, import_heavy, result, start

WORDS = ["debug=tiny", "train.epochs=2", "optimizer.lr=1e-3", "train.checkpoint_every=3"]
"""The overrides of every run; ``--override`` adds to them."""


@dataclass
class Ending:
    """How a trouble ended.

    Attributes:
        code: exit code, or minus the signal that ended the process.
        told: the lines that say what happened.
        status: what ``status.json`` says.
        after: what became of the run in the end.
    """

    code: int
    message: str
    status: str
    after: str

    def row(self, name: str) -> str:
        return f"| {name} | {self.code} | {self.status} | {self.message} | {self.after} |"


def ending(folder: Path, code: int, wanted: dict[str, Any] | None = None) -> Ending:
    """Read what was printed and written; go on with the run and compare, if ``wanted`` is given."""
    message = message_of(folder)
    status = status_of(folder)
    after = "the files so far are whole"
    if wanted is not None:
        again = attempt([*WORDS, "--recover"], folder)
        different = differing(folder, wanted) if again == 0 else [message_of(folder)]
        after = f"differs: {different}" if different else "equals an uninterrupted run"
    return Ending(code, message, status, after)


def status_of(folder: Path) -> str:
    path = folder / RUN / "status.json"
    return json.loads(path.read_text())["status"] if path.exists() else "none"


def message_of(folder: Path) -> str:
    """Return the error's first line, or the last line that was printed."""
    lines = (folder / "output.txt").read_text().replace(str(folder), "").splitlines()
    errors = [line for line in lines if line.lstrip().startswith("error:")]
    return (errors or lines or [""])[-1].strip()


def when(folder: Path, sign: str, child: int) -> None:
    """Wait until ``sign`` is printed by the run, or until it ends."""
    for _ in range(6000):
        output = folder / "output.txt"
        if output.exists() and sign in output.read_text():
            return
        if not Path(f"/proc/{child}").exists() or "Z" in _state(child):
            return
        time.sleep(0.01)


def _state(child: int) -> str:
    return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]


def signalled(folder: Path, number: int, twice: bool = False) -> int:
    child = start(WORDS, folder)
    when(folder, "epoch 1/2", child)
    os.kill(child, number)
    if twice:
        os.kill(child, number)
    return ended(child)


def by_signal(number: int, twice: bool = False) -> Callable[[Path, dict[str, Any]], Ending]:
    return lambda folder, wanted: ending(folder, signalled(folder, number, twice), wanted)


def request_at(target: str, attribute: str, call: int) -> Callable[[], None]:
    """Return a preparation after which this process gets a SIGTERM at a call of a function."""

    def before() -> None:
        import importlib

        module = importlib.import_module(target.partition(":")[0])
        owner = getattr(module, target.partition(":")[2]) if ":" in target else module
        real = getattr(owner, attribute)
        calls = [0]

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == call:
                os.kill(os.getpid(), signal.SIGTERM)
            return real(*args, **kwargs)

        setattr(owner, attribute, counted)

    return before


def in_validation(folder: Path, wanted: dict[str, Any]) -> Ending:
    before = request_at("xferlab.training.phase_network:PhaseNetwork", "outputs", 1)
    return ending(folder, attempt(WORDS, folder, before), wanted)


def in_a_save(folder: Path, wanted: dict[str, Any]) -> Ending:
    before = request_at("xferlab.runs.checkpoints", "sha256_of", 3)
    return ending(folder, attempt(WORDS, folder, before), wanted)


def in_the_results(folder: Path, wanted: dict[str, Any]) -> Ending:
    before = request_at("xferlab.training.callbacks.tensorboard:TensorBoardLog", "on_end", 1)
    return ending(folder, attempt(WORDS, folder, before), wanted)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of ``size`` bytes at the folder for outputs."""
    outputs = folder / "outputs"
    outputs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(outputs)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(outputs)], check=True)


def remount(folder: Path, option: str) -> None:
    command = ["mount", "-o", f"remount,{option}", str(folder / "outputs")]
    subprocess.run(command, check=True)


def disk_full(folder: Path, wanted: dict[str, Any]) -> Ending:
    peaceful = sum(file.stat().st_size for file in (folder.parent / "peace" / RUN).rglob("*"))
    with small_disk(folder, int(0.7 * peaceful)):
        code = attempt(WORDS, folder)
        message = message_of(folder)
        status = status_of(folder)
        for path in (folder / RUN).glob("*.json"):
            json.loads(path.read_text())
        remount(folder, "size=100m")
        return Ending(code, message, status, ending(folder, code, wanted).after)


def read_only(folder: Path, wanted: dict[str, Any]) -> Ending:
    with small_disk(folder, 50_000_000):
        remount(folder, "ro")
        return ending(folder, attempt(WORDS, folder))


def vanished(folder: Path, wanted: dict[str, Any]) -> Ending:
    child = start(WORDS, folder)
    when(folder, "epoch 1/2", child)
    (folder / RUN).rename(folder / "gone")  # at once: the run may write into it meanwhile
    shutil.rmtree(folder / "gone", ignore_errors=True)
    found = ending(folder, ended(child))
    found.after = "nothing is written there again" if not (folder / RUN).exists() else "came back"
    return found


def out_of_memory(folder: Path, wanted: dict[str, Any]) -> Ending:
    """From the first step on the process may take 600 MB more; a tensor of the batch takes 1 GB."""

    def before() -> None:
        from xferlab.experiment import train_and_test as runner

        real = runner.fit

        def starved(*args: Any) -> Any:
            used = int(Path("/proc/self/statm").read_text().split()[0])
            limit = used * resource.getpagesize() + 600_000_000
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            return real(*args)

        runner.fit = starved

    for name, rows in (("train", 4000), ("validation", 64)):
        lines = [f"{name} {i} {'good film ' * 80},{'ab'[i % 2]}" for i in range(rows)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    data = ["data=files", "data.train=train.csv", "data.validation=validation.csv"]
    data += ["data.limit={train: 4000}", "data.max_length=128"]
    overrides = [*data, "train.batch_size=4000", "train.split_on_oom=false"]
    return ending(folder, attempt([*WORDS, *overrides], folder, before))


def not_a_number(folder: Path, wanted: dict[str, Any]) -> Ending:
    overrides = [
        "optimizer.lr=1e20",
        "train.max_grad_norm=null",
        "optimizer=sgd",
        "schedule=constant",
    ]
    return ending(folder, attempt([*WORDS, *overrides], folder))


def second_process(folder: Path, wanted: dict[str, Any]) -> Ending:
    child = start(WORDS, folder)
    when(folder, "epoch 1/2", child)
    os.kill(child, signal.SIGSTOP)
    second = attempt([*WORDS, "--recover"], folder)
    message = message_of(folder)
    os.kill(child, signal.SIGCONT)
    first = ended(child)
    equal = "the first one finishes" if first == 0 and not differing(folder, wanted) else "differs"
    return Ending(second, message.partition("(")[0].strip(), status_of(folder), equal)


def clock_backwards(folder: Path, wanted: dict[str, Any]) -> Ending:
    """What the first attempt wrote is dated years ahead of the second."""
    code = signalled(folder, signal.SIGTERM)
    status = folder / RUN / "status.json"
    status.write_text(status.read_text().replace("2026-", "2099-"))
    for path in list((folder / RUN / "tensorboard").rglob("events*")):
        parts = path.name.split(".")
        parts[3] = str(int(parts[3]) + 2_000_000_000)
        ahead = path.with_name(".".join(parts))
        path.rename(ahead)
        state = newest(folder) / "state.json"
        state.write_text(state.read_text().replace(path.name, ahead.name))
    seal(newest(folder))
    return ending(folder, code, wanted)


def newest(folder: Path) -> Path:
    return max((folder / RUN / "checkpoints").glob("step-*"))


def seal(checkpoint: Path) -> None:
    """Write a checkpoint's digests anew."""
    from xferlab.io.atomic import sha256_of, write_json
    from xferlab.runs.checkpoints import DIGESTS

    parts = {path.name for path in checkpoint.iterdir()} - {DIGESTS}
    digests = {part: sha256_of(checkpoint / part) for part in sorted(parts)}
    write_json(checkpoint / DIGESTS, digests)


def torn(how: str) -> Callable[[Path, dict[str, Any]], Ending]:
    def trouble(folder: Path, wanted: dict[str, Any]) -> Ending:
        code = signalled(folder, signal.SIGTERM)
        checkpoints = sorted((folder / RUN / "checkpoints").glob("step-*"))
        for checkpoint in checkpoints[-1:] if how == "newest" else checkpoints:
            file = checkpoint / "state.safetensors"
            os.truncate(file, file.stat().st_size // 2)
        found = ending(folder, code, wanted)
        output = (folder / "output.txt").read_text().splitlines()
        found.message = next(line for line in output if "is damaged" in line)
        return found

    return trouble


TROUBLES: dict[str, Callable[[Path, dict[str, Any]], Ending]] = {
    "SIGINT": by_signal(signal.SIGINT),
    "SIGTERM": by_signal(signal.SIGTERM),
    "SIGUSR1 (Slurm, before its limit)": by_signal(signal.SIGUSR1),
    "SIGINT twice": by_signal(signal.SIGINT, twice=True),
    "SIGTERM in validation": in_validation,
    "SIGTERM while a checkpoint is written": in_a_save,
    "SIGTERM while the results are written": in_the_results,
    "disk full": disk_full,
    "read-only folder": read_only,
    "the folder is deleted on the way": vanished,
    "out of memory in a step": out_of_memory,
    "a loss that is no number": not_a_number,
    "a second process on the folder": second_process,
    "the clock goes backwards": clock_backwards,
    "the newest checkpoint is torn": torn("newest"),
    "both checkpoints are torn": torn("both"),
}
NEEDS_MOUNT = {"disk full", "read-only folder"}


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        mount = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True)
        if mount.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return mount.returncode == 0


def main() -> int:
    """Make every trouble in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=TROUBLES, action="append")
    parser.add_argument("--override", action="append", default=[], help="for every run")
    options = parser.parse_args()
    WORDS.extend(options.override)
    import_heavy()
    with tempfile.TemporaryDirectory(prefix="trouble-") as folder:
        print_table(Path(folder), options.only or list(TROUBLES))
    return 0


def print_table(folder: Path, names: Sequence[str]) -> None:
    """Make the named troubles in ``folder`` and print a row of the table for each."""
    peace = folder / "peace"
    peace.mkdir()
    assert attempt(WORDS, peace) == 0, (peace / "output.txt").read_text()
    wanted = result(peace)
    print("| trouble | exit code | status | what is told | and then |\n|---|---|---|---|---|")
    for name in names:
        if name in NEEDS_MOUNT and not may_mount():
            print(f"| {name} | | | not tried: no mount is allowed here | |", flush=True)
            continue
        own = folder / name.replace(" ", "_").replace("(", "").replace(")", "")
        own.mkdir()
        print(TROUBLES[name](own, wanted).row(name), flush=True)


if __name__ == "__main__":
    sys.exit(main())
