"""``python -m xferlab export RUN --to FORMAT``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.cli.flags import FlagParser
from xferlab.errors import ConfigError, did_you_mean
from xferlab.escaping import visible
from xferlab.export.push import Destination


def export(argv: list[str]) -> int:
    """Write a finished run in a format of others, compared with the run before it is kept."""
    from xferlab.cli.terminal import print_folded
    from xferlab.export.export_run import export_run, is_export_of, postprocess_note
    from xferlab.export.formats import FORMATS
    from xferlab.inference.load import load_run
    from xferlab.runs.folder_access import own_place

    flags = _parser(FORMATS).read(argv)
    if flags.to not in FORMATS:
        what = "no format is named" if flags.to is None else f"there is no format '{flags.to}'"
        fix = did_you_mean(flags.to or "", FORMATS)
        raise ConfigError(what, where=f"--to {flags.to or 'FORMAT'}", fix=fix)
    if flags.tolerance is not None and not FORMATS[flags.to].is_rounded:
        raise ConfigError(
            f"--to {flags.to} rounds nothing: its tolerance is fixed",
            where="--tolerance",
            fix="leave it out",
        )
    destination = Destination(flags.push, flags.private, flags.force) if flags.push else None
    if destination:
        destination.check()
    run = load_run(flags.run, flags.weights)
    folder = flags.output or own_place(flags.run, "export", flags.to)
    if destination and not flags.force and is_export_of(run, flags.to, folder):
        print(visible(f"exported   {folder} is this export"))
        return _push(destination, folder)
    done = export_run(
        run, flags.to, folder, texts=flags.texts, force=flags.force, tolerance=flags.tolerance
    )
    for line in done.lines():
        print_folded(visible(line))
    print(visible(f"saved to   {folder}"))
    note = postprocess_note(run, flags.to)
    if note:
        print_folded(visible(f"note       {note}"))
    return _push(destination, folder) if destination else 0


def _parser(formats: Mapping[str, Any]) -> FlagParser:
    """Return the parser of the command's flags; its help lists the formats."""
    width = max(map(len, formats))
    rows = [f"  {name:<{width}}  {kind.summary}" for name, kind in formats.items()]
    parser = FlagParser(
        "export",
        "Write a finished run in a format of others. The run folder is all that is needed.",
        "\n".join(["formats:", *rows]),
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("--to", metavar="FORMAT", help="one of the formats below")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        help="where to write it; default: RUN/export/FORMAT",
    )
    parser.add_argument(
        "--texts",
        metavar="FILE",
        type=Path,
        help="compare on these, one a line, a tab between the texts of a pair;"
        " default: generated from the vocabulary, for int8 the validation examples",
    )
    parser.add_argument(
        "--tolerance",
        metavar="FRACTION",
        type=_fraction,
        help="of decisions that rounded weights (int8) may change; default: 0.05",
    )
    parser.add_argument(
        "--weights", choices=("best", "last"), help="default: those that the run's scores are of"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    parser.add_argument(
        "--push", metavar="ORG/NAME", help="also send it to this repository of the Hub"
    )
    parser.add_argument("--private", action="store_true", help="a new repository is private")
    return parser


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0, at most 1, got '{text}'")
    return value


def _push(destination: Destination, folder: Path) -> int:
    print(visible(f"pushed     {destination.push(folder)}"))
    return 0
