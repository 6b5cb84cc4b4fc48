"""Sphinx's settings: the Markdown pages of this folder, and one made from the code for each group.

pip install 'xferlab[docs]' && sphinx-build -W docs site

Neither the build nor the pages ask the network for anything.
"""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.config.reference import SECTIONS, Setting, section_settings, settings_of_plugin
from xferlab.discovery import load_plugins
from xferlab.groups import GROUPS, Group
from xferlab.registry import REGISTRY, Entry

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "xferlab"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "xferlab"
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
exclude_patterns = ["site", "_build"]
suppress_warnings = ["myst.header"]  # a page may begin its sections at any level
myst_heading_anchors = 3
REFERENCE = Path(__file__).parent / "reference"


def setup(app: Sphinx) -> None:
    """Write the reference before the pages are read."""
    app.connect("builder-inited", lambda _: write_reference(REFERENCE))


def write_reference(folder: Path) -> None:
    """Write a page for each group of plugins and for each section of settings."""
    load_plugins(Path("/nonexistent"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, group in GROUPS.items():
        (folder / f"{name}.md").write_text(group_page(group), encoding="utf-8")
    for name in SECTIONS:
        (folder / f"{name}.md").write_text(section_page(name), encoding="utf-8")


def group_page(group: Group) -> str:
    """Return the page of a group: its plugins, each with its docstring and its fields."""
    entries = [entry for entry in REGISTRY if entry.group == group.name]
    summary = f"{group.summary[:1].upper()}{group.summary[1:]}."
    return "\n\n".join([f"# {group.name}", summary, *map(plugin_part, entries), ""])


def plugin_part(entry: Entry) -> str:
    """Return a plugin's section; its docstring up to the attributes, which the table has."""
    text = (inspect.getdoc(entry.cls) or "").partition("\nAttributes:")[0].rstrip()
    settings = list(settings_of_plugin(entry))
    table = settings_table(settings) if settings else "It has no fields."
    return f"## {entry.group}={entry.name}\n\n{text}\n\n{table}"


def section_page(name: str) -> str:
    """Return the page of a section of settings, such as ``train``."""
    settings = list(section_settings(name))
    return f"# {name}\n\n{settings_table(settings)}\n"


def settings_table(settings: list[Setting]) -> str:
    """Return a table of keys, types, defaults and what they do."""
    rows = [
        f"| `{each.key}` | {_cell(each.type)} | `{each.default}` | {_cell(each.text)} |"
        for each in settings
    ]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")
