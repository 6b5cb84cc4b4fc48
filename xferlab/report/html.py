"""``report.html``: one file that needs nothing else, neither a network nor a script."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.escaping import shorten
from xferlab.report.analysis import Analysis
from xferlab.report.charts import charts_of
from xferlab.report.comparison import Comparison, describe_test
from xferlab.report.confusion import ConfusionTable, confusion_of
from xferlab.report.cost import describe_cost
from xferlab.report.failures import Failure, failures_of
from xferlab.report.html_tables import HtmlTable, jobs_table, label_errors_table, settings_table
from xferlab.report.importance import Importance
from xferlab.report.out_of_fold import OutOfFold
from xferlab.report.settings import Report
from xferlab.report.svg import render_chart
from xferlab.report.tables import (
    describe_data,
    describe_simple_models,
    describe_weights,
    format_mean_sd,
    format_setting,
    format_status_counts,
    name_of,
    task_name,
)
from xferlab.report.training_setup import TrainingSetup
from xferlab.sweeps.job_state import FINISHED

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
MAX_FAILURES = 100
MAX_MISLABELLED = 100


@dataclass(frozen=True)
class Card:
    """One of the boxes at the top: what it is about, its value, and a line below."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class FoldSection:
    """What the page shows of out-of-fold predictions: lines, and labels that are probably wrong."""

    summary: str
    errors_summary: str
    errors: HtmlTable | None


@dataclass(frozen=True)
class Section:
    """What the page shows of the jobs of one task, score and data; see ``section.html``."""

    heading: str
    summary: str
    cards: Sequence[Card]
    settings: HtmlTable | None
    repeats: str
    notes: Sequence[str]
    charts: Sequence[dict[str, Any]]
    confusion: ConfusionTable | None
    folds: FoldSection | None
    importance: Importance | None
    setup: TrainingSetup
    failures: Sequence[tuple[str, Failure]]
    more_failures: int
    jobs: HtmlTable


def render_page(analyses: Sequence[Analysis]) -> str:
    """Return the whole page; a section for each task and monitored score.

    The page forbids itself every connection and every script but its own, which it names by its
    SHA-256: a text that got through unescaped would still not run.
    """
    first = analyses[0].report
    return render_template(
        "page.html",
        names=[folder.name or folder for folder in first.folders],
        sections=[_section(each, is_only=len(analyses) == 1) for each in analyses],
        left_out=first.left_out,
    )


def render_template(name: str, **values: Any) -> str:
    """Return a page of its own: style, script and date are added to the values."""
    from markupsafe import Markup

    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        _environment()
        .get_template(name)
        .render(
            policy=Markup(policy),
            style=Markup(style),
            script=Markup(script),
            now=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            **values,
        )
    )


@functools.cache
def _environment() -> Environment:
    """Return the templates; every value in them is shortened and escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else shorten(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _section(analysis: Analysis, *, is_only: bool) -> Section:
    report = analysis.report
    comparison = analysis.comparison
    failures = failures_of(report)
    return Section(
        heading="" if is_only else f"{task_name(report) or 'jobs'}: {report.monitor}",
        summary=_summary(report),
        cards=_cards(report, comparison),
        settings=settings_table(report, comparison),
        repeats=report.repeats if any(len(each.jobs) > 1 for each in report.settings) else "",
        notes=_comparison_notes(comparison),
        charts=_rendered_charts(report),
        confusion=_confusion(report),
        folds=None if analysis.folds is None else _folds(analysis.folds),
        importance=analysis.importance,
        setup=analysis.setup,
        failures=[(_setting_of(report, failure), failure) for failure in failures[:MAX_FAILURES]],
        more_failures=max(0, len(failures) - MAX_FAILURES),
        jobs=jobs_table(report),
    )


def _folds(found: OutOfFold) -> FoldSection:
    summary = found.describe()
    errors = label_errors_table(found, MAX_MISLABELLED)
    return FoldSection(summary[:1].upper() + summary[1:], found.describe_errors(), errors)


def _summary(report: Report) -> str:
    task = task_name(report)
    direction = "higher" if report.mode == "max" else "lower"
    parts = [format_status_counts(report)]
    if task:
        parts.append(f"task {task.replace('_', ' ')}")
    parts.append(f"chosen by {report.monitor}, {direction} is better")
    weights = describe_weights(report)
    return "; ".join([*parts, *([weights] if weights else []), *describe_data(report)])


def _cards(report: Report, comparison: Comparison | None) -> list[Card]:
    """Return what matters most: the best setting, whether it is better, what it cost."""
    cards = []
    if report.best:
        scores = {report.monitor: report.best.best}
        scores |= {f"test {name}": e for name, e in report.best.test.items() if name != "loss"}
        detail = ", ".join(f"{name} {format_mean_sd(each)}" for name, each in scores.items())
        name = format_setting(report.best.values) or name_of(report.best)
        cards.append(Card("best setting", name, detail))
    simple, _, models = describe_simple_models(report).partition(": ")
    if models:
        cards.append(Card("simple models", simple, models))
    if comparison and comparison.others:
        real = sum(each.is_significant for each in comparison.others)
        value = f"{real} of {len(comparison.others)}"
        detail = f"at p < 0.05 by {comparison.split} {comparison.score}"
        cards.append(Card("settings that differ from the best", value, detail))
    statuses = format_status_counts(report).partition(": ")[2]
    cards.append(Card("jobs", statuses, f"{len(report.jobs)} in all"))
    time, _, steps = describe_cost(report.jobs).partition(" of training, ")
    cards.append(Card("training time", time, steps))
    return cards


def _comparison_notes(comparison: Comparison | None) -> list[str]:
    """Return sentences, without their full stop, on how the settings were compared."""
    if comparison is None:
        return []
    notes = [describe_test(comparison), comparison.note[:1].upper() + comparison.note[1:]]
    if comparison.others:
        score = f"{comparison.split} {comparison.score}"
        notes.insert(0, f"The difference is the best's {score} minus this one's")
        if comparison.split == "validation":
            notes.append("The best was chosen by these very scores, so p is a little too small")
    return [note.rstrip(".") for note in notes if note]


def _rendered_charts(report: Report) -> list[dict[str, Any]]:
    from markupsafe import Markup

    return [
        {"title": chart.title, "legend": chart.legend, "svg": Markup(render_chart(chart))}
        for chart in charts_of(report)
    ]


def _confusion(report: Report) -> ConfusionTable | None:
    """Return the confusion of the best setting's finished runs, where they have left it."""
    jobs = report.best.jobs if report.best else []
    finished = [job for job in jobs if job.state.status == FINISHED]
    return confusion_of(finished) if finished else None


def _setting_of(report: Report, failure: Failure) -> str:
    return format_setting({key: failure.job.setting(key) for key in report.keys})
