"""The templates of plugins, which ``new`` copies under another name."""

from __future__ import annotations

from xferlab.origin import PACKAGE

TEMPLATES = PACKAGE / "templates"


def plugin_text(group: str, name: str) -> str:
    """Return the source of a group's template under a name of its own."""
    template = (TEMPLATES / f"{group}.py").read_text(encoding="utf-8")
    title = name.title().replace("_", "")
    return template.replace('"example"', f'"{name}"').replace("class Example", f"class {title}")
