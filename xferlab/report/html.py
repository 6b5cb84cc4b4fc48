"""``report.html``: one file that needs nothing else, neither a network nor a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from xferlab.escaping import html_text as text
from xferlab.report import html_sections as sections
from xferlab.report.comparison import Comparison
from xferlab.report.settings import Report
from xferlab.report.tables import counted_states, data_lines, task_of

Part = tuple[Report, Comparison | None]


def page(parts: Sequence[Part]) -> str:
    """Return the whole page; a part for each task and monitored score.

    The page forbids itself every connection and every script but its own, which it names by its
    SHA-256: a text that got through unescaped would still not run.
    """
    folder = Path(__file__).parent
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    names = ", ".join(text(each.name or each) for each in parts[0][0].folders)
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    body = "".join(_part(*part, alone=len(parts) == 1) for part in parts)
    body += sections.left_out_section(parts[0][0].left_out)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{names}</title>\n<style>{style}</style></head>\n<body><main>"
        f"<h1>{names}</h1>{body}"
        f"<footer>Written by xferlab's report on {now}. The same as tables: summary.md,"
        " results.csv and results.json beside this file.</footer>"
        f"</main>\n<script>{script}</script></body></html>\n"
    )


def _part(report: Report, comparison: Comparison | None, *, alone: bool) -> str:
    task = task_of(report)
    told = [
        counted_states(report),
        f"task {task.replace('_', ' ')}" if task else "",
        f"chosen by {report.monitor}, {'higher' if report.mode == 'max' else 'lower'} is better",
    ]
    told += data_lines(report)
    head = f"<p class=faint>{text('; '.join(each for each in told if each))}</p>"
    if not alone:
        head = f"<h2>{text(task or 'jobs')}: {text(report.monitor)}</h2>{head}"
    return head + "".join(
        [
            sections.cards(report, comparison),
            sections.settings_section(report, comparison),
            sections.charts_section(report),
            sections.confusion_section(report),
            sections.failures_section(report),
            sections.jobs_section(report),
        ]
    )
