"""What page, summary and JSON show of one report, computed once."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab.report.comparison import Comparison
from xferlab.report.importance import Importance, importance_of
from xferlab.report.out_of_fold import OutOfFold
from xferlab.report.settings import Report
from xferlab.report.training_setup import TrainingSetup, setup_of


@dataclass(frozen=True)
class Analysis:
    """A report, and what is computed from it.

    Attributes:
        report: jobs and settings of one task, score and data.
        comparison: of the settings with the best; None where none was asked for.
        folds: the predictions of its folds; None without folds.
        importance: of the swept keys; None where it cannot be computed.
        setup: what was trained.
    """

    report: Report
    comparison: Comparison | None
    folds: OutOfFold | None
    importance: Importance | None
    setup: TrainingSetup


def analyse(
    report: Report, comparison: Comparison | None = None, folds: OutOfFold | None = None
) -> Analysis:
    """Return a report with its importance and setup."""
    return Analysis(report, comparison, folds, importance_of(report), setup_of(report))
