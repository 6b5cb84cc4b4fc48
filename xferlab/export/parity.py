"""Compares an export with its run: the largest difference of their outputs over many texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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

    def lines(self) -> list[str]:
        """Return what is printed."""
        return [
            f"compared   {self.texts:,} {self.source}",
            f"difference {self.largest:.2g} at most (tolerance {self.tolerance:.2g})",
        ]


def compare(
    run: Run,
    predict: Predictor,
    folder: Path,
    texts: Split,
    source: str,
    postprocessor: Postprocessor | None = None,
    *,
    reads_texts: bool = False,
) -> Comparison:
    """Compare an export with its run, both from the same texts on, each with its own tokenizer.

    Args:
        run: the run, in its own precision.
        predict: the exported network.
        folder: of the exported tokenizer.
        texts: without labels.
        source: a description of where they are from.
        postprocessor: the export applies it.
        reads_texts: ``predict`` takes texts, and returns its tokens too.

    Raises:
        RunError: the tokenizers differ, or the outputs by more than the tolerance.
    """
    import numpy as np

    spec = run.spec
    encoding = encoded_alike(run, folder, texts)
    largest = 0.0
    scale = 1.0
    given = texts if reads_texts else None
    for each in paired_outputs(run, predict, encoding, postprocessor, given):
        if reads_texts and not np.array_equal(each.theirs["input_ids"], each.inputs["token_ids"]):
            raise _differs(run, f"its graph makes other tokens on {source}")
        expected = probabilities_of(spec, each.ours.outputs)
        found = np.asarray(each.theirs[result_name(spec)], dtype="float32")
        _refuse_other_decisions(run, each.ours, each.theirs)
        if found.shape != expected.shape:
            raise _differs(run, f"its output has the shape {found.shape}, not {expected.shape}")
        real = each.inputs["padding_mask"] == 1 if spec.task.is_per_word else slice(None)
        gap = np.abs(found[real] - expected[real])
        largest = max(largest, float(np.where(np.isnan(gap), np.inf, gap).max(initial=0)))
        if spec.output_kind is OutputKind.values:
            scale = max(scale, float(np.abs(expected).max(initial=0)))
    precision = str(run.config["train"].get("precision", "float32"))
    tolerance = TOLERANCE.get(precision, TOLERANCE_HALF) * scale
    if not largest <= tolerance:
        raise _differs(run, f"by {largest:.2g} on {source}, more than {tolerance:.2g}")
    return Comparison(len(texts), source, largest, tolerance)


def encoded_alike(run: Run, folder: Path, texts: Split) -> Encoding:
    """Return the tokens that the exported tokenizer makes of texts; long ones are cut.

    Raises:
        RunError: the run's own tokenizer makes others.
    """
    tokenizer = run.model.tokenizer
    prompts = prompts_of(tokenizer)  # no tokenizer's file has them
    ours, theirs = (
        each.encode(texts.texts, texts.pairs, run.spec.max_length)
        for each in (tokenizer, tokenizer_of(folder, run.spec, prompts))
    )
    _refuse_other_tokens(run, ours, theirs)
    return theirs


@dataclass(frozen=True, eq=False)
class PairedOutputs:
    """What a run and its export compute of one batch.

    Attributes:
        rows: of the batch, int64 (batch,).
        inputs: of the network, by name.
        ours: of the run, with its postprocess.
        theirs: of the export, by the names of ``serving_function``.
    """

    rows: np.ndarray
    inputs: dict[str, np.ndarray]
    ours: Processed
    theirs: Mapping[str, Any]


def paired_outputs(
    run: Run,
    predict: Predictor,
    encoding: Encoding,
    postprocessor: Postprocessor | None,
    texts: Split | None = None,
    batch_size: int = 64,
) -> Iterator[PairedOutputs]:
    """Yield the outputs of a run and of its export, batch by batch, the longest texts first.

    Args:
        run: the run, in its own precision.
        predict: the exported network.
        encoding: the tokens of the texts.
        postprocessor: of the run; None if the export does not apply it.
        texts: ``predict`` takes these, not their tokens.
        batch_size: texts a batch.
    """
    import numpy as np

    model = run.model
    tokens = Encoding(encoding.token_ids, encoding.segment_ids)
    no_labels = np.zeros(len(encoding.token_ids), "int8")
    for batch in evaluation_batches(tokens, batch_size):
        arrays, _ = batch_arrays(tokens, no_labels, batch, model.tokenizer.pad_id)
        inputs = {name: arrays[name] for name in model.network.input}
        outputs = np.asarray(model.network(inputs, training=False), dtype="float32")
        done = Processed(outputs) if postprocessor is None else postprocessor(outputs)
        given = predict(inputs if texts is None else _texts_of(texts, batch.rows))
        named = given if isinstance(given, dict) else {result_name(run.spec): given}
        yield PairedOutputs(batch.rows, inputs, done, named)


def _texts_of(texts: Split, rows: np.ndarray) -> dict[str, Any]:
    found = {"text": [texts.texts[row] for row in rows]}
    return found if texts.pairs is None else {**found, "text_pair": [texts.pairs[r] for r in rows]}


def _refuse_other_decisions(run: Run, done: Processed, named: Mapping[str, Any]) -> None:
    """Raise RunError if decisions, sets or intervals of an export are other than the run's.

    An output at the very limit may be on either side of it by rounding.
    """
    import numpy as np

    spec = run.spec
    pairs: dict[str, Any] = {"set": done.included}
    if done.decisive is not None and spec.task.has_classes:
        pairs["predicted"] = np.asarray(predicted_classes(done.decisive, spec))
    for name, expected in pairs.items():
        if expected is not None and (named[name] != expected).mean() > MOST_AT_LIMIT:
            raise _differs(run, f"its output '{name}' is another")
    if done.interval is not None:
        scale = max(1.0, float(np.abs(done.interval).max()))
        if np.abs(named["interval"] - done.interval).max() > TOLERANCE_HALF * scale:
            raise _differs(run, "its output 'interval' is another")


def _refuse_other_tokens(run: Run, ours: Encoding, theirs: Encoding) -> None:
    for ids, others in ((ours.token_ids, theirs.token_ids), (ours.segment_ids, theirs.segment_ids)):
        for row, (one, other) in enumerate(zip(ids, others, strict=True)):
            if list(one) != list(other):
                raise _differs(run, f"its tokenizer makes other tokens of text {row + 1}")


def _differs(run: Run, how: str) -> RunError:
    return RunError(
        f"the export differs from the run: {how}",
        where=str(run.folder),
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


def with_random_characters(texts: Split, tokenizer: HubTokenizer, count: int = 300) -> Split:
    """Return texts and others of any characters, blanks and special tokens, always the same."""
    import numpy as np

    random = np.random.default_rng(0)
    special = [token["content"] for token in json.loads(tokenizer.rules)["added_tokens"]]
    usual = [*"aZ.-' \t\n", "\u00e9", "\u0130", "e\u0301", "\u4e2d", "\ud55c", *special]
    ends = np.array([0x80, 0x800, 0xD800, 0x110000])

    def text() -> str:
        numbers = (random.random(40) * random.choice(ends, 40)).astype(int)
        whole = [chr(n) if not 0xD800 <= n <= 0xDFFF else " " for n in numbers]
        mixed = [c if random.random() < 0.7 else str(random.choice(usual)) for c in whole]
        return "".join(mixed[: random.integers(0, 41)])

    more = ["", " ", "a" * 100, "a" * 101, *(text() for _ in range(count))]
    pairs = None if texts.pairs is None else [*texts.pairs, *reversed(more)]
    return Split([*texts.texts, *more], None, pairs)


def _split(texts: list[str], pairs: Sequence[str] | None, spec: TaskSpec) -> Split:
    if spec.task.is_per_word:
        return Split([text.split() or ["."] for text in texts], None, pairs)
    return Split(texts, None, pairs)
