"""The pytest fixture ``check_plugin``; pytest loads this module wherever xferlab is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture(name="check_plugin")
def fixture() -> Callable[..., None]:
    """Return :func:`xferlab.testing.check_plugin`: ``check_plugin("loss", "mine")``."""
    from xferlab.testing import check_plugin

    return check_plugin
