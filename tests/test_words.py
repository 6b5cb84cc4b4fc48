"""Names and texts use the field's words (the glossary of CONTRIBUTING.md), not words of our own."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

from tests.support.for_each import for_each

ROOT = Path(__file__).parents[1]
NAMES = frozenset(
    re.findall(
        r"\w+",
        """exam exams teller hearing listener saver follower asking asked asks ask sinks continuing
        typed drawn draws settle seat seats picture pictures emits takes better tagging share
        accumulate spare mistake mistakes surest weighed thaw lie lies liar told tell tells luck
        lucky mend said hear heard knows faults kit box""",
    )
)
"""Parts of identifiers."""
LIBRARIES = frozenset({"ask", "tell", "box", "accumulate"})
"""Names of libraries: allowed after a dot, in an import and as an argument."""
TEXT = re.compile(
    r"\b(goes on|gone on|going on with|kept in|weighed|thaws?|luck|mends?|told|tells?|surest"
    r"|stands? still|in the box|learns every|is asked for|mistakes?|liars?|lies)\b",
    re.IGNORECASE,
)
"""Words of comments, docstrings, messages and documentation."""
# the ask-and-tell interface of Optuna
NAMES_ALLOWED = frozenset(
    {
        "xferlab/sweeps/search/controller.py",
        "xferlab/sweeps/search/trials.py",
    }
)
TEXT_ALLOWED = frozenset(
    {
        "docs/design.md",
        "docs/faults.md",
    }
)
"""The page of faults quotes messages as they were; the design page names Optuna's interface."""
CODE = sorted(
    path
    for folder in ("xferlab", "plugins")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "deprecated.py"
)
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PROSE += sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "conf").rglob("*.yaml")])


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def words_of_names(source: str) -> set[str]:
    """Return the forbidden parts of a module's identifiers."""
    found = set()
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            parts = re.findall(r"[a-z0-9]+|[A-Z][a-z0-9]*", token.string)
            parts = [part.lower() for part in parts]
            is_foreign = token.string in LIBRARIES and before in (".", "(", ",", "import")
            if not is_foreign and token.string != "build_typed":  # builds typed values
                found |= NAMES.intersection(parts)
        before = token.string
    return found


def words_of_text(source: str) -> set[str]:
    """Return the forbidden words of a module's comments and strings."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    texts = [token.string for token in tokens if token.type in kinds]
    return {match[0].lower() for text in texts for match in TEXT.finditer(text)}


@for_each(CODE)
def test_names_are_words_of_the_field(path):
    found = words_of_names(path.read_text(encoding="utf-8"))
    assert not found or relative(path) in NAMES_ALLOWED


@for_each(CODE)
def test_texts_in_code_are_plain(path):
    found = words_of_text(path.read_text(encoding="utf-8"))
    assert not found or relative(path) in TEXT_ALLOWED


@for_each(PROSE)
def test_documentation_is_plain(path):
    found = TEXT.findall(path.read_text(encoding="utf-8"))
    assert not found or relative(path) in TEXT_ALLOWED


def test_what_is_forbidden_is_found():
    assert words_of_names("told_lines = Teller(study.ask())") == {"told", "teller"}
    assert words_of_text("x = 1  # goes on\ny = 'it is Told'") == {"goes on", "told"}
