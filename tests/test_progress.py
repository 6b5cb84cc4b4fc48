"""Lines of progress: at once, then now and then, with the time left of the file that is read."""

from __future__ import annotations

import time

import pytest

from xferlab.progress import ItemProgress, Pace, RowProgress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_rows_have_a_line_every_five_seconds_and_each_file_its_own_time_left(clock, capsys):
    with RowProgress("data") as progress:
        progress.begin("reading a\x1b.csv")
        for step in range(20):
            clock[0] += 1.0
            progress.move(1000 * (step + 1), (step % 10 + 1) / 10)
    assert capsys.readouterr().err.splitlines() == [
        "data       reading a\\x1b.csv",
        "data       reading a\\x1b.csv, 5,000 rows, 1,000 a second, 5 s left",
        "data       reading a\\x1b.csv, 10,000 rows, 1,000 a second, 0 s left",
        "data       reading a\\x1b.csv, part 2: 15,000 rows, 1,000 a second, 5 s left",
        "data       reading a\\x1b.csv, part 2: 20,000 rows, 1,000 a second, 0 s left",
    ]


def test_a_part_that_has_just_begun_has_no_rate(clock, capsys):
    with RowProgress() as progress:
        progress.move(9000, 0.9)
        clock[0] += 5.0
        progress.move(5000, 0.1)
    assert capsys.readouterr().err == "part 2: 5,000 rows\n"


def test_the_first_of_several_items_has_a_line_at_once_and_later_ones_the_time_left(clock, capsys):
    with ItemProgress("checks", 4) as progress:
        for item in ("loss=a", "loss=b", "loss=c\x1b", "loss=d"):
            progress.begin(item)
            clock[0] += 3.0
    assert capsys.readouterr().err.splitlines() == [
        "checks     loss=a, 1 of 4",
        "checks     loss=c\\x1b, 3 of 4, 6 s left",
    ]


def test_without_a_fraction_there_is_no_time_left(clock, capsys):
    with RowProgress() as progress:
        clock[0] += 5.0
        progress.move(50, None)
    assert capsys.readouterr().err == "50 rows, 10 a second\n"


def test_the_first_line_may_come_early(clock):
    pace = Pace(every=5.0, first=1.0)
    due = []
    for _ in range(13):
        clock[0] += 1.0
        due.append(pace.is_due())
    assert [second for second, is_due in enumerate(due, 1) if is_due] == [1, 6, 11]
    assert (pace.rate(26), pace.left(13, 39)) == (2.0, "26 s left")
