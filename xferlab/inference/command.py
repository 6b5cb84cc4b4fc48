"""``python -m xferlab predict RUN``: what a run says about texts."""

from __future__ import annotations

from pathlib import Path

from xferlab.flags import FlagParser
from xferlab.inference.run import load_run


def predict(argv: list[str]) -> int:
    """Print what a run says about the texts that are typed."""
    parser = FlagParser("predict", "Say what a finished run thinks of texts.")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="texts")
    flags = parser.read(argv)
    print(load_run(flags.run).predict(flags.texts))
    return 0
