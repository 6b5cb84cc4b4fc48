"""Progress of a download in a log: at once, with the time left."""

from __future__ import annotations

import logging
import time

from xferlab.models import hub_transfer


def test_the_first_line_comes_after_a_second_and_says_how_long_it_takes(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with hub_transfer._Progress(total=400_000_000, initial=100_000_000, desc="w.bin") as progress:
        for _ in range(12):
            now[0] += 0.5
            progress.update(10_000_000)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "w.bin: 120 MB of 400 MB, 20 MB/s, 14 s left",
        "w.bin: 220 MB of 400 MB, 20 MB/s, 9 s left",
    ]
