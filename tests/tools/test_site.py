"""The documentation's site: every page is in it, and every plugin and key in its reference."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from xferlab.config.reference import all_settings
from xferlab.discovery import load_plugins
from xferlab.registry import REGISTRY

DOCS = Path(__file__).parents[2] / "docs"


def settings_of_sphinx() -> ModuleType:
    """Import docs/conf.py, as Sphinx does."""
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_index():
    listed = {line for line in (DOCS / "index.md").read_text().splitlines() if line}
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert pages - listed == set()
    assert not pages & {"search", "genindex"}  # pages that Sphinx makes itself


def test_links_between_pages_stay_in_the_site():
    """Sphinx knows no page outside of its folder."""
    links = {
        (path.name, link)
        for path in DOCS.glob("*.md")
        for link in re.findall(r"\]\(([^):]+\.md)[^)]*\)", path.read_text())
    }
    assert len(links) > 20
    assert [each for each in sorted(links) if (DOCS / each[1]).resolve().parent != DOCS] == []


def test_the_reference_has_every_plugin_and_every_key(tmp_path):
    load_plugins(Path("/nonexistent"))
    settings_of_sphinx().write_reference(tmp_path / "reference")
    text = "".join(path.read_text() for path in (tmp_path / "reference").iterdir())
    for entry in REGISTRY:
        assert f"## {entry.group}={entry.name}\n" in text
    keys = {setting.key for owner, setting in all_settings() if owner}
    assert {key for key in keys if f"| `{key}` |" not in text} == set()


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("sphinx"), reason="Sphinx is not installed")
def test_sphinx_builds_it_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
