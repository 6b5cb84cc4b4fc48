"""What a process has learned of plugins and configs, and how to forget it again."""

from __future__ import annotations

import contextlib
import copy
import os
import sys
import tempfile
from collections.abc import Iterator

from hydra.core.config_store import ConfigStore

from xferlab import discovery
from xferlab.registry import REGISTRY


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
            file = str(getattr(sys.modules[name], "__file__", None))
            if name.startswith("xferlab_plugins.") or file.startswith(tempfile.gettempdir()):
                del sys.modules[name]
