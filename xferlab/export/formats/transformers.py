"""A folder that transformers' own classes and ``pipeline`` load in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import TaskSpec
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError
from xferlab.export.formats.base import FORMATS, Format, register
from xferlab.export.masked_lm_files import masked_lm_keys, masked_lm_tensors, read_masked_lm
from xferlab.export.model_card import model_card
from xferlab.export.output_folder import write_plain
from xferlab.export.sentence_files import write_sentence_files
from xferlab.export.serving_function import Predictor
from xferlab.inference.predictions import probabilities_of
from xferlab.models.architectures import Architecture, read_architecture
from xferlab.models.checkpoint import resolve
from xferlab.models.plugin_head import reads_of
from xferlab.models.reading import Reading, reading_without_modules
from xferlab.models.saved_encoder import SHAPE, saved_reading
from xferlab.models.text_pairs import vector_of_text
from xferlab.models.text_vector import TextVector
from xferlab.models.to_transformers import encoder_tensors, head_tensors

if TYPE_CHECKING:
    import numpy as np

    from xferlab.inference.run import Run


@register
class Transformers(Format):
    """A folder that transformers loads in PyTorch: AutoModelFor..., pipeline."""

    name = "transformers"
    summary = "a folder that transformers loads in PyTorch: AutoModelFor..., pipeline"

    def refuse(self, run: Run) -> None:
        """Raise ConfigError, before TensorFlow is imported, if no class of transformers fits."""
        saved = run.folder / "model"
        if not (saved / SHAPE).is_file():
            raise ConfigError(
                f"transformers has no class for model={run.config['model'].get('name')}",
                where=f"{run.folder}: model",
                fix=f"--to {_others(run)}, or train model=encoder",
            )
        _architecture_of_class(run)
        _refuse_missing_padding(run)

    def write(self, run: Run, folder: Path) -> None:
        """Write ``config.json``, ``model.safetensors`` and ``README.md``."""
        from safetensors.numpy import save_file

        network = run.model.network
        spec = run.spec
        architecture = _architecture_of_class(run)
        names = {layer.name for layer in network.layers}
        tensors = encoder_tensors(network, architecture)
        if spec.task.masks_tokens:
            tensors |= masked_lm_tensors(network, architecture)
        else:
            tensors |= head_tensors(network, architecture, spec.task.is_per_word)
        save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
        dropout = float(network.get_layer("head_dropout").rate) if "head_dropout" in names else 0.0
        table = config_json(architecture, spec, run.model.tokenizer.pad_id, dropout)
        if spec.task.masks_tokens:
            table |= masked_lm_keys(network)
        write_plain(folder, "config.json", table)
        own = reading_of(run).own
        if own is not None:
            write_sentence_files(run, own, architecture.hidden_size, folder)
        (folder / "README.md").write_text(model_card(run), encoding="utf-8")

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the files in ``folder`` compute, read back by this project's own loader.

        The network is built by the written ``config.json`` from the written tensors.
        """
        import numpy as np

        from xferlab.models.encoder import load_encoder
        from xferlab.models.head import attach_head
        from xferlab.models.weight_names import TensorNames, assign_head

        if spec.task.masks_tokens:
            masked = read_masked_lm(folder, spec)
            return lambda inputs: probabilities_of(spec, np.asarray(masked(dict(inputs))))
        checkpoint = resolve(str(folder))
        encoder = load_encoder(checkpoint)
        is_per_word = spec.task.is_per_word
        vector = TextVector(encoder.architecture.class_pooling, is_of_class=True)
        network, _, _ = attach_head(
            encoder, spec.num_outputs, is_per_word=is_per_word, vector=vector, dropout=0.0
        )
        names = TensorNames(encoder.architecture, checkpoint.tensors, str(folder))
        assign_head(network, names, is_per_word)
        pad_id = int(checkpoint.config["pad_token_id"])
        finds_end = encoder.architecture.is_causal and not is_per_word

        def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
            given = end_texts_by_id(inputs, pad_id) if finds_end else dict(inputs)
            return probabilities_of(spec, np.asarray(network(given, training=False)))

        return predict


def _architecture_of_class(run: Run) -> Architecture:
    """Return the architecture whose class of transformers has the run's head, or refuse it."""
    architecture = architecture_of(run)
    if run.spec.task.masks_tokens:  # of other families no such run is trained
        return architecture
    head_class = run.spec.task.head_class
    if head_class not in architecture.head_classes:
        raise ConfigError(
            f"transformers has no class {architecture.class_name(head_class)}",
            where=f"{run.folder}: model",
            fix=f"--to {_others(run)}, or train a model of another family",
        )
    vector = vector_of(run)
    is_own = reads_of(run.plugin("head"), run.spec).tokens == "own"
    if is_own and run.spec.task.is_per_word:
        return architecture
    found = architecture.with_pooling(vector.pooling)
    if found is None or not vector.is_of_class:
        usual = f"model.pooling={architecture.class_pooling}" if is_own else "head=auto"
        raise ConfigError(
            f"transformers' class for {architecture.model_type} has no head on {vector}",
            where=f"{run.folder}: {'model.pooling' if is_own else 'head'}",
            fix=f"--to {_others(run)}, or train with {usual}",
        )
    return found


def vector_of(run: Run) -> TextVector:
    """Return what the last layer of a run's head reads of a text."""
    head = run.plugin("head")
    if reads_of(head, run.spec).tokens == "own":
        return vector_of_text(run.spec, reading_of(run).vector, architecture_of(run))
    return TextVector(getattr(head, "pooling", "") or f"head={run.config['head']['name']}")


def reading_of(run: Run) -> Reading:
    """Return how the run's model reads texts."""
    saved = saved_reading(run.folder / "model")
    pooling = getattr(run.plugin("model"), "pooling", None)
    return saved or reading_without_modules(architecture_of(run), getattr(pooling, "name", "auto"))


def end_texts_by_id(inputs: Mapping[str, np.ndarray], pad_id: int) -> dict[str, np.ndarray]:
    """Return inputs whose texts end as transformers' classes for decoders find their ends.

    These read the last token that is not padding's, whatever the mask is.
    """
    import numpy as np

    is_token = np.asarray(inputs["token_ids"]) != pad_id
    is_token[:, 0] = True
    is_text = np.cumsum(is_token[:, ::-1], axis=1)[:, ::-1] > 0
    return {**inputs, "padding_mask": inputs["padding_mask"] * is_text}


def _others(run: Run) -> str:
    """Return the names of the formats that hold a run and take and give what this one does."""
    others = {k: v for k, v in FORMATS.items() if not (v.is_rounded or v.reads_texts)}
    names = sorted(others.keys() - {Transformers.name})
    return "|".join(name for name in names if _holds(others[name], run))


def _holds(other: Format, run: Run) -> bool:
    try:
        other.refuse(run)
    except ConfigError:
        return False
    return True


def _refuse_missing_padding(run: Run) -> None:
    """Raise ConfigError for a decoder whose tokenizer has no special token for padding."""
    architecture = architecture_of(run)
    if run.spec.task.is_per_word or not architecture.is_causal:
        return
    if not load_tokenizer(run.folder / "model").has_padding:
        raise ConfigError(
            f"transformers' class for {architecture.model_type} finds a text's end by its padding,"
            " and this tokenizer has no special token for it",
            where=f"{run.folder}: model",
            fix=f"--to {_others(run)}, or train with a tokenizer that has a pad_token",
        )


def architecture_of(run: Run) -> Architecture:
    """Return the run's encoder: its sizes and its family."""
    saved = str(run.folder / "model")
    return read_architecture(resolve(saved, weights=False).config, saved)


def config_json(
    architecture: Architecture, spec: TaskSpec, pad_id: int, dropout: float
) -> dict[str, Any]:
    """Return the content of ``config.json``: encoder, class, labels, problem.

    Args:
        architecture: the encoder.
        spec: the task.
        pad_id: token id of padding.
        dropout: rate before the head's output.
    """
    names = () if spec.task.masks_tokens else spec.class_names or ("value",)
    labels = {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }
    table = {
        "architectures": [architecture.class_name(spec.task.head_class)],
        **architecture.to_config(pad_id),
        **(labels if names else {}),
        "dtype": "float32",
        "transformers_version": version("transformers"),
    }
    table[architecture.head_dropout_key] = dropout
    if spec.task.problem_type:
        table["problem_type"] = spec.task.problem_type
    return table
