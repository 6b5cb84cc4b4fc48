"""The pytest fixture ``check_plugin`` and a filter, there wherever xferlab is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

OF_KERAS = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
"""Keras 3.15 under NumPy 2 says it at every conversion of a variable."""


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what Keras says at every conversion, so that a plugin's own warnings are seen."""
    config.addinivalue_line("filterwarnings", OF_KERAS)


@pytest.fixture(name="check_plugin")
def fixture() -> Callable[..., None]:
    """Return :func:`xferlab.testing.check_plugin`: ``check_plugin("loss", "mine")``."""
    from xferlab.testing import check_plugin

    return check_plugin
