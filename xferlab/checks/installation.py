"""What a training needs of the machine: packages, devices, network, folders, a short run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from xferlab.backend.device import Devices, available_cores, gpus_of_machine, way_to_use
from xferlab.formatting import format_count, format_size
from xferlab.io.folders import cache_folder
from xferlab.origin import PACKAGE
from xferlab.registry import REGISTRY

LEAST_SPACE = 5e9
"""Free bytes below which a folder of checkpoints soon is full: BERT base takes 1.3 GB a run."""
HUB_TIMEOUT = 5
"""Seconds."""
PROCESS_TIMEOUT = 300
"""Seconds: importing TensorFlow from a network file system takes minutes."""
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extra>[\w.-]+)\])?")
"""The beginning of a requirement in a package's metadata: ``tensorflow[and-cuda]``."""
DEVICES = """
import dataclasses, json
from xferlab.backend.device import find_devices
print(json.dumps(dataclasses.asdict(find_devices())))
"""


class State(Enum):
    """How a check ended."""

    ok = "ok"
    note = "note"
    failed = "failed"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        subject: what was checked, one or two words.
        state: whether a training can run: ``note`` is what may be intended.
        text: what was found.
        fix: what to do, empty where there is nothing.
    """

    subject: str
    state: State
    text: str
    fix: str = ""


def check_installation() -> Iterator[Finding]:
    """Yield findings as they are known, the slow ones last; nothing is left on the disk."""
    yield Finding("python", State.ok, f"{platform.python_version()}, {sys.executable}")
    yield Finding("xferlab", State.ok, f"{importlib.metadata.version('xferlab')}, {PACKAGE}")
    yield _check_packages()
    yield _check_extras()
    yield _check_plugins()
    yield Finding("processor", State.ok, _describe_processor())
    yield from _check_folders()
    yield _check_hub()
    yield _check_devices()
    yield _check_training()


def _check_packages() -> Finding:
    """Check that what xferlab requires is installed."""
    versions = {name: _version(name) for name, extra in _requirements() if not extra}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        fix = f"{sys.executable} -m pip install {' '.join(missing)}"
        return Finding("packages", State.failed, f"not installed: {', '.join(missing)}", fix)
    shown = ("tensorflow", "keras", "transformers", "datasets", "hydra-core", "numpy")
    return Finding("packages", State.ok, ", ".join(f"{name} {versions[name]}" for name in shown))


def _check_extras() -> Finding:
    """Say which optional features are installed."""
    needed: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra not in ("", "dev"):
            needed.setdefault(extra, []).append(name)
    missing = sorted(extra for extra, names in needed.items() if None in map(_version, names))
    found = sorted(needed.keys() - missing)
    text = ", ".join(found) or "none"
    fix = f"pip install 'xferlab[{missing[0]}]', or {', '.join(missing[1:])}" if missing else ""
    return Finding("extras", State.ok, text, fix)


def _requirements() -> Iterator[tuple[str, str]]:
    """Yield the packages that xferlab requires, each with the extra that needs it, or ""."""
    for name, of, extra in _requirements_of("xferlab"):
        yield name, extra
        for each, _, needed in _requirements_of(name) if of else ():
            if needed == of:  # tensorflow[and-cuda] is tensorflow and what its extra needs
                yield each, extra


def _requirements_of(package: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, extra and the extra that needs it of what a package requires; none is ""."""
    try:
        requirements = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for requirement in requirements:
        named = REQUIREMENT.match(requirement)
        extra = re.search(r"extra == ['\"]([\w.-]+)['\"]", requirement)
        if named:
            yield named["name"], named["extra"] or "", extra[1] if extra else ""


def _check_plugins() -> Finding:
    REGISTRY.load_announced()
    count = format_count(len(list(REGISTRY)), "plugin")
    if not REGISTRY.broken:
        return Finding("plugins", State.ok, count)
    first = REGISTRY.broken[0]
    what = f"{len(REGISTRY.broken)} cannot be used, the first: {first.what}"
    return Finding("plugins", State.failed, what, f"{first.where}: {first.fix}")


def _describe_processor() -> str:
    text = f"{format_count(available_cores(), 'core')}, {platform.machine()}"
    if "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        text += f", {format_size(memory)} of memory"
    return text


def _check_folders() -> Iterator[Finding]:
    """Check the folders that are written to."""
    from huggingface_hub import constants

    yield _check_folder("runs", Path("outputs").absolute(), "work in another folder")
    fix = "set XFERLAB_CACHE to another folder"
    try:
        yield _check_folder("cache", cache_folder(".").expanduser(), fix)
    except RuntimeError:
        yield Finding("cache", State.note, "none: this user has no home folder", fix)
    yield _check_folder("downloads", Path(constants.HF_HUB_CACHE), "set HF_HOME to another folder")


def _check_folder(subject: str, folder: Path, fix: str) -> Finding:
    """Check that a folder, or the one that it would be made in, can be written to."""
    existing = next(each for each in (folder, *folder.parents) if each.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as e:
        reason = e.strerror or type(e).__name__
        return Finding(subject, State.failed, f"{folder} cannot be written to: {reason}", fix)
    text = f"{folder}, {format_size(free)} free"
    if free < LEAST_SPACE:
        return Finding(subject, State.note, text, f"delete what is not needed there, or {fix}")
    return Finding(subject, State.ok, text)


def _check_hub() -> Finding:
    """Ask the Hub for an answer, whichever it is."""
    import httpx2
    from huggingface_hub import constants, get_token

    endpoint = constants.ENDPOINT
    if constants.is_offline_mode():
        text = "offline by HF_HUB_OFFLINE: checkpoints and datasets come from the cache"
        return Finding("hub", State.note, text)
    try:
        httpx2.head(endpoint, timeout=HUB_TIMEOUT)
    except (httpx2.HTTPError, OSError, ValueError) as e:
        fix = "files and checkpoints on this machine need no Hub; HF_ENDPOINT names another server"
        return Finding("hub", State.note, f"{endpoint} cannot be reached: {e}", fix)
    token = "with a token" if get_token() else "without a token: public repositories only"
    return Finding("hub", State.ok, f"{endpoint} answers, {token}")


def _check_devices() -> Finding:
    """Compare the GPUs that TensorFlow uses with those of the machine."""
    done, error = _run([sys.executable, "-c", DEVICES])
    if done is None:
        fix = f"{sys.executable} -c 'import tensorflow' shows the whole error"
        return Finding("tensorflow", State.failed, error, fix)
    devices = Devices(**json.loads(done.splitlines()[-1]))
    if devices.gpus:
        return Finding("gpu", State.ok, ", ".join(devices.gpus))
    present = gpus_of_machine()
    if not present:
        return Finding("gpu", State.note, "none on this machine; training runs on the processor")
    text = f"TensorFlow does not see {', '.join(present)}: training runs on the processor"
    return Finding("gpu", State.failed, text, way_to_use(devices))


def _check_training() -> Finding:
    """Train the bundled model for an epoch in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="xferlab-doctor-") as folder:
        began = time.monotonic()
        command = [sys.executable, "-m", "xferlab", "debug=tiny", "hydra.run.dir=run"]
        done, error = _run(command, Path(folder))
        seconds = time.monotonic() - began
        if done is None:
            fix = "python -m xferlab debug=tiny shows the whole error"
            return Finding("training", State.failed, error, fix)
    return Finding("training", State.ok, f"an epoch of the bundled model in {seconds:.0f} s")


def _run(command: list[str], folder: Path | None = None) -> tuple[str | None, str]:
    """Run a process; return its output, None if it fails, and the last line of its errors."""
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "XFERLAB_CACHE": str(folder or ""),
    }
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {PROCESS_TIMEOUT} s"
    if done.returncode == 0:
        return done.stdout, ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return None, next((line for line in lines if line.startswith("error:")), (lines or ["?"])[-1])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
