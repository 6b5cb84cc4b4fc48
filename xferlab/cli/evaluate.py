"""``evaluate RUN``: scores a finished run and saves the details."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xferlab.cli.flags import FlagParser
from xferlab.cli.notes import show_notes
from xferlab.cli.terminal import print_folded
from xferlab.deprecated import current_override
from xferlab.errors import printable
from xferlab.evaluation.bootstrap import SAMPLES
from xferlab.evaluation.errors_table import NUMBER
from xferlab.evaluation.split_evaluation import Evaluation
from xferlab.inference.evaluation_folder import places_of, write_evaluation
from xferlab.inference.evaluation_split import EvaluationSplit, choose_split
from xferlab.inference.load import load_run
from xferlab.inference.run import Run
from xferlab.inference.run_folder import WEIGHTS

ABOUT = "Score a finished run on its own test examples, or on any others."
EXAMPLES = """\
examples:
  (none)                          the run's own test split, or validation if it has no test
  split=validation                another of its own splits
  data.test=new.csv               a file with the columns that the run was trained with
  weights=last                    the last epoch's weights, not the best one's (or weights=best)
  data=files data.test=new.csv data.label=stars
                                  any data, also where the run's own is missing

Labels are matched by name, in any order. The scores are printed, each with its 95 % bootstrap
interval over examples; the rest is in
RUN/evaluations/NAME (report, confusion, calibration, errors, predictions) and in TensorBoard.
"""


def evaluate(argv: list[str]) -> int:
    """Score a run, print the scores and save the details."""
    parser = FlagParser("evaluate", ABOUT, EXAMPLES)
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument(
        "overrides", metavar="OVERRIDE", nargs="*", help="which examples; see below"
    )
    for name, usual, what in (
        ("--samples", SAMPLES, "resamples for the intervals; 0 for none"),
        ("--errors", NUMBER, "how many of the most confident errors to list"),
    ):
        text = f"{what} (default {usual:,})"
        parser.add_argument(name, type=_count, default=usual, metavar="N", help=text)
    flags = parser.read(argv)
    show_notes()
    weights, overrides = weights_of([current_override(override) for override in flags.overrides])
    run = load_run(flags.run, weights)
    chosen = choose_split(run, overrides)
    if weights and weights != run.content.metrics["weights"]:
        chosen = replace(chosen, name=f"{chosen.name}-{weights}")
    places_of(run.folder, chosen.name)  # may be written to, before anything slow
    evaluation = run.evaluation(chosen.rows, chosen.name, flags.samples, flags.errors)
    record = evaluation.record(
        split=chosen.split,
        own_rows=chosen.own,
        data=chosen.digest,
        run_id=run.record.get("run_id"),
        weights=run.content.digest,
    )
    folder = write_evaluation(evaluation, run.folder, record)
    for line in lines(run, chosen, evaluation, folder):
        print_folded(printable(line))
    sys.stdout.flush()
    return 0


def weights_of(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return which weights ``weights=last`` requests, and the other overrides."""
    key = "weights="
    chosen = [each.removeprefix(key) for each in overrides if each.startswith(key)]
    others = [each for each in overrides if not each.startswith(key)]
    return (chosen[-1] if chosen else None), others


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 up, got '{text}'")
    return int(text)


def lines(run: Run, chosen: EvaluationSplit, evaluation: Evaluation, folder: Path) -> list[str]:
    """Return the scores and where the rest is."""
    shown = [f"{run.folder}  {evaluation.name}, {len(evaluation.outputs):,} examples", ""]
    shown += evaluation.table().splitlines()
    own_names = [chosen.split, *(f"{chosen.split}-{weights}" for weights in WEIGHTS)]
    if chosen.name in own_names and not chosen.own:
        shown += [
            "",
            f"note       the examples of {chosen.split} are not those of the training:"
            " these scores are not those of metrics.json",
        ]
    if run.postprocessor is not None:
        shown += ["", f"fitted     {printable(run.postprocessor.describe())}"]
        if chosen.own and chosen.split == "validation":
            shown.append("note       it was fitted to these very examples")
    shown += [f"note       {printable(note)}" for note in evaluation.notes]
    contents = ", ".join([*evaluation.analyses, "errors", "predictions"])
    return [
        *shown,
        "",
        f"saved to   {folder}  ({contents})",
        f"view       tensorboard --logdir {run.folder}",
    ]
