"""``python -m xferlab combine RUN... --how average|vote|soup``."""

from __future__ import annotations

from pathlib import Path

from xferlab.cli.flags import FlagParser
from xferlab.cli.notes import show_notes
from xferlab.cli.terminal import print_folded
from xferlab.combining.combine import WAYS, combine
from xferlab.combining.soup import KINDS
from xferlab.errors import printable

ABOUT = "Combine finished runs of one task into one, a run folder like any other."
EXAMPLES = """\
how:
  average    the mean of the runs' probabilities, or values; any runs of one task
  vote       what most runs predict; the mean probability breaks ties
  soup       the mean of the weights, one network as fast as each; runs of one architecture that
             started from the same weights. greedy takes the runs that improve the validation
             score, uniform all (Wortsman et al. 2022)

examples:
  combine outputs/sweeps/NAME/* --how average
  combine RUN1 RUN2 RUN3 --how soup --output outputs/runs/soup
  report outputs/runs/soup RUN1 RUN2 RUN3         the combination beside its parts

The runs' data must be here: the combination is scored on their validation and test examples.
"""


def combine_runs(argv: list[str]) -> int:
    """Combine runs, and print where the result is."""
    parser = FlagParser("combine", ABOUT, EXAMPLES)
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="the folders of finished runs"
    )
    parser.add_argument("--how", metavar="|".join(WAYS), default="average", help="see below")
    parser.add_argument(
        "--soup", metavar="|".join(KINDS), default="greedy", help="which runs a soup takes"
    )
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="the new folder; default: below outputs/runs"
    )
    flags = parser.read(argv)
    show_notes()
    run = combine(flags.runs, flags.how, flags.output, flags.soup)
    print(f"saved to   {printable(str(run.folder))}")
    parts = " ".join(printable(str(folder)) for folder in flags.runs)
    print_folded(f"compare    python -m xferlab report {printable(str(run.folder))} {parts}")
    return 0
