"""Real runs that are killed, signalled and starved: a bounded sample of two commands beside it.

``python -m tests.support.torture --kills 200`` and ``python -m tests.support.fault_injection`` run
all of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
SAMPLE = ["disk full"]
SMALL = ["--override", "model=bag_of_embeddings"]
"""The smallest network: the encoder is not the subject, and the long forms have it."""


def printed(module: str, *overrides: str) -> str:
    command = [sys.executable, "-m", f"tests.support.{module}", *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(text: str) -> dict[str, str]:
    """Return the lines of a table of troubles by their first cell."""
    lines = [line for line in text.splitlines() if re.match(r"\| .* \| -?\d* \|", line)]
    return {line.split("|")[1].strip(): line for line in lines}


def check(names: list[str], *words: str) -> None:
    only = [word for name in names for word in ("--only", name)]
    found = rows(printed("fault_injection", *only, *words))
    documented = rows(PAGE.read_text())
    assert set(names) == set(found)
    for name, row in found.items():
        assert "not tried" in row or row == documented[name]


def test_killed_runs_go_on_and_equal_one_that_was_left_alone():
    found = printed("torture", "--kills", "2", "--scenarios", "head_first", *SMALL)
    kills = re.search(r"(\d+) kills, 0 runs differ", found)
    assert kills
    assert int(kills[1]) >= 2


@pytest.mark.slow
def test_troubles_end_as_the_page_says():
    check(SAMPLE, *SMALL)


@pytest.mark.slow
def test_every_trouble_ends_as_the_page_says():
    check(sorted(rows(PAGE.read_text())))


@pytest.mark.slow
def test_two_hundred_kills_leave_no_difference():
    assert "kills, 0 runs differ" in printed("torture", "--kills", "200")
