"""``data``: what a data set is like, before anything is trained on it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from xferlab.cli.notes import collected_notes
from xferlab.cli.terminal import print_folded
from xferlab.compatibility import name_and_origin
from xferlab.config.compose import compose_experiment
from xferlab.config.overrides import format_for_shell
from xferlab.config.recipe import Recipe
from xferlab.contracts import TaskSpec, TextData
from xferlab.data.streaming import streaming
from xferlab.errors import ConfigError, XferlabError, printable
from xferlab.experiment.prepare import check_data_alone
from xferlab.groups import GROUPS
from xferlab.io.atomic import atomic_write
from xferlab.models.plugin_head import head_argument
from xferlab.progress import RowProgress
from xferlab.registry import REGISTRY
from xferlab.statistics.baselines import BaselineScores, constant_scores, text_scores
from xferlab.statistics.summary import Advice, DataSummary, length_advice, summary_of

NO_TOKENIZER = "its tokenizer is not known before training"


def data(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Read, count and print, and with ``--html`` write the page too."""
    if flags.multirun:
        raise ConfigError("data is of one config", where="-m", fix="leave -m out")
    if flags.html is not None:
        _refuse_place(Path(flags.html))
    with RowProgress("data") as progress:
        recipe = compose_experiment(overrides, flags.config_name).recipe
        progress.begin(f"reading {' '.join(data_words(recipe))}")
        with streaming(progress.move):
            summary = _summarise(recipe, overrides, flags.config_name, progress)
    for line in lines_of(summary):
        print_folded(line)
    if flags.html is not None:
        from xferlab.report.data_page import render_data_page

        atomic_write(Path(flags.html), render_data_page(summary, data_words(recipe)))
        print(f"saved to   {printable(flags.html)}")
    return 0


def _refuse_place(path: Path) -> None:
    """Raise ConfigError for a page that cannot be written, before anything is read."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError("the page is HTML", where=f"--html {path}", fix=f"--html {path}.html")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise ConfigError(f"{path} {what}", where=f"--html {path}", fix="--html data.html")


def data_words(recipe: Recipe) -> list[str]:
    """Return the data plugin, and those fields of it that somebody would name it by."""
    node = dict(recipe.config["data"])
    named = ("id", "config", "train", "validation", "test")
    given = [key for key in named if node.get(key)]
    return [f"data={node['name']}", *(format_for_shell(f"data.{k}", node[k]) for k in given)]


def _summarise(
    recipe: Recipe, overrides: list[str], config_name: str, progress: RowProgress
) -> DataSummary:
    if hasattr(recipe.model, "fetch_small"):
        recipe.model.fetch_small()  # a checkpoint that is not there is reported before reading
    with collected_notes() as noted:
        recipe, found = check_data_alone(recipe)
    progress.begin("fitting the baselines")
    baselines = _baselines(recipe, found)
    tokenizer, name = _tokenizer(recipe, found.spec)
    progress.begin("tokenising")
    summary = summary_of(found, tokenizer, name, baselines, recipe.seed, progress.move)
    advice = _advice(recipe, summary, found)
    lines = [
        replace(a, overrides=[o for o in a.overrides if _composes([*overrides, o], config_name)])
        for a in advice
    ]
    notes = [*noted, *found.notes, *_unscorable(recipe, found), *(each.line() for each in lines)]
    return replace(summary, notes=list(dict.fromkeys(notes)))


def _unscorable(recipe: Recipe, found: TextData) -> list[str]:
    """Return a line for each metric that refuses the data, as a training would."""
    lines = []
    for metric in recipe.metrics.values():
        try:
            if hasattr(metric, "check"):
                metric.check(found.spec)
        except XferlabError as e:
            lines.append(f"{e.what}: {e.fix}")
    return lines


def _advice(recipe: Recipe, summary: DataSummary, found: TextData) -> list[Advice]:
    """Return what is unusual and has an answer."""
    text, overrides = found.spec.task.balancing(found.splits, found.spec)
    advice = [Advice(text, overrides)] if text else []
    positions = None
    if hasattr(recipe.model, "max_sequence_length"):
        positions = recipe.model.max_sequence_length()
    lengths = length_advice(summary, positions)
    return [*advice, *([lengths] if lengths else [])]


def _composes(overrides: list[str], config_name: str) -> bool:
    try:
        compose_experiment(overrides, config_name)
    except XferlabError:
        return False
    return True


def _baselines(recipe: Recipe, found: TextData) -> list[BaselineScores]:
    """Return the scores of simple models on validation and, where there is one, on test."""
    scored = {name: split for name, split in found.splits.items() if name != "train"}
    extra = REGISTRY.create_chosen(GROUPS["metric"], found.spec.task.baseline_metrics)
    metrics = {**recipe.metrics, **extra}
    both = [
        constant_scores(found.spec, found.train, scored, metrics),
        text_scores(found.spec, found.train, scored, metrics, recipe.seed),
    ]
    return [each for each in both if each is not None]


def _tokenizer(recipe: Recipe, spec: TaskSpec) -> tuple[Any, str]:
    """Return the model's tokenizer and whose it is, or None and why."""
    name = name_and_origin("model", recipe.model)[0]
    if not hasattr(recipe.model, "tokenizer"):
        return None, f"{name}: {NO_TOKENIZER}"
    tokenizer = recipe.model.tokenizer(spec, **head_argument(recipe.model, recipe.head))
    source = getattr(recipe.model, "checkpoint", None) or getattr(recipe.model, "run", name)
    return tokenizer, f"the tokenizer of {source}, special tokens included"


def lines_of(summary: DataSummary) -> list[str]:
    """Return what is printed."""
    spec = summary.spec
    classes = f", {spec.num_classes} classes" if spec.class_names else ""
    lines = [f"task       {spec.task.name}{classes}"]
    for table in summary.tables():
        note = f" ({printable(table.note)})" if table.note else ""
        lines += ["", f"{table.title}{note}", *table.lines()]
    if not summary.tokens:
        lines += ["", f"tokens     not counted: {summary.tokenizer}"]
    notes = [f"note       {printable(note)}" for note in summary.notes]
    return [*lines, "", *notes] if notes else lines
