"""Compares an export with its run: the largest difference of their outputs over many texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Encoding, OutputKind, Processed, Split, TaskSpec
from xferlab.data.batching import batch_arrays, evaluation_batches
from xferlab.data.tokenizer import HubTokenizer, tokenizer_of
from xferlab.errors import ConfigError, RunError
from xferlab.export.serving_function import Predictor, predicted_classes, result_name
from xferlab.inference.predictions import probabilities_of
from xferlab.inference.run import Run
from xferlab.models.prompts import prompts_of
from xferlab.postprocessing.steps import Postprocessor

if TYPE_CHECKING:
    import numpy as np

MAX_TEXTS = 1000
"""Texts that are compared."""

TOLERANCE = {"float32": 1e-4}
"""Largest difference of probabilities by the run's precision; a regression's is relative.

float32 sums in another order differ by about 1e-7 for each layer. An export computes in float32
what a run in half precision computed with 8 to 11 bits.
"""
TOLERANCE_HALF = 2e-2
MOST_AT_LIMIT = 0.01
"""Fraction of decisions that rounding may turn."""


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        texts: how many were compared.
        source: a description of where they are from.
        largest: the largest absolute difference of a probability, or of a value.
        tolerance: the largest difference allowed.
    """

    texts: int
    source: str
    largest: float
    tolerance: float

    def record(self) -> dict[str, Any]:
        """Return plain data for ``export.json``."""
        return {
            "texts": self.texts,
            "texts_from": self.source,
            "largest_difference": self.largest,
            "tolerance": self.tolerance,
        }


def compare(
    run: Run,
    predict: Predictor,
    folder: Path,
    texts: Split,
    source: str,
    postprocessor: Postprocessor | None = None,
) -> Comparison:
    """Compare an export with its run, both from the same texts on, each with its own tokenizer.

    Args:
        run: the run, in its own precision.
        predict: the exported network.
        folder: of the exported tokenizer.
        texts: without labels.
        source: a description of where they are from.
        postprocessor: the export applies it.

    Raises:
        RunError: the tokenizers differ, or the outputs by more than the tolerance.
    """
    import numpy as np

    spec = run.spec
    model = run.model
    prompts = prompts_of(model.tokenizer)  # no tokenizer's file has them
    ours, theirs = (
        tokenizer.encode(texts.texts, texts.pairs, spec.max_length)
        for tokenizer in (model.tokenizer, tokenizer_of(folder, spec, prompts))
    )
    _refuse_other_tokens(ours, theirs, folder)
    encoding = Encoding(theirs.token_ids, theirs.segment_ids)
    largest = 0.0
    scale = 1.0
    for batch in evaluation_batches(encoding, 64):
        arrays, _ = batch_arrays(
            encoding, np.zeros(len(texts), "int8"), batch, model.tokenizer.pad_id
        )
        inputs = {name: arrays[name] for name in model.network.input}
        done = _run_outputs(model.network, spec, inputs, postprocessor)
        expected = probabilities_of(spec, done.outputs)
        given = predict(inputs)
        named = given if isinstance(given, dict) else {result_name(spec): given}
        found = np.asarray(named[result_name(spec)], dtype="float32")
        _refuse_other_decisions(done, named, spec, folder)
        if found.shape != expected.shape:
            raise _differs(folder, f"its output has the shape {found.shape}, not {expected.shape}")
        real = inputs["padding_mask"] == 1 if spec.task.is_per_word else slice(None)
        gap = np.abs(found[real] - expected[real])
        largest = max(largest, float(np.where(np.isnan(gap), np.inf, gap).max(initial=0)))
        if spec.output_kind is OutputKind.values:
            scale = max(scale, float(np.abs(expected).max(initial=0)))
    precision = str(run.config["train"].get("precision", "float32"))
    tolerance = TOLERANCE.get(precision, TOLERANCE_HALF) * scale
    if not largest <= tolerance:
        raise _differs(folder, f"by {largest:.2g} on {source}, more than {tolerance:.2g}")
    return Comparison(len(texts), source, largest, tolerance)


def _run_outputs(
    network: Any, spec: TaskSpec, inputs: dict[str, np.ndarray], postprocessor: Any
) -> Processed:
    import numpy as np

    outputs = np.asarray(network(inputs, training=False), dtype="float32")
    return Processed(outputs) if postprocessor is None else postprocessor(outputs)


def _refuse_other_decisions(
    done: Processed, named: Mapping[str, Any], spec: TaskSpec, folder: Path
) -> None:
    """Raise RunError if decisions, sets or intervals of an export are other than the run's.

    An output at the very limit may be on either side of it by rounding.
    """
    import numpy as np

    pairs: dict[str, Any] = {"set": done.included}
    if done.decisive is not None and spec.task.has_classes:
        pairs["predicted"] = np.asarray(predicted_classes(done.decisive, spec))
    for name, expected in pairs.items():
        if expected is not None and (named[name] != expected).mean() > MOST_AT_LIMIT:
            raise _differs(folder, f"its output '{name}' is another")
    if done.interval is not None:
        scale = max(1.0, float(np.abs(done.interval).max()))
        if np.abs(named["interval"] - done.interval).max() > TOLERANCE_HALF * scale:
            raise _differs(folder, "its output 'interval' is another")


def _refuse_other_tokens(ours: Encoding, theirs: Encoding, folder: Path) -> None:
    for ids, others in ((ours.token_ids, theirs.token_ids), (ours.segment_ids, theirs.segment_ids)):
        for row, (one, other) in enumerate(zip(ids, others, strict=True)):
            if list(one) != list(other):
                raise _differs(folder, f"its tokenizer makes other tokens of text {row + 1}")


def _differs(folder: Path, how: str) -> RunError:
    return RunError(
        f"the export differs from the run: {how}",
        where=str(folder),
        fix="nothing was kept; please report it with the versions in the run's run.json",
    )


def read_texts(path: Path, spec: TaskSpec) -> Split:
    """Return the first texts of a file, one on each line, with a tab between those of a pair.

    Raises:
        ConfigError: it is not there, is not UTF-8, or a line is no pair.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            lines = [line.rstrip("\n") for line, _ in zip(stream, range(MAX_TEXTS), strict=False)]
    except (OSError, UnicodeDecodeError) as e:
        what = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"the texts cannot be read: {what}",
            where=f"--texts {path}",
            fix="give a file with one text a line",
        ) from e
    if not lines:
        raise ConfigError("the file is empty", where=f"--texts {path}", fix="one text a line")
    if not spec.has_pairs:
        return _split(lines, None, spec)
    for number, line in enumerate(lines, 1):
        if line.count("\t") != 1:
            raise ConfigError(
                f"line {number} has {line.count(chr(9))} tabs; the run was trained on pairs",
                where=f"--texts {path}",
                fix="one tab between the two texts of each line",
            )
    firsts, seconds = zip(*(line.split("\t") for line in lines), strict=True)
    return _split(list(firsts), list(seconds), spec)


def generated_texts(run: Run, count: int = MAX_TEXTS) -> Split:
    """Return texts of random words of the vocabulary, short and long ones, always the same.

    They have any token and any length that can occur, so they test more of an export than a task's
    own texts; and they need the run folder alone.
    """
    import numpy as np

    spec = run.spec
    tokenizer = run.model.tokenizer
    if not isinstance(tokenizer, HubTokenizer):
        raise ConfigError(
            "no texts can be generated with this run's tokenizer",
            where="--texts",
            fix="--texts FILE, one text a line",
        )
    random = np.random.default_rng(0)
    sizes = np.exp(random.uniform(0, np.log(spec.max_length + 1), (count, 2))).astype(int)
    texts = [
        [tokenizer.decode(random.integers(0, tokenizer.vocabulary_size, n)) for n in pair]
        for pair in sizes
    ]
    pairs = [second for _, second in texts] if spec.has_pairs else None
    return _split([first for first, _ in texts], pairs, spec)


def _split(texts: list[str], pairs: Sequence[str] | None, spec: TaskSpec) -> Split:
    if spec.task.is_per_word:
        return Split([text.split() or ["."] for text in texts], None, pairs)
    return Split(texts, None, pairs)
