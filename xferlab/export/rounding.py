"""What rounded weights change: scores, decisions and probabilities of a run and of its export."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Encoding, OutputKind, Split, TaskSpec
from xferlab.data.batching import begins_word
from xferlab.data.partition import take
from xferlab.errors import ConfigError, RunError
from xferlab.evaluation.conformal_sets import set_scores
from xferlab.evaluation.split_outputs import SplitOutputs, split_outputs
from xferlab.export.parity import encoded_alike, generated_texts, paired_outputs, read_texts
from xferlab.export.serving_function import Predictor
from xferlab.formatting import format_count, format_size
from xferlab.functional.unseen_words import outside_of
from xferlab.inference.evaluation_split import choose_split
from xferlab.inference.predictions import probabilities_of
from xferlab.inference.run import Run
from xferlab.postprocessing.steps import Postprocessor
from xferlab.training.evaluation import scores

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 0.05
"""Fraction of decisions that may differ, unless another is given."""
HOPELESS = 0.5
"""From here on no larger tolerance is offered."""
BATCH = 64
"""Texts a batch."""
MAX_ALONE = 100
"""Texts that are compared one by one as well."""
MAX_EXAMPLES = 5000
"""Examples that are compared; of a larger validation split some are, at equal distances."""


@dataclass(frozen=True, eq=False)
class Examples:
    """The texts to compare on.

    Attributes:
        rows: with labels if ``has_labels``.
        source: a description of where they are from.
        has_labels: whether they can be scored.
    """

    rows: Split
    source: str
    has_labels: bool = False


@dataclass(frozen=True)
class Rounding:
    """What an export with rounded weights changes.

    Attributes:
        texts: how many were compared.
        source: a description of where they are from.
        largest: the largest absolute difference of a probability, or of a value.
        mean: the mean absolute difference.
        changed: the fraction of decisions that differ: of texts for one label, of labels that
            either predicts for several, of words that either tags for tags. For a regression the
            mean square of the differences as a fraction of the variance of the run's values.
        tolerance: the largest ``changed`` allowed.
        has_decisions: whether they are classes; False for a regression.
        scores: by name, of the run and of the export.
        exact_bytes: size of the weights in float32.
        size: bytes of the export.
        alone: number of texts that were predicted one by one as well, and the largest and the mean
            difference of those: where activations are scaled by batch, other than in batches.
    """

    texts: int
    source: str
    largest: float
    mean: float
    changed: float
    tolerance: float
    has_decisions: bool = True
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    exact_bytes: int = 0
    size: int = 0
    alone: tuple[int, float, float] = (0, 0.0, 0.0)

    def record(self) -> dict[str, Any]:
        """Return plain data for ``export.json``."""
        names = ("run", "export")
        return {
            "texts": self.texts,
            "texts_from": self.source,
            "largest_difference": self.largest,
            "mean_difference": self.mean,
            "batch_size": BATCH,
            "one_by_one": dict(zip(("texts", "largest", "mean"), self.alone, strict=True)),
            "changed": self.changed,
            "changed_are": "decisions" if self.has_decisions else "variance of the values",
            "tolerance": self.tolerance,
            "scores": {k: dict(zip(names, v, strict=True)) for k, v in self.scores.items()},
            "bytes": self.size,
            "bytes_in_float32": self.exact_bytes,
        }

    def lines(self) -> list[str]:
        """Return what is printed."""
        pairs = [f"{name} {run:.4f} -> {export:.4f}" for name, (run, export) in self.scores.items()]
        return [
            f"compared   {self.texts:,} {self.source}",
            *([f"scores     {', '.join(pairs)}"] if pairs else []),
            f"changed    {self.changed_words} (tolerance {self.tolerance:.1%})",
            f"difference {self.largest:.2g} at most, {self.mean:.2g} on average, in batches of"
            f" {BATCH}",
            f"           {self.alone_words}",
            f"size       {self.size_words}",
        ]

    def card(self) -> str:
        """Return a section of the README."""
        rows = [
            f"| {name} | {run:.4f} | {export:.4f} |" for name, (run, export) in self.scores.items()
        ]
        table = ["| score | the run | this model |", "|---|---|---|", *rows, ""] if rows else []
        number = "probability" if self.has_decisions else "value"
        lines = [
            "## Rounded weights",
            "",
            f"Weights have 8 bits ({self.size_words}). On {self.texts:,} {self.source}"
            f" {self.changed_words}; a {number} by {self.largest:.2g} at most, by {self.mean:.2g}"
            f" on average, in batches of {BATCH}; {self.alone_words}.",
            "",
            *table,
        ]
        return "\n".join(lines)

    @property
    def changed_words(self) -> str:
        """What differs by how much, a clause."""
        what = (
            "of the decisions differ" if self.has_decisions else "of the values' variance differs"
        )
        return f"{self.changed:.2%} {what}"

    @property
    def alone_words(self) -> str:
        """How far texts that are predicted one by one differ."""
        count, largest, mean = self.alone
        texts = format_count(count, "text")
        return f"{largest:.2g} at most, {mean:.2g} on average, {texts} one by one"

    @property
    def size_words(self) -> str:
        """The sizes, in words."""
        return f"{format_size(self.size)}, of {format_size(self.exact_bytes)} in float32"


def examples_to_compare(run: Run, texts: Path | None) -> Examples:
    """Return the run's validation split, or texts without labels.

    Args:
        run: a finished run.
        texts: a file with one text on each line; None for the validation split, or where that
            cannot be read any more for generated texts.

    Raises:
        ConfigError: the file cannot be read.
    """
    if texts is not None:
        return Examples(read_texts(texts, run.spec), f"texts of {texts.name}")
    try:
        chosen = choose_split(run, ["split=validation"])
        why = "" if chosen.own else "they are others than in training"
    except ConfigError as e:
        why = e.what
    if why:
        source = f"generated texts, without scores: no validation examples of the run ({why})"
        return Examples(generated_texts(run), source)
    rows = chosen.rows
    source = "examples of the validation split"
    if run.spec.windows is not None:
        source += f", cut at {run.spec.max_length} tokens"
    if len(rows) > MAX_EXAMPLES:
        import numpy as np

        source = f"of the {len(rows):,} {source}"
        rows = take(rows, np.linspace(0, len(rows) - 1, MAX_EXAMPLES).astype(int))
    return Examples(rows, source, has_labels=True)


def measure(
    run: Run,
    predict: Predictor,
    folder: Path,
    examples: Examples,
    postprocessor: Postprocessor | None,
    tolerance: float = TOLERANCE,
) -> Rounding:
    """Return what an export with rounded weights changes.

    Args:
        run: the run, in its own precision.
        predict: the exported network.
        folder: of the exported tokenizer.
        examples: what both predict.
        postprocessor: the export applies it.
        tolerance: the largest fraction of decisions that may differ.

    Raises:
        RunError: the tokenizers differ, or more decisions than that.
    """
    import numpy as np

    rows = examples.rows
    ours, theirs = _both(run, predict, encoded_alike(run, folder, rows), rows, postprocessor)
    gap = _gap(ours, theirs)
    are_numbers = np.isfinite(gap).all() and np.isfinite(theirs.outputs).all()
    changed = _changed(ours, theirs) if are_numbers else 1.0
    if changed > tolerance:
        what = "of its decisions" if run.spec.task.has_classes else "of its values' variance"
        raise RunError(
            f"the export differs from the run in {changed:.1%} {what}, more than {tolerance:.1%},"
            f" on {len(rows):,} {examples.source}",
            where=str(run.folder),
            fix="nothing was kept; the format without _int8 does not round"
            + (f", and --tolerance {1.1 * changed:.2f} keeps this" if changed < HOPELESS else ""),
        )
    found = {}
    if examples.has_labels:
        before, after = (_scores(run, each) for each in (ours, theirs))
        found = {name: (value, after[name]) for name, value in before.items()}
    return Rounding(
        len(rows),
        examples.source,
        float(gap.max(initial=0)),
        float(gap.mean()) if gap.size else 0.0,
        changed,
        tolerance,
        run.spec.task.has_classes,
        found,
        alone=_alone(run, predict, folder, rows, postprocessor),
    )


def _gap(ours: SplitOutputs, theirs: SplitOutputs) -> np.ndarray:
    """Return the absolute differences of probabilities or values; infinite for NaN."""
    import numpy as np

    shown = ours.labels >= 0 if ours.spec.task.is_per_word else slice(None)
    gap = np.abs(theirs.probabilities - ours.probabilities)[shown]
    return np.where(np.isnan(gap), np.inf, gap)


def _alone(
    run: Run, predict: Predictor, folder: Path, rows: Split, postprocessor: Postprocessor | None
) -> tuple[int, float, float]:
    """Compare some texts one by one, at equal distances, see :class:`Rounding`."""
    import numpy as np

    count = min(MAX_ALONE, len(rows))
    some = take(_labelled(run.spec, rows), np.linspace(0, len(rows) - 1, count).astype(int))
    encoding = encoded_alike(run, folder, some)
    gap = _gap(*_both(run, predict, encoding, some, postprocessor, batch_size=1))
    return count, float(gap.max(initial=0)), float(gap.mean()) if gap.size else 0.0


def _scores(run: Run, outputs: SplitOutputs) -> dict[str, float]:
    loss, metrics = run.scorers()
    found = scores(loss, metrics, outputs.labels, outputs.outputs, outputs.decisive)
    return found | set_scores(outputs)


def _both(
    run: Run,
    predict: Predictor,
    encoding: Encoding,
    rows: Split,
    postprocessor: Any,
    batch_size: int = BATCH,
) -> tuple[SplitOutputs, SplitOutputs]:
    """Return the outputs of the run and of the export beside labels."""
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for each in paired_outputs(run, predict, encoding, postprocessor, batch_size=batch_size):
        arrays = (vars(each.ours), _processed(each.theirs, run.spec))
        for found, given in zip(parts, arrays, strict=True):
            for name, values in given.items():
                if values is not None:
                    place = found.setdefault(name, _empty(rows, values, encoding))
                    _put(place, each.rows, values, encoding)
    ours, theirs = (_beside_labels(run.spec, rows, found) for found in parts)
    return ours, theirs


def _processed(named: Mapping[str, Any], spec: TaskSpec) -> dict[str, Any]:
    """Return the outputs of a graph by the names of ``Processed``."""
    import numpy as np

    names = {"logits": OutputKind.logits, "values": OutputKind.values}
    key = next((k for k, kind in names.items() if kind is spec.output_kind), "probabilities")
    found = {"outputs": named[key], "included": named.get("set"), "interval": named.get("interval")}
    if "predicted" in named:  # +1 or -1 is decided as logits, and as probabilities
        found["decisive"] = np.where(named["predicted"], 1.0, -1.0).astype("float32")
    return found


def _empty(rows: Split, values: np.ndarray, encoding: Encoding) -> Any:
    """Return room for the outputs of all examples; NaN for words without a token."""
    import numpy as np

    if encoding.word_ids is not None:
        return [np.full((len(text), values.shape[-1]), np.nan, "float32") for text in rows.texts]
    return np.zeros((len(rows), *values.shape[1:]), values.dtype)


def _put(place: Any, rows: np.ndarray, values: np.ndarray, encoding: Encoding) -> None:
    import numpy as np

    if encoding.word_ids is None:
        place[rows] = values
        return
    for row, own in zip(rows, values, strict=True):
        words = np.asarray(encoding.word_ids[row])
        first = np.flatnonzero(begins_word(words))
        place[row][words[first]] = own[first]


def _labelled(spec: TaskSpec, rows: Split) -> Split:
    """Return rows whose labels are 0 where they have none."""
    import numpy as np

    if rows.labels is not None:
        return rows
    none = [[0] * len(text) for text in rows.texts] if spec.task.is_per_word else None
    return dataclasses.replace(rows, labels=np.zeros(len(rows), "int32") if none is None else none)


def _beside_labels(spec: TaskSpec, rows: Split, found: Mapping[str, Any]) -> SplitOutputs:
    rows = _labelled(spec, rows)
    outputs = found["outputs"]
    decisive = found.get("decisive") if spec.task.has_classes else None
    if decisive is not None:
        decisive = split_outputs(spec, rows, decisive, decisive).outputs
    return dataclasses.replace(
        split_outputs(spec, rows, outputs, probabilities_of(spec, outputs)),
        decisive=decisive,
        included=found.get("included"),
        interval=found.get("interval"),
    )


def _changed(ours: SplitOutputs, theirs: SplitOutputs) -> float:
    """Return the fraction of decisions that differ, see :class:`Rounding`."""
    import numpy as np

    spec = ours.spec
    run = ours.predicted
    export = theirs.predicted
    if not spec.task.has_classes:
        return float(np.square(export - run).mean() / max(run.var(), np.finfo("float32").tiny))
    counted = np.ones(run.shape, bool)
    if not spec.task.is_exclusive:
        counted = run | export
    elif spec.task.is_per_word:
        outside = outside_of(spec.class_names)
        counted = ours.labels >= 0
        if outside is not None:
            counted &= (run != outside) | (export != outside)
    return float((run != export)[counted].mean()) if counted.any() else 0.0
