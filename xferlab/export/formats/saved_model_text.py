"""A SavedModel that takes texts: the tokenizer is in the graph, as TensorFlow's own operators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import TaskSpec
from xferlab.data.tokenizer import HubTokenizer
from xferlab.errors import ConfigError
from xferlab.export.formats.base import Format, register
from xferlab.export.model_card import write_graph_card
from xferlab.export.serving_function import Predictor, named_outputs
from xferlab.export.wordpiece_graph import TextGraph, read_rules, refuse_other_rules

if TYPE_CHECKING:
    import numpy as np

    from xferlab.inference.run import Run

_USE = """import tensorflow as tf

serve = tf.saved_model.load("FOLDER").signatures["serving_default"]
outputs = serve(CALL)
"""


@register
class SavedModelText(Format):
    """TensorFlow's SavedModel whose signature takes ``text``, and ``text_pair`` for pairs."""

    name = "saved_model_text"
    summary = "a SavedModel that takes texts: a WordPiece tokenizer is in its graph"
    is_graph = True
    reads_texts = True

    def refuse(self, run: Run) -> None:
        """Raise ConfigError for tags, and for a tokenizer other than WordPiece."""
        where = f"{run.folder}: model"
        tokenizer = run.model.tokenizer
        if run.spec.task.is_per_word or not isinstance(tokenizer, HubTokenizer):
            raise ConfigError(
                "a graph of texts is for examples that are texts, not words, and WordPiece",
                where=where,
                fix="--to saved_model, which takes the tokenizer's arrays",
            )
        refuse_other_rules(tokenizer.rules, where)

    def write(self, run: Run, folder: Path) -> None:
        """Write a SavedModel with one signature, ``serving_default``, of strings (batch,)."""
        import keras
        import tensorflow as tf

        spec = run.spec
        model = run.model
        tokenizer = model.tokenizer
        assert isinstance(tokenizer, HubTokenizer)
        prompts = tokenizer.prompts
        rules = read_rules(tokenizer.rules, has_pairs=spec.has_pairs)
        graph = TextGraph(rules, spec.max_length, tokenizer.pad_id)

        def serve(text: Any, text_pair: Any = None) -> dict[str, Any]:
            texts = [tf.strings.join([prompts.text, text])]
            if text_pair is not None:
                texts.append(tf.strings.join([prompts.pair, text_pair]))
            arrays = graph(*texts)
            inputs = {name: arrays[name] for name in model.network.input}
            found = named_outputs(model.network, spec, inputs, run.postprocessor)
            return {**found, "input_ids": arrays["token_ids"]}

        names = ("text", "text_pair")[: 1 + spec.has_pairs]
        archive = keras.export.ExportArchive()
        archive.track(model.network)
        archive.track(graph.table)
        signature = [tf.TensorSpec((None,), tf.string, name=name) for name in names]
        archive.add_endpoint("serving_default", serve, input_signature=signature)
        archive.write_out(str(folder), verbose=False)
        call = ", ".join(f"{name}=tf.constant(['a text'])" for name in names)
        outputs = "; `input_ids`, int32 (batch, length), are the tokens that it made"
        write_graph_card(run, folder, _USE.replace("CALL", call), more_outputs=outputs)

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the signature computes of strings."""
        import tensorflow as tf

        loaded = tf.saved_model.load(str(folder))
        serve = loaded.signatures["serving_default"]

        def predict(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            outputs = serve(**{name: tf.constant(texts) for name, texts in inputs.items()})
            return {name: value.numpy() for name, value in outputs.items()}

        predict.keeps = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
        return predict
