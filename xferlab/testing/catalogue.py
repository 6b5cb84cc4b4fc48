"""The catalogue: every plugin with its summary, source, fields, and what the checks say."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xferlab.config.reference import settings_of_plugin
from xferlab.entry_points import PLUGINS, package_of
from xferlab.errors import printable
from xferlab.escaping import markdown, markdown_table
from xferlab.formatting import format_path
from xferlab.groups import GROUPS
from xferlab.origin import is_own_plugin
from xferlab.progress import ItemProgress
from xferlab.registry import REGISTRY, Entry
from xferlab.report import html_tables
from xferlab.report.data_page import Part
from xferlab.report.html import render_template
from xferlab.report.html_tables import Cell, HtmlTable
from xferlab.testing.plugin_checks import CHECKS, report_of

NAME = r"[A-Z][\w'-]+"
PAPER = re.compile(
    rf"(?!After|As|In|See|The){NAME}(?: {NAME})*(?: (?:&|and) {NAME}(?: {NAME})*| et al\.)?,?"
    r" (?:19|20)\d\d"
)
"""A source as docstrings name it: ``Lin et al. 2017``."""
TITLES = ("name", "what it is", "source", "fields", "checks", "from")
STAGES = dict(zip(CHECKS, ("source", "values", "built", "trained", "resumed"), strict=True))
INTRODUCTION = (
    "Every plugin: its summary, the paper that its docstring names, its fields with their defaults,"
    " what the contract checks say (docs/plugins.md), and where it is from. The checks have five"
    " stages, source, values, built, trained and resumed; the last one that found nothing is named,"
    " with the reason where it was the last, or else what is wrong. Without --train they end at"
    " values."
)
CSS = ("", "text", "", "text", "wide", "")
"""Classes of the cells of a page of HTML."""


@dataclass(frozen=True)
class Row:
    """A plugin of the catalogue.

    Attributes:
        group: of the plugin.
        cells: as :data:`TITLES` calls them.
    """

    group: str
    cells: tuple[str, ...]


def catalogue(entries: Iterable[Entry], *, train: bool = False) -> list[Row]:
    """Return a row for each plugin.

    Args:
        entries: of the registry.
        train: also build and train each, which takes seconds a plugin, with lines of progress.
    """
    entries = list(entries)
    if not train:
        return [_row(entry, train=False) for entry in entries]
    rows = []
    with ItemProgress("checks", len(entries)) as progress:
        for entry in entries:
            progress.begin(f"{entry.group}={entry.name}")
            rows.append(_row(entry, train=True))
    return rows


def _row(entry: Entry, *, train: bool) -> Row:
    cells = (
        entry.name,
        entry.summary,
        ", ".join(papers_of(entry)),
        _fields(entry),
        _checked(entry, train),
        source_of(entry),
    )
    return Row(entry.group, cells)


def papers_of(entry: Entry) -> list[str]:
    """Return the sources that a plugin's docstring names.

    >>> papers_of(REGISTRY.get("loss", "focal"))
    ['Lin et al. 2017']
    """
    text = " ".join((inspect.getdoc(entry.cls) or "").split())
    return list(dict.fromkeys(found.replace(",", "") for found in PAPER.findall(text)))


def source_of(entry: Entry) -> str:
    """Return the distribution of a plugin, or its file where it is a local one."""
    path = Path(entry.origin.rpartition(":")[0])
    if is_own_plugin(path):
        return "xferlab"
    package = entry.cls.__module__.partition(".")[0]
    for point in importlib.metadata.entry_points(group=PLUGINS):
        if point.module.partition(".")[0] == package:
            return package_of(point)
    return format_path(path)


def _fields(entry: Entry) -> str:
    """Return the fields with their defaults: ``gamma=2.0, class_weight=null``."""
    settings = settings_of_plugin(entry)
    return ", ".join(f"{each.key.rpartition('.')[2]}={each.default}" for each in settings)


def _checked(entry: Entry, train: bool) -> str:
    """Return how far the checks went, or the first finding."""
    report = report_of(entry.group, entry.name, train=train)
    if report.findings:
        return report.findings[0].what
    stage = STAGES[report.checks[-1]]
    return f"{stage}; {report.skipped}" if report.skipped else stage


def as_markdown(rows: Iterable[Row]) -> str:
    """Return the catalogue as a page of Markdown."""
    parts = ["# Catalogue", "", INTRODUCTION, ""]
    for group, several in _by_group(rows):
        parts += [f"## {group}: {GROUPS[group].summary}", ""]
        parts += [
            markdown_table(TITLES, [[*map(markdown, row.cells)] for row in several]).strip(),
            "",
        ]
    return "\n".join(parts)


def as_html(rows: Iterable[Row]) -> str:
    """Return the catalogue as a page of HTML, which needs no other file."""
    sections = []
    for group, several in _by_group(rows):
        table = HtmlTable(group, TITLES, [html_tables.Row(_cells(row), False) for row in several])
        sections.append(Part(f"{group}: {GROUPS[group].summary}", "", table, None))
    return render_template(
        "sections.html",
        command="catalogue",
        title="Plugins",
        summary=INTRODUCTION,
        cards=[],
        notes=[],
        sections=sections,
    )


def _cells(row: Row) -> list[Cell]:
    from markupsafe import Markup

    kinds = ("code", *[""] * (len(TITLES) - 1))
    texts = [Markup.escape(printable(cell)) for cell in row.cells]  # none is cut
    return [Cell(*each) for each in zip(texts, row.cells, CSS, kinds, strict=True)]


def _by_group(rows: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    rows = list(rows)
    for group in GROUPS:
        several = [row for row in rows if row.group == group]
        if several:
            yield group, several


def every_entry() -> list[Entry]:
    """Return every plugin, those of installed packages loaded."""
    REGISTRY.load_announced()
    return list(REGISTRY)
