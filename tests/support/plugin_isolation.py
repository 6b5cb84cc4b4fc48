"""What a process has learned of plugins and configs, and how to forget it again."""

from __future__ import annotations

import contextlib
import copy
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hydra.core.config_store import ConfigStore

from xferlab import discovery
from xferlab.registry import REGISTRY

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def isolated_plugins() -> Iterator[None]:
    """Take back whatever is registered, imported as a plugin and published in the block."""
    store = ConfigStore.instance()
    nodes = copy.deepcopy(ConfigStore.instance().repo)
    before = {name: copy.copy(value) for name, value in vars(REGISTRY).items()}
    loaded = set(discovery._loaded)
    presets = list(discovery.presets)
    folders = os.environ.pop(discovery.FOLDERS, None)
    modules = set(sys.modules)
    try:
        yield
    finally:
        store.repo = nodes
        vars(REGISTRY).update(before)
        discovery._loaded.clear()
        discovery._loaded.update(loaded)
        discovery.presets[:] = presets
        os.environ.pop(discovery.FOLDERS, None)
        if folders is not None:
            os.environ[discovery.FOLDERS] = folders
        for name in set(sys.modules) - modules:
            if name.startswith("xferlab_plugins.") or _is_temporary(name):
                del sys.modules[name]


def _is_temporary(module: str) -> bool:
    """Return whether a test wrote the module's file; the project itself may be in that folder."""
    file = str(getattr(sys.modules[module], "__file__", None))
    kept = (sys.prefix, str(ROOT))
    return file.startswith(tempfile.gettempdir()) and not file.startswith(kept)
