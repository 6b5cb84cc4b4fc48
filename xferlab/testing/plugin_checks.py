"""Puts a plugin of any group through every check, from its source to a killed and resumed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xferlab.compatibility import plugin_failure
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, PluginError, XferlabError
from xferlab.registry import REGISTRY
from xferlab.testing.finding import Finding, Subject
from xferlab.testing.source_checks import source_findings
from xferlab.testing.value_checks import value_findings

CHECKS = ("source", "values", "built", "trained", "resumed")
"""What is checked, in this order; a check is made if the ones before it find nothing."""


@dataclass(frozen=True)
class Report:
    """What was checked of a plugin, and found.

    Attributes:
        checks: that were made, of :data:`CHECKS`.
        findings: what is wrong.
        skipped: why the further checks were not made; empty if all were, or something is wrong.
    """

    checks: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: str = ""


def check_plugin(group: str, name: str, **fields: Any) -> None:
    """Put a plugin through the contract checks; a few seconds.

    Args:
        group: of the plugin: ``"loss"``.
        name: of the plugin.
        fields: values of its fields, for those without a default.

    Raises:
        AssertionError: what is wrong, a line each: file and line, what, fix.
        ConfigError: there is no such plugin.
    """
    findings = find_problems(group, name, **fields)
    if findings:
        raise AssertionError("\n".join(map(str, findings)))


def find_problems(group: str, name: str, **fields: Any) -> list[Finding]:
    """Return what is wrong with a plugin; see :func:`check_plugin`."""
    return list(report_of(group, name, **fields).findings)


def report_of(group: str, name: str, *, train: bool = True, **fields: Any) -> Report:
    """Return what the checks say of a plugin.

    Args:
        group: of the plugin.
        name: of the plugin.
        train: also build and train it, which imports TensorFlow.
        fields: as for :func:`check_plugin`.
    """
    load_plugins(Path.cwd())
    try:
        subject = Subject(REGISTRY.get(group, name), fields)
    except ConfigError:
        if not REGISTRY.broken:
            raise
        return Report((), tuple(Finding(e.what, e.where, e.fix) for e in REGISTRY.broken))
    except PluginError as e:
        return Report((), (Finding(e.what, e.where, e.fix),))
    findings = [*source_findings(subject)]
    if subject.missing:
        needed = ", ".join(f"{field}=..." for field in subject.missing)
        return Report(CHECKS[:1], tuple(findings), f"it needs values: {needed}")
    findings += value_findings(subject)
    if findings or not train:
        return Report(CHECKS[:2], tuple(findings))
    return _built_report(subject)


def _built_report(subject: Subject) -> Report:
    """Return what is found in a plugin that is built, and trained for a few steps."""
    from xferlab.testing.group_checks import (
        built_findings,
        declared_wrongly,
        reason_not_to_train,
        settings_of,
    )
    from xferlab.testing.tiny_run import apart

    plugin = REGISTRY.create(subject.entry.group, subject.node)
    with apart() as folder:
        findings = [
            *_found(subject, plugin, "declares", lambda: declared_wrongly(subject, plugin)),
            *_found(subject, plugin, "fails", lambda: built_findings(subject, plugin, folder)),
        ]
        if findings:
            return Report(CHECKS[:3], tuple(findings))
        reason = reason_not_to_train(subject.entry.group, plugin)
        if reason:
            return Report(CHECKS[:3], (), reason)
        (task, kind), *_ = settings_of(plugin)
        run = _Run(subject, plugin, task, kind, folder)
        return Report(CHECKS, tuple(run.findings()))


def _found(
    subject: Subject, plugin: Any, verb: str, check: Callable[[], Iterator[Finding] | None]
) -> list[Finding]:
    """Return the findings of a check; what the plugin raises is one."""
    try:
        return list(check() or ())
    except XferlabError as e:
        return list(subject.from_error(e))
    except Exception as e:  # noqa: BLE001 - a plugin may raise anything
        return list(subject.from_error(plugin_failure(subject.entry.group, plugin, e, verb)))


@dataclass(frozen=True)
class _Run:
    """The runs of a plugin that are compared."""

    subject: Subject
    plugin: Any
    task: Any
    kind: Any
    folder: Path

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with a run, its repetition, and one that is killed and resumed."""
        from xferlab.testing.tiny_run import TinyRun, Trained

        runs: dict[str, Trained] = {}

        def train(name: str) -> None:
            folder = self.folder / "run"  # of the same name: callbacks may keep it
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            run = TinyRun(self.subject, self.task, self.kind, folder)
            runs[name] = run.killed_and_resumed() if name == "resumed" else run.uninterrupted()
            folder.rename(self.folder / name)

        for name in ("first", "second", "resumed"):
            failures = _found(self.subject, self.plugin, "fails in a run", partial(train, name))
            if failures:
                yield from failures
                return
        differs = runs["first"].difference(runs["second"])
        if differs:
            what = f"gives other {differs} in a second run with the same seed"
            yield self.subject.finding(what, "keep no state, and take random numbers of a seed")
            return
        differs = runs["first"].difference(runs["resumed"])
        if differs:
            what = f"gives other {differs} when the run is killed and resumed"
            fix = "keep what is remembered in Keras variables, or in state() of a callback"
            yield self.subject.finding(what, fix)
