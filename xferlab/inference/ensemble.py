"""Several finished runs whose outputs are one, as a run: predicted with, evaluated, exported."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from xferlab.contracts import OutputKind, TaskSpec, TextModel
from xferlab.errors import ConfigError
from xferlab.functional.combination import combine_outputs
from xferlab.functional.probabilities import to_probabilities
from xferlab.inference.predictions import probabilities_of
from xferlab.inference.run import Run

TOKEN_INPUTS = ("token_ids", "segment_ids", "padding_mask")


@dataclasses.dataclass(frozen=True, repr=False)
class Ensemble(Run):
    """Runs of one task, each with its own network and tokenizer.

    Attributes:
        members: the runs; their own postprocesses are not applied.
        how: ``average`` or ``vote``.
    """

    members: tuple[Run, ...] = ()
    how: str = "average"

    def build(self) -> None:
        """Build the network of each member."""
        for member in self.members:
            member.build()

    def outputs(self, texts: Sequence[Any], pairs: Sequence[str] | None = None) -> Any:
        """Return the outputs of all members as one's, logits or values, as :meth:`Run.outputs`.

        A word has the outputs of the members that have a token of it.
        """
        import numpy as np

        parts = [
            in_order(probabilities_of(member.spec, member.outputs(texts, pairs)), member, self.spec)
            for member in self.members
        ]
        if not isinstance(parts[0], list):
            return np.asarray(combine_outputs(parts, self.how, self.spec, np), "float32")
        words = [_filled(np.stack(each)) for each in zip(*parts, strict=True)]
        found = (combine_outputs(list(each), self.how, self.spec, np) for each in words)
        return [np.asarray(each, "float32") for each in found]

    @cached_property
    def model(self) -> TextModel:
        """One network that computes what all members do together.

        Raises:
            ConfigError: they have different tokenizers, or a member's network has no names of
                inputs.
        """
        import keras

        models = [member.model for member in self.members]
        self._refuse_other_tokens(models)
        names = [name for name in TOKEN_INPUTS if any(name in m.network.input for m in models)]
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
        parts = []
        for number, (member, model) in enumerate(zip(self.members, models, strict=True)):
            model.network.name = f"member_{number}"  # names of layers must differ
            own = {name: inputs[name] for name in model.network.input}
            outputs = keras.ops.cast(model.network(own), "float32")
            if member.spec.output_kind is OutputKind.logits:
                outputs = to_probabilities(outputs, member.spec, keras.ops)
            parts.append(in_order(outputs, member, self.spec))
        combined = combine_outputs(parts, self.how, self.spec, keras.ops)
        return dataclasses.replace(models[0], network=keras.Model(inputs, combined), blocks={})

    def _refuse_other_tokens(self, models: Sequence[TextModel]) -> None:
        first = models[0].tokenizer.fingerprint
        for number, (member, model) in enumerate(zip(self.members, models, strict=True), 1):
            if model.tokenizer.fingerprint != first or member.spec.max_length != (
                self.members[0].spec.max_length
            ):
                raise ConfigError(
                    f"member {number} makes other tokens than member 1, and one graph takes one"
                    " tokenizer's",
                    where=str(self.folder),
                    fix="export each member of its folder members/, or combine runs of one"
                    " checkpoint and data.max_length",
                )


def in_order(values: Any, member: Run, spec: TaskSpec) -> Any:
    """Return a member's probabilities in the order of another spec's classes."""
    names = member.spec.class_names
    if names == spec.class_names:
        return values
    order = [names.index(name) for name in spec.class_names]
    if isinstance(values, list):
        return [words[:, order] for words in values]
    if hasattr(values, "dtype") and type(values).__module__ == "numpy":
        return values[..., order]
    import keras

    return keras.ops.take(values, order, axis=-1)


def _filled(parts: Any) -> Any:
    """Return words that a member has no token for with the mean of the others, (members, ...)."""
    import numpy as np

    missing = np.isnan(parts)
    if not missing.any():
        return parts
    known = (~missing).sum(axis=0)
    total = np.where(missing, 0.0, parts).sum(axis=0)
    mean = np.where(known > 0, total / np.maximum(known, 1), np.nan)
    return np.where(missing, mean, parts).astype("float32")
