"""The files for containers and conda: they bring what the package is made of, and lint."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = ROOT / "containers/Dockerfile"
APPTAINER = ROOT / "containers/xferlab.def"
CONDA = ROOT / "containers/environment.yml"
HADOLINT = shutil.which("hadolint")


def copied_by_docker() -> set[str]:
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE.read_text(), re.M)
    return {name.removeprefix("./") for line in lines for name in line.split()[:-1]}


def copied_by_apptainer() -> set[str]:
    files = APPTAINER.read_text().partition("%files\n")[2].partition("\n\n")[0]
    return {line.split()[0] for line in files.splitlines()}


def needed() -> set[str]:
    """Return what an installation from a clone reads."""
    project = PROJECT["project"]
    folders = set(PROJECT["tool"]["setuptools"]["package-dir"].values())
    files = {
        "pyproject.toml",
        "setup.py",
        "requirements.lock",
        project["readme"],
        *project["license-files"],
    }
    return folders | files


def test_an_image_has_every_file_of_the_package():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert copied_by_docker() == copied_by_apptainer() == allowed == needed()
    assert all((ROOT / name).exists() for name in needed())


def test_they_have_one_version_of_python_and_extras_that_exist():
    python = re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE.read_text(), re.M)
    python += re.findall(r"^From: python:([\d.]+)-", APPTAINER.read_text(), re.M)
    conda = yaml.safe_load(CONDA.read_text())["dependencies"]
    python.append(conda[0].removeprefix("python="))
    assert set(python) == {"3.11"}
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    texts = DOCKERFILE.read_text() + APPTAINER.read_text()
    named = {x for each in re.findall(r"(?i)extras=([a-z,]+)", texts) for x in each.split(",")}
    assert named == {"cuda", "onnx", "slurm"}
    assert named <= PROJECT["project"]["optional-dependencies"].keys()


def test_conda_installs_the_pinned_packages_and_the_clone():
    (lines,) = [each["pip"] for each in yaml.safe_load(CONDA.read_text())["dependencies"][2:]]
    places = [CONDA.parent / line.split()[1] for line in lines]
    assert [place.resolve() for place in places] == [ROOT / "requirements.lock", ROOT]


@pytest.mark.skipif(not HADOLINT, reason="hadolint is not installed")
def test_the_dockerfile_lints():
    done = subprocess.run([str(HADOLINT), str(DOCKERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
