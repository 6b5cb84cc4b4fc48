"""Lengths of texts in the run's own tokens, and tokens that its tokenizer does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, TaskSpec
from xferlab.data.batching import Ragged, row_lengths
from xferlab.statistics.tables import Table, format_part

if TYPE_CHECKING:
    import numpy as np

CHUNK = 2_000
"""Rows that are tokenised at once."""
UNCUT = 2**30
"""A ``max_length`` that truncates nothing."""
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of one split, before anything is truncated.

    Attributes:
        lengths: tokens of each row, special ones included, int32 (rows,); of texts that are read
            apart those of the longer one.
        max_length: what the run reads of a row.
        tokens: of the texts, without special ones.
        unknown: those that are not in the vocabulary; None where a tokenizer has no such token.
        rows_with_unknown: rows with one or more of them.
    """

    lengths: np.ndarray
    max_length: int
    tokens: int
    unknown: int | None
    rows_with_unknown: int

    @property
    def cut(self) -> int:
        """Rows that are longer than the run reads."""
        return int((self.lengths > self.max_length).sum())


def count_tokens(
    tokenizer: Any, split: Split, spec: TaskSpec, follow: Callable[[int], None]
) -> TokenCounts:
    """Return the token counts of a split, read in parts; ``follow`` is given the rows so far."""
    import numpy as np

    unknown_id = getattr(tokenizer, "unknown_id", None)
    special = [i for i in getattr(tokenizer, "special_ids", ()) if i != unknown_id]
    lengths = []
    tokens = unknown = rows_with_unknown = 0
    for start in range(0, len(split), CHUNK):
        rows = slice(start, start + CHUNK)
        pairs = None if split.pairs is None else split.pairs[rows]
        found = tokenizer.encode(split.texts[rows], pairs, UNCUT)
        lengths.append(_lengths(found, spec))
        ids, owners = _flat(found.token_ids)
        is_text = ~np.isin(ids, special)
        is_unknown = ids == (-1 if unknown_id is None else unknown_id)
        tokens += int(is_text.sum())
        unknown += int(is_unknown.sum())
        rows_with_unknown += len(np.unique(owners[is_unknown]))
        follow(min(start + CHUNK, len(split)))
    every = np.concatenate(lengths).astype("int32")
    known = None if unknown_id is None else unknown
    return TokenCounts(every, spec.max_length, tokens, known, rows_with_unknown)


def _flat(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of all rows one after the other, and the row of each."""
    import numpy as np

    sizes = [len(row) for row in column]
    values = column.flat if isinstance(column, Ragged) else np.concatenate(list(column))
    return values, np.repeat(np.arange(len(sizes)), sizes)


def _lengths(encoding: Any, spec: TaskSpec) -> np.ndarray:
    import numpy as np

    sizes = row_lengths(encoding)
    if not spec.task.encodes_texts_apart:
        return sizes
    segments, owners = _flat(encoding.segment_ids)
    second = np.bincount(owners, weights=segments, minlength=len(sizes)).astype("int64")
    return np.maximum(second, sizes - second)


def token_table(counts: dict[str, TokenCounts], spec: TaskSpec) -> Table:
    """Return lengths, what is cut and what is unknown, a row a split."""
    import numpy as np

    fate = "cut" if spec.windows is None else "in windows"
    columns = ["split", "mean", "median", *(f"{p}%" for p in PERCENTILES[1:]), "longest"]
    columns += [fate, "unknown tokens", "rows with them"]
    rows = []
    for name, each in counts.items():
        percentiles = np.percentile(each.lengths, PERCENTILES)
        cells = [f"{each.lengths.mean():.1f}", *(f"{p:,.0f}" for p in percentiles)]
        cells += [f"{each.lengths.max():,}", format_part(each.cut, len(each.lengths))]
        if each.unknown is None:
            cells += ["-", "-"]
        else:
            cells.append(format_part(each.unknown, each.tokens))
            cells.append(format_part(each.rows_with_unknown, len(each.lengths)))
        rows.append([name, *cells])
    return Table("tokens", columns, rows)
