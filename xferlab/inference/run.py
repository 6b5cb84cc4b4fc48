"""A finished run in Python: ``run = xferlab.load(folder); run.predict(["a text"])``."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from xferlab.backend.process import import_backend, kept_generators
from xferlab.config.recipe import Recipe, fitted_to, read_plain
from xferlab.contracts import Encoding, Split, TaskSpec, TextModel
from xferlab.data.batching import begins_word
from xferlab.data.labels import Rows
from xferlab.data.readers.examples import text_problem
from xferlab.data.splits import known_split
from xferlab.data.windows import WordWindows, encode_windows
from xferlab.errors import ConfigError
from xferlab.evaluation.bootstrap import SAMPLES
from xferlab.evaluation.errors_table import NUMBER
from xferlab.evaluation.split_evaluation import Evaluation, evaluate_split
from xferlab.evaluation.unseen_words import count_unseen_words
from xferlab.functional.metrics import keras_form
from xferlab.groups import GROUPS
from xferlab.inference.frames import as_frame, columns_of_frame, is_frame
from xferlab.inference.merge_lora import merge_lora
from xferlab.inference.notebook_view import render_run
from xferlab.inference.predictions import aligned_outputs, predictions_of, probabilities_of
from xferlab.inference.run_folder import RunFolder
from xferlab.models.plugin_head import head_argument
from xferlab.postprocessing.record import read_postprocess
from xferlab.postprocessing.steps import GROUP as POSTPROCESS
from xferlab.postprocessing.steps import Postprocessor
from xferlab.registry import REGISTRY
from xferlab.runs.history import history_of
from xferlab.runs.metadata import read_metrics
from xferlab.training.evaluation import Forward
from xferlab.training.transfer_stack import apply_transfer
from xferlab.training.weights import load_weights

log = logging.getLogger("xferlab")


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its record, and its network with the trained weights.

    Attributes:
        content: of its folder.
    """

    content: RunFolder

    def __repr__(self) -> str:
        classes = f", {self.spec.num_classes} classes" if self.spec.class_names else ""
        return f"<run {self.record.get('run_id')}: {self.spec.task.name}{classes}, {self.folder}>"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.content.folder

    @property
    def record(self) -> Mapping[str, Any]:
        """Its ``run.json``."""
        return self.content.record

    @property
    def config(self) -> Mapping[str, Any]:
        """Its resolved config, plain data."""
        return self.content.config

    @property
    def scores(self) -> Mapping[str, Any]:
        """Its ``metrics.json``: the ``best`` epoch, ``validation`` and ``test`` scores."""
        return read_metrics(self.folder)

    @property
    def history(self) -> list[dict[str, float]]:
        """A dict for each epoch: the numbers of ``history.csv``."""
        return history_of(self.folder)

    def _repr_html_(self) -> str:
        return render_run(repr(self), self.scores, self.history)

    @property
    def spec(self) -> TaskSpec:
        """The task of the training data, and the kind of the model's outputs."""
        return self.content.spec

    @cached_property
    def recipe(self) -> Recipe:
        """Every plugin of the run, its task's own metrics where none was chosen.

        Raises:
            ConfigError: one of them is not installed here.
        """
        for group in ("data", "model", "head", "transfer", "loss", "optimizer", "schedule"):
            self.plugin(group)
        needed = {
            k: v for k, v in self.config.items() if k not in GROUPS or not GROUPS[k].may_be_absent
        }
        return fitted_to(read_plain(needed), self.spec.task)

    def plugin(self, group: str) -> Any:
        """Return the run's plugin of a group, made from its config.

        Raises:
            ConfigError: it is not installed here.
        """
        node = self.config.get(group) or REGISTRY.default_node(GROUPS[group])
        for member in GROUPS[group].nodes(node).values():
            self._refuse_missing(group, member)
        return REGISTRY.create_chosen(GROUPS[group], node)

    def _refuse_missing(self, group: str, node: Any) -> None:
        """Raise ConfigError if a plugin of the run is not installed here."""
        name = node.get("name") if isinstance(node, Mapping) else None
        if isinstance(name, str) and name not in REGISTRY.names(group):
            origins = self.record.get("plugins")
            origin = origins.get(f"{group}={name}") if isinstance(origins, Mapping) else None
            raise REGISTRY.unknown(
                group,
                name,
                fix="install the plugin, or name its folder, plugins.paths=[DIR]: it came from"
                f" {origin or 'an unknown file'} at training",
            )

    @cached_property
    def postprocessor(self) -> Postprocessor | None:
        """What is applied to the network's outputs; None for a run without a postprocess.

        One that was fitted to other weights than those that are chosen is not applied.

        Raises:
            ConfigError: its file is damaged, or a plugin is not installed here.
        """
        found = read_postprocess(self.folder, self.plugin(POSTPROCESS), self.spec)
        if found is None or found.weights == self.content.digest:
            return found
        log.warning(
            "note       the postprocess was fitted to other weights than %s: it is not applied",
            self.content.weights.name,
        )
        return None

    @cached_property
    def model(self) -> TextModel:
        """The network with its trained weights, and its tokenizer; built at the first use.

        Low-rank matrices of ``transfer=lora`` are merged into the weights.

        Raises:
            ConfigError: the weights do not fit the config's network.
        """
        import_backend()
        plugin = self.plugin("model")
        with _precision(self.config), kept_generators():
            head = head_argument(plugin, self.plugin("head"))
            if hasattr(plugin, "restore"):
                model = plugin.restore(self.spec, self.folder / "model", **head)
            else:
                model = plugin.build(self.spec, **head)
            self._apply_transfer(model)
            load_weights(model.network, self.content.weights)
            merge_lora(model.network)
        origin = self.record.get("checkpoint")
        return dataclasses.replace(model, origin=origin if isinstance(origin, Mapping) else {})

    def with_postprocessor(self, postprocessor: Postprocessor | None) -> Any:
        """Return the same run, its network too, with another postprocess or without any."""
        self.build()
        other = dataclasses.replace(self)
        kept = ("model", "recipe", "_forward")
        vars(other).update({name: value for name, value in vars(self).items() if name in kept})
        vars(other)["postprocessor"] = postprocessor
        return other

    def build(self) -> None:
        """Build the network, so that a run that cannot be built is refused."""
        assert self.model

    def outputs(self, texts: Sequence[Any], pairs: Sequence[str] | None = None) -> Any:
        """Return the network's raw outputs for each example, in order.

        Args:
            texts: strings; for token classification, lists of words or strings, split at blanks.
            pairs: the second text of each example, where the run was trained on pairs.

        Returns:
            float32 (examples, num_outputs): logits, probabilities or values by
            ``spec.output_kind``. For token classification a list of float32 (words, num_outputs):
            a word has the outputs of its first token, as in training, NaN where it has none (after
            ``max_length`` tokens).

        Raises:
            ConfigError: examples that do not fit the run.
        """
        import numpy as np

        rows = check_examples(self.spec, texts, pairs)
        is_per_word = self.spec.task.is_per_word
        if not len(rows):
            return [] if is_per_word else np.zeros((0, self.spec.num_outputs), dtype="float32")
        tokenizer = self.model.tokenizer
        if self.spec.windows is None:
            encoding = tokenizer.encode(rows.texts, rows.pairs, self.spec.max_length)
        else:
            encoding = encode_windows(tokenizer, rows.texts, rows.pairs, self.spec)
        words_of = encoding.word_ids or ()
        empty = np.zeros(len(rows), dtype="int8")
        if not is_per_word:
            return self._forward(encoding, empty)[1]
        found = [np.full((len(t), self.spec.num_outputs), np.nan, "float32") for t in rows.texts]
        tokens = Encoding(encoding.token_ids, encoding.segment_ids)
        windows = WordWindows(encoding.owners)
        empty = np.zeros(len(words_of), dtype="int8")
        for batch, _, out in self._forward.batches(tokens, empty):
            for row, values in zip(batch, out, strict=True):
                words = np.asarray(words_of[row])
                first = np.flatnonzero(begins_word(words))
                example, first = windows.choose(int(row), words, first)
                found[example][words[first]] = values[first]
        return found

    def probabilities(self, texts: Sequence[Any], pairs: Sequence[str] | None = None) -> Any:
        """Return the probability of each class, shaped like :meth:`outputs`.

        Softmax of logits, sigmoid for several labels; a regression's values as they are. The run's
        postprocess is applied.
        """
        outputs = self.outputs(texts, pairs)
        if self.postprocessor is not None:
            outputs = self.postprocessor.of_examples(outputs).outputs
        return probabilities_of(self.spec, outputs)

    def predict(self, texts: Any, pairs: Sequence[str] | None = None) -> Any:
        """Return labels and probabilities of texts, by the names of the classes.

        Args:
            texts: strings, or lists of words; or a DataFrame, of pandas or polars, with the
                columns that the run was trained on.
            pairs: the second texts, where the run was trained on pairs.

        Returns:
            Predictions; of a DataFrame another one with its index, a row for each example.
        """
        if is_frame(texts):
            found = self.predict(*columns_of_frame(texts, self.config.get("data"), self.spec))
            return as_frame(found, texts)
        rows = check_examples(self.spec, texts, pairs)
        outputs = self.outputs(texts, pairs)
        return predictions_of(self.spec, rows, outputs, self.postprocessor)

    def evaluate(
        self, texts: Sequence[Any], labels: Sequence[Any], pairs: Sequence[str] | None = None
    ) -> Evaluation:
        """Return scores of labelled texts, with intervals and analyses.

        Args:
            texts: strings; for token classification, lists of words.
            labels: for each example a class name, a list of names (or one string of them, between
                which is ``data.label_separator``), a number, or a list of tags.
            pairs: the second text of each example, where the run was trained on pairs.

        Raises:
            ConfigError: examples that do not fit the run, or a label that is none of its classes.
        """
        separator = self.config["data"].get("label_separator") or "|"
        rows = known_split(
            "texts", Rows(texts, labels, pairs), self.spec, label_separator=separator
        )
        return self.evaluation(rows, "texts")

    def evaluation(
        self, rows: Split, name: str, samples: int = SAMPLES, listed_errors: int = NUMBER
    ) -> Evaluation:
        """Return scores of examples that are labelled by indices of the run's classes.

        Args:
            rows: texts and labels.
            name: of the split.
            samples: resamples for the intervals; 0 for none.
            listed_errors: how many of the most confident errors to list.
        """
        import numpy as np

        outputs = self.outputs(rows.texts, rows.pairs)
        loss, metrics = self.scorers()
        unseen = None
        if self.spec.task.is_per_word:
            has_token = (~np.isnan(words).all(axis=-1) for words in outputs)
            unseen = count_unseen_words(self.spec, rows.labels, has_token)
        aligned = aligned_outputs(self.spec, rows, outputs, self.postprocessor)
        return evaluate_split(name, aligned, loss, metrics, samples, listed_errors, unseen=unseen)

    def scorers(self) -> tuple[Any, dict[str, Any]]:
        """Return the run's loss and its metrics by name, as Keras uses them."""
        metrics = {
            name: keras_form(plugin.build(self.spec))
            for name, plugin in self.recipe.metrics.items()
        }
        return self.recipe.loss.build(self.spec), metrics

    @cached_property
    def _forward(self) -> Forward:
        train = self.config.get("train")
        size = train.get("eval_batch_size") if isinstance(train, Mapping) else None
        model = self.model
        return Forward(model.network, model.tokenizer.pad_id, size if isinstance(size, int) else 64)

    def _apply_transfer(self, model: TextModel) -> None:
        """Change the network as the transfer strategy did before the weights were trained."""
        try:
            apply_transfer(self.plugin("transfer"), model, self.content.budget)
        except ConfigError as e:
            raise ConfigError(
                f"the transfer strategy does not fit the run's network: {e.what}",
                where=f"{self.folder}/config.yaml: transfer",
                fix="use the plugins of the run that wrote it",
            ) from e


def check_examples(spec: TaskSpec, texts: Sequence[Any], pairs: Sequence[str] | None) -> Split:
    """Return examples as the tokenizer takes them, without labels.

    Raises:
        ConfigError: one string instead of a list, examples that are no text, a wrong number of
            pairs.
    """
    for name, column in (("texts", texts), ("pairs", pairs)):
        if isinstance(column, str):
            raise ConfigError(f"{name} is one string", where=name, fix=f"give a list: [{name}]")
    if spec.has_pairs != (pairs is not None):
        raise ConfigError(
            "this run was trained on pairs of texts"
            if spec.has_pairs
            else "this run was trained on single texts, without pairs",
            where="pairs",
            fix="give as many pairs as texts" if spec.has_pairs else "leave pairs out",
        )
    if pairs is not None and len(pairs) != len(texts):
        raise ConfigError(
            f"there are {len(texts)} texts and {len(pairs)} pairs",
            where="pairs",
            fix="give one of each for every example",
        )
    rows = []
    for number, text in enumerate(texts, 1):
        problem = example_problem(spec, text, None if pairs is None else pairs[number - 1])
        if problem:
            raise ConfigError(
                f"row {number} {problem}", where="texts", fix="correct it or leave it out"
            )
        rows.append(text)
    if spec.task.is_per_word:
        rows = [text.split() if isinstance(text, str) else list(text) for text in rows]
    return Split(rows, None, pairs)


def example_problem(spec: TaskSpec, text: Any, pair: Any = None) -> str:
    """Return why no prediction can be made for an example; "" if one can."""
    parts = [text, pair] if spec.has_pairs else [text]
    if spec.task.is_per_word and isinstance(text, list | tuple):
        parts = [*text, *parts[1:]]
    for part in parts:
        if not isinstance(part, str):
            second = "second " if part is pair and part is not text else ""
            is_none = part is None or part != part
            return f"has no {second}text" if is_none else f"is no text but {type(part).__name__}"
        if text_problem(part):
            return text_problem(part)
    return ""


@contextmanager
def _precision(config: Mapping[str, Any]) -> Iterator[None]:
    """Build layers in the precision of the training, then restore Keras's own policy."""
    import keras

    before = keras.config.dtype_policy()
    train = config.get("train")
    policy = train.get("precision") if isinstance(train, Mapping) else None
    keras.config.set_dtype_policy(str(policy or "float32"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
