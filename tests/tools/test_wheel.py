"""A wheel that is built from the sources has all of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from xferlab.origin import PACKAGE

ROOT = PACKAGE.parent
FOLDERS = {"xferlab": "xferlab", "conf": "xferlab/conf", "plugins": "xferlab/plugins"}
"""Where the wheel has each folder."""
CACHES = ("__pycache__", "*.egg-info", ".*_cache")


def test_a_wheel_has_every_file_and_setuptools_no_warning(tmp_path):
    source = tmp_path / "source"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns(*CACHES))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    sources = {
        place + path.removeprefix(folder)
        for folder, place in FOLDERS.items()
        for path in files_of(source, folder)
    }
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "-w", str(tmp_path), str(source)], capture_output=True, text=True, check=True
    )
    assert "Warning" not in done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped == sources


def files_of(root: Path, folder: str) -> set[str]:
    paths = (path for path in (root / folder).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix() for path in paths}
