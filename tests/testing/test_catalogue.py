"""The catalogue in docs is that of the code, and other plugins stand in a page of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main
from xferlab.cli.new import plugin_files
from xferlab.discovery import load_plugins
from xferlab.registry import REGISTRY
from xferlab.testing.catalogue import TITLES, as_markdown, catalogue, papers_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"
load_plugins(Path("/nonexistent"))
ENTRIES = list(REGISTRY)
NEEDS_A_PACKAGE = """    def check(self, logged):
        from xferlab import ConfigError

        raise ConfigError("it needs the package nowhere", where="callback.mine", fix="install it")

"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated_plugins():
        yield tmp_path


def test_the_page_in_docs_is_that_of_the_code():
    """python -m xferlab catalogue docs/catalogue.md  writes it."""
    assert PAGE.read_text() == as_markdown(catalogue(ENTRIES))


def test_with_training_each_plugin_says_how_far_its_checks_went(workspace, capsys):
    path, text = next(iter(plugin_files("callback", "mine").items()))
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("    def build(", f"{NEEDS_A_PACKAGE}    def build("))
    load_plugins(workspace)
    names = [("loss", "cross_entropy"), ("data", "files"), ("callback", "mine")]
    rows = catalogue([REGISTRY.get(*each) for each in names], train=True)
    assert [row.cells[TITLES.index("checks")] for row in rows] == [
        "resumed",
        "source; it needs values: train=...",
        "built; it needs the package nowhere",
    ]
    assert capsys.readouterr().err.splitlines()[0] == "checks     loss=cross_entropy, 1 of 3"


def test_sources_are_found_as_docstrings_name_them():
    assert papers_of(REGISTRY.get("loss", "focal")) == ["Lin et al. 2017"]
    assert papers_of(REGISTRY.get("optimizer", "sgd")) == [
        "Robbins & Monro 1951",
        "Sutskever et al. 2013",
    ]
    assert papers_of(REGISTRY.get("loss", "cross_entropy")) == []


@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_a_page_has_local_plugins_with_what_is_wrong_with_them(name, workspace, capsys):
    for path, text in plugin_files("loss", "mine").items():
        path.parent.mkdir(parents=True)
        path.write_text(
            text.replace("penalty: weight", "weight: weight").replace("Cross-en", "<b>Cross-en")
        )
    assert main(["catalogue", name]) == 0
    assert f"written    {name}: {len(ENTRIES) + 1} plugins" in capsys.readouterr().out
    page = (workspace / name).read_text()
    assert "does not document its field penalty" in page
    assert "plugins/loss/mine.py" in page
    assert "Lin et al. 2017" in page
    assert "fold=null, windows=null" in page  # the end of the longest list of fields
    assert "| <b>" not in page
    assert "<td><b>" not in page


def test_a_page_ends_in_html_or_md(workspace, capsys):
    assert main(["catalogue", "page.pdf"]) == 2
    assert "end its name in .html or .md" in capsys.readouterr().err
