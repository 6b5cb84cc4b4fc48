"""The report's page: whole by itself, harmless whoever wrote the runs, and fit for a screen."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import synthetic_runs
from xferlab.cli.main import main
from xferlab.cli.report import report_on, write_report
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.io.atomic import atomic_write
from xferlab.report.analysis import analyse
from xferlab.report.comparison import compare
from xferlab.report.html import render_page
from xferlab.report.settings import read_reports, report_of
from xferlab.runs.predictions import path_of

NINE = ["optimizer.lr=1e-5,3e-5,1e-4", "seed=0,1,2"]
HOSTILE = (
    "</style></td><script>alert(1)</script><img src=x onerror=alert(2)>'\"\x1b[2J\u202e|`[x](y)"
)


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def by_rate(config):
    return {1e-5: 0.72, 3e-5: 0.86, 1e-4: 0.85}[config["optimizer"]["lr"]]


def sweep(name="one", words=NINE, skill=by_rate, **more):
    return synthetic_runs.write_sweep(Path("outputs/sweeps") / name, words, skill, **more)


def page_of(*folders):
    return render_page([analyse(report, compare(report)) for report in read_reports(folders)])


class Seen(html.parser.HTMLParser):
    """The tags of a page and their attributes, and the text of its tables and headings."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def test_the_page_needs_nothing_else():
    seen = Seen(page_of(sweep()))
    assert not [tag for tag, _ in seen.tags if tag in ("link", "img", "iframe", "object", "base")]
    assert not [at for _, at in seen.tags if {"src", "href", "srcset", "action"} & set(at)]
    assert "url(" not in seen.words
    assert "@import" not in seen.words


def test_the_page_tells_settings_differences_curves_confusion_and_cost():
    seen = Seen(page_of(sweep()))
    for words in (
        "optimizer.lr",
        "3e-5",
        "worse than the best by more than chance explains",
        "do not differ significantly",
        "Holm 1979",
        "Paired bootstrap over 300 test examples",
        "3 runs together",
        "steps",
        "examples/s",
    ):
        assert words in seen.words, words
    shown = seen.words.partition("every setting that all jobs share")[0]
    assert "optimizer.weight_decay" not in shown  # is the same everywhere
    curves = [at for tag, at in seen.tags if tag == "g"]
    assert len(curves) == 1 + 3 * 9  # the score by rate, and three charts of nine jobs
    assert sum(tag == "svg" for tag, _ in seen.tags) == 4 + 2  # and the two intervals


def test_texts_from_a_run_folder_are_only_shown(capsys):
    folder = sweep(
        words=["seed=0,1,2", f"name={json.dumps('a')}"],
        skill=lambda config: 0.8 if config["seed"] else "failed",
        names=(HOSTILE, "b"),
    )
    for path in folder.glob("*/job.json"):
        job = json.loads(path.read_text())
        job["config"][HOSTILE] = {"k": f"{HOSTILE}{job['config']['seed']}"}
        path.write_text(json.dumps(job))
    failed = next(p.parent for p in folder.glob("*/status.json") if "failed" in p.read_text())
    atomic_write(failed / "error.txt", f" error: {HOSTILE}\n where: {HOSTILE}\n   fix: {HOSTILE}\n")
    shutil.move(folder, "outputs/sweeps/<img src=x onerror=alert(3)>")
    folder = Path("outputs/sweeps/<img src=x onerror=alert(3)>")
    report_on([folder])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    text = (folder / "report.html").read_text()
    seen = Seen(text)
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert not [tag for tag, _ in seen.tags if tag == "img"]
    assert not [name for _, at in seen.tags for name in at if name.startswith("on")]
    assert "alert(1)" in seen.words
    assert "\x1b" not in text + (folder / "summary.md").read_text()
    markdown = (folder / "summary.md").read_text()
    outside = re.sub(r"^    .*$", "", markdown, flags=re.MULTILINE)  # but for indented code
    assert not re.search(r"(?<!\\)<", outside)
    assert not re.search(r"(?<!\\)\[x", outside)


def test_a_script_that_got_in_would_not_run():
    text = page_of(sweep())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none';")
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]


def test_other_rows_are_not_paired():
    folder = sweep(words=["optimizer.lr=1e-5,3e-5", "seed=0,1"])
    run = next(folder.glob("*/run.json"))
    run.write_text(run.read_text().replace("a" * 64, "b" * 64))
    (report,) = read_reports([folder])
    comparison = compare(report)
    assert {each.difference.over for each in comparison.others} == {"seeds"}
    assert "scored on other test examples" in comparison.note


def test_outputs_that_do_not_give_the_score_are_not_believed():
    folder = sweep(words=["optimizer.lr=1e-5,3e-5", "seed=0,1"])
    one, two = sorted(path.parent for path in folder.glob("*/metrics.json"))[:2]
    shutil.copy(path_of(one, "test"), path_of(two, "test"))
    (report,) = read_reports([folder])
    assert "the outputs of" in compare(report).note
    path_of(two, "test").write_bytes(b"torn")
    assert f"the outputs of {two.name} cannot be read" in compare(report).note


def test_one_seed_speaks_of_the_networks_and_none_of_rows_of_nothing():
    (report,) = read_reports([sweep(words=["optimizer.lr=1e-5,3e-5"])])
    (other,) = compare(report).others
    assert other.difference.over == "examples"
    (report,) = read_reports([sweep("two", words=["optimizer.lr=1e-5,3e-5"], keep=False)])
    assert compare(report).others == []
    assert "add seeds" in compare(report).note


def test_other_tasks_and_scores_are_groups_of_their_own():
    one = sweep("one")
    two = sweep("two", ["seed=0,1"], lambda config: 0.8)
    for path in two.glob("*/run.json"):
        path.write_text(path.read_text().replace("single_label", "regression"))
    for path in two.glob("*/metrics.json"):
        path.write_text(path.read_text().replace("val_accuracy", "val_loss"))
    single = synthetic_runs.write_run(Path("outputs/runs/single"), 0.7, 5)
    reports = read_reports([one, two, Path("outputs/runs/single")])
    assert [len(report.jobs) for report in reports] == [10, 2]
    assert [report.mode for report in reports] == ["max", "min"]
    assert 0 < single < 1
    words = Seen(render_page([analyse(report, compare(report)) for report in reports])).words
    assert "regression: val_loss" in words
    target = write_report([analyse(report) for report in reports])
    groups = json.loads((target / "results.json").read_text())["groups"]
    assert [group["task"] for group in groups] == ["single_label", "regression"]


def test_a_thousand_long_jobs_make_a_page_that_a_browser_takes():
    run = Path("outputs/runs/one")
    synthetic_runs.write_run(run, 0.8, 1, keep=False)
    (report,) = read_reports([run])
    (job,) = report.jobs
    jobs = [
        replace(
            job,
            folder=run.parent / f"{number:08x}",
            config={"optimizer": {"lr": number / 7e6}, "seed": number % 3},
            score=number / 1000,
            history=[{**job.history[0], "epoch": epoch} for epoch in range(1, 301)],
        )
        for number in range(1000)
    ]
    many = report_of([run.parent], jobs)
    assert len(many.settings) == 1000
    assert len(render_page([analyse(many, compare(many))])) < 3_000_000


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
LOOK = """<script>
const frame = document.createElement("iframe");
frame.style.cssText = "border:0;height:3000px;width:WIDTHpx";
frame.srcdoc = PAGE;
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  const wide = [...page.querySelectorAll("main *")].filter((each) => !each.closest(".scroll")
    && each.getBoundingClientRect().right > root.clientWidth + 1).map((each) => each.tagName);
  const head = page.querySelector("table.sortable th button");
  if (head) head.click();
  document.title = "done";
  document.body.innerHTML = "<pre id=told>" + JSON.stringify({
    over: root.scrollWidth - root.clientWidth, wide, sorted: !!page.querySelector("[aria-sort]"),
    tips: page.querySelectorAll("[data-tip]").length}) + "</pre>";
};
document.body.append(frame);
</script>"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [390, 1400])
def test_in_a_browser_the_script_runs_and_nothing_is_wider_than_the_screen(width, tmp_path):
    text = page_of(sweep(skill=lambda c: "failed" if c["seed"] == 2 else by_rate(c)))
    # in a frame, because a window is never as narrow as a phone
    whole = LOOK.replace("WIDTH", str(width)).replace(
        "PAGE", json.dumps(text).replace("</", "<\\/").replace("<!--", "<\\!--")
    )
    atomic_write(tmp_path / "look.html", f"<!doctype html><body>{whole}</body>")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update --dump-dom"
    flags += f" --enable-logging=stderr --window-size=1500,900 --user-data-dir={tmp_path}/profile"
    done = subprocess.run(
        [CHROMIUM, *flags.split(), "--virtual-time-budget=5000", f"file://{tmp_path}/look.html"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    (printed,) = re.findall(r'<pre id="told">(.*?)</pre>', done.stdout)
    found = json.loads(printed)
    assert found["over"] <= 0
    assert found["wide"] == []
    assert found["sorted"]
    assert found["tips"] >= 4 * 6
    assert "CONSOLE" not in done.stderr, done.stderr  # neither errors nor refused scripts


def test_the_command_needs_neither_tensorflow_nor_matplotlib(capsys):
    import sys

    folder = sweep(words=["seed=0,1"], skill=lambda config: 0.8, keep=False)
    code = (
        "import sys; from xferlab.cli.main import main\n"
        f"main(['report', {str(folder)!r}])\n"
        "heavy = ('tensorflow', 'keras', 'transformers', 'datasets', 'matplotlib', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"
    assert (folder / "report.html").is_file()
    assert main(["report", str(folder)]) == 0
