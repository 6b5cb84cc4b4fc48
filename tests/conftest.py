"""Fixtures that many tests share."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from runs_for_use import rows, runs  # noqa: F401 - fixtures: several finished runs
