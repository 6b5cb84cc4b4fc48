"""One origin: ``xferlab.conf`` and ``xferlab.plugins`` come from where this package does.

In a checkout both lie beside the package, and an editable install maps their names to its own
checkout. Where another copy of the package runs (``python -m xferlab`` in a second checkout, or
``PYTHONPATH``), that map would mix two versions: so the names are bound here, when the package is
imported.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent


def own_folder(name: str) -> Path:
    """Return the folder ``conf`` or ``plugins`` of this package: inside it, or beside it."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def is_own_plugin(path: Path) -> bool:
    """Return whether a file is a plugin that ships with xferlab."""
    return path.is_relative_to(own_folder("plugins"))


def _bind(name: str) -> None:
    folder = own_folder(name)
    full_name = f"{__package__}.{name}"
    spec = importlib.util.spec_from_file_location(
        full_name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or not folder.is_dir():
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    setattr(sys.modules[__package__], name, module)


for _name in ("conf", "plugins"):
    _bind(_name)
