"""``catalogue``: a page of every plugin, built in, installed and local."""

from __future__ import annotations

import sys
from pathlib import Path

from xferlab.cli.flags import FlagParser
from xferlab.errors import ConfigError
from xferlab.formatting import format_count
from xferlab.io.atomic import atomic_write
from xferlab.registry import REGISTRY
from xferlab.testing.catalogue import as_html, as_markdown, catalogue, every_entry

ABOUT = "Write a page of every plugin: summary, source, fields, what the contract checks say."
EXAMPLES = """\
examples:
  catalogue                      Markdown on standard output
  catalogue plugins.html         a page for a browser; .md for Markdown
  catalogue plugins.html --train also trains with each plugin, which takes minutes
"""
WRITERS = {".html": as_html, ".md": as_markdown}


def write_catalogue(arguments: list[str]) -> int:
    """Write the page; plugins that cannot be loaded are named on standard error."""
    parser = FlagParser("catalogue", ABOUT, EXAMPLES)
    parser.add_argument("file", nargs="?", metavar="FILE", help="to write: .html or .md")
    parser.add_argument("--train", action="store_true", help="build and train each plugin")
    flags = parser.read(arguments)
    path = Path(flags.file) if flags.file else None
    if path is not None and path.suffix not in WRITERS:
        what = f"a catalogue is no {path.suffix or 'file without an ending'}"
        raise ConfigError(what, where=str(path), fix="end its name in .html or .md")
    before = len(REGISTRY.broken)
    rows = catalogue(every_entry(), train=flags.train)
    for error in REGISTRY.broken[before:]:
        print(error, file=sys.stderr)
    if path is None:
        print(as_markdown(rows), end="")
        return 0
    atomic_write(path, WRITERS[path.suffix](rows))
    print(f"written    {path}: {format_count(len(rows), 'plugin')}")
    return 0
