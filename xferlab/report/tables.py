"""Rows of a report: a job's, a setting's, and how their values are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.errors import printable
from xferlab.evaluation.run_baselines import describe_baselines
from xferlab.formatting import format_count, format_duration, format_learning_rate
from xferlab.report.failures import failures_of
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report, Setting


def job_rows(report: Report) -> list[dict[str, Any]]:
    """Return a row a job: its id, what was swept, status, scores, their weights, time."""
    return [_job_row(report, job) for job in report.jobs]


def _job_row(report: Report, job: JobResult) -> dict[str, Any]:
    sweep = {"sweep": str(job.folder.parent)} if len(report.folders) > 1 else {}
    return {
        "run": job.folder.name,
        **sweep,
        **{key: job.setting(key) for key in report.keys},
        "status": job.state.status,
        report.monitor: job.score,
        "weights": job.weights,
        "epoch": job.epoch,
        "step": job.step,
        f"last {report.monitor}": job.last,
        **{f"test {name}": value for name, value in job.test.items()},
        "seconds": job.seconds,
        "error": job.state.record.get("error"),
    }


def setting_row(report: Report, setting: Setting) -> dict[str, Any]:
    """Return a setting's values, its number of jobs, and mean and spread of each score."""
    scores = {report.monitor: setting.best} | {f"test {k}": v for k, v in setting.test.items()}
    row = {**setting.values, "jobs": len(setting.jobs), "finished": setting.finished}
    for name, spread in scores.items():
        row[name] = spread[0] if spread else None
        row[f"{name} sd"] = spread[1] if spread else None
    return row


def format_status_counts(report: Report) -> str:
    """Return ``6 jobs: 5 finished, 1 failed``."""
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.most_common())
    return f"{format_count(len(report.jobs), 'job')}: {counts}"


def task_name(report: Report) -> str | None:
    """Return the task, if a job has got far enough to record it."""
    return next((job.task["task"] for job in report.jobs if job.task), None)


def describe_data(report: Report) -> list[str]:
    """Return what the scores were measured on, where that is not the same for all jobs."""
    if not report.scored_on:
        return []
    data = ", ".join(f"{key} {sha[:8]}" for key, sha in report.scored_on)
    return [
        f"scored on {data}: neither ranked nor averaged with jobs that were scored on other data"
    ]


def describe_weights(report: Report) -> str:
    """Return which weights the monitored scores are of, "" where all are of the best epoch's."""
    counts = Counter(job.weights for job in report.jobs if job.score is not None)
    last = counts["last"]
    best = counts["best"]
    if not last:
        return ""
    if not best:
        return f"{report.monitor} is of the last epoch, whose weights these runs use"
    return (
        f"{report.monitor} is of the weights that a run uses: of the last epoch in"
        f" {format_count(last, 'job')}, of the best in {best}, which favours these: the best of"
        " several epochs is partly chance (train.restore_best chooses)"
    )


def closing_lines(report: Report) -> list[str]:
    """Return the best setting, and each failed job with its error and what runs it again."""
    lines = [f"best       {describe_best(report)}"] if report.best else []
    simple = describe_simple_models(report)
    lines += [f"baselines  {simple}"] if simple else []
    for failure in failures_of(report):
        folder = failure.job.folder
        lines += [
            f"failed     {folder.name}  {failure.job.state.record.get('error', '')}",
            f"           log: {folder / 'train.log'}",
            f"           again: {failure.rerun_command}",
        ]
    return [printable(line) for line in lines]


def describe_simple_models(report: Report) -> str:
    """Return what simple models score on the data of the best setting, "" where that is unknown."""
    jobs = report.best.jobs if report.best else report.jobs
    record = next((job.baselines for job in jobs if job.baselines), {})
    metric = (report.monitor or "").removeprefix("val_")
    scored = [scores for splits in record.values() for scores in splits.values()]
    names = dict.fromkeys(name for scores in scored for name in scores)
    chosen = metric if metric in names else next(iter(names), "")
    lines = (describe_baselines(record, split, chosen) for split in ("test", "validation"))
    return next((line for line in lines if line), "")


def describe_best(report: Report) -> str:
    """Return the best setting and its scores in one line."""
    assert report.best is not None
    chosen = {key: value for key, value in report.best.values.items() if value is not None}
    values = [f"{key}={format_value(value)}" for key, value in chosen.items()]
    scores = {report.monitor: report.best.best} | {
        f"test {name}": spread for name, spread in report.best.test.items() if name != "loss"
    }
    formatted = ", ".join(f"{name} {format_mean_sd(spread)}" for name, spread in scores.items())
    unit = report.repeats if " " not in report.repeats else f"runs over {report.repeats}"
    repeats = f"  ({report.best.finished} {unit})" if report.over_repeats else ""
    return f"{' '.join(values)}  {formatted}{repeats}".strip()


def name_of(setting: Setting) -> str:
    """Return what a setting without swept values is called: its run, or how many there are."""
    count = len(setting.jobs)
    return setting.jobs[0].folder.name if count == 1 else format_count(count, "run")


def printed_job_row(report: Report, job: JobResult) -> dict[str, str]:
    """Return a job's row as it is printed."""
    row = _job_row(report, job)
    for name in ("step", "test loss", "error"):  # in the files
        row.pop(name, None)
    if not describe_weights(report):
        row.pop("weights")
    row["seconds"] = format_duration(job.seconds) if job.seconds is not None else None
    row["time"] = row.pop("seconds")
    for name, value in row.items():
        if isinstance(value, float) and name not in report.keys:
            row[name] = format_score(value)
    return {key: format_value(value) for key, value in row.items()}


def printed_setting_row(report: Report, setting: Setting) -> dict[str, str]:
    """Return a setting's row as it is printed."""
    row = {key: format_value(value) for key, value in setting.values.items()}
    row[report.repeats] = f"{setting.finished}/{len(setting.jobs)}"
    row[report.monitor] = format_mean_sd(setting.best)
    named = {
        f"test {name}": format_mean_sd(v) for name, v in setting.test.items() if name != "loss"
    }
    return row | named | {"": "best" if setting is report.best else ""}


def format_value(value: Any) -> str:
    """Return a value as a table shows it: a rate as it is typed, a score with four digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return format_learning_rate(value, 4) if 0 < abs(value) < 0.1 else f"{value:.4g}"
    return str(value)


def format_setting(values: Mapping[str, Any]) -> str:
    """Return values beside the last part of their keys; those that are None are left out.

    >>> format_setting({"optimizer.lr": 3e-05, "loss": "focal", "loss.gamma": None})
    'lr 3e-5, loss focal'
    >>> format_setting({"model.dropout": 0.1, "transfer.dropout": 0.2})
    'dropout 0.1, dropout 0.2'
    """
    known = {key: value for key, value in values.items() if value is not None}
    return ", ".join(
        f"{key.rpartition('.')[2]} {format_value(value)}" for key, value in known.items()
    )


def format_score(value: float) -> str:
    """Return a score with four decimals."""
    return f"{value:.4f}"


def format_mean_sd(spread: tuple[float, float | None] | None) -> str:
    """Return mean and sample standard deviation.

    >>> format_mean_sd((0.9, 0.012)), format_mean_sd((0.9, None)), format_mean_sd(None)
    ('0.9000 ± 0.0120', '0.9000', '')
    """
    if spread is None:
        return ""
    mean, deviation = spread
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def filled_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that any row fills, in their order."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return [key for key in columns if any(row.get(key) not in (None, "") for row in rows)]


def format_difference(value: float) -> str:
    """Return a difference with its sign.

    >>> format_difference(0.0125), format_difference(-0.5), format_difference(0.0)
    ('+0.0125', '-0.5000', '0.0000')
    """
    return f"{value:+.4f}" if round(value, 4) else "0.0000"


def format_p_value(value: float) -> str:
    """Return a p value as papers write it.

    >>> format_p_value(0.2345), format_p_value(0.00004)
    ('0.234', '< 0.001')
    """
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
