"""What a process has learned of plugins and configs, and how to forget it again."""

from __future__ import annotations

import contextlib
import copy
import sys
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
    modules = set(sys.modules)
    try:
        yield
    finally:
        store.repo = nodes
        vars(REGISTRY).update(before)
        discovery._loaded.clear()
        discovery._loaded.update(loaded)
        for name in set(sys.modules) - modules:
            if name.startswith("xferlab_plugins."):
                del sys.modules[name]
