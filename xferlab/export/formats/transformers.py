"""A folder that transformers' own classes and ``pipeline`` load in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.export.formats.base import FORMATS, Format, register
from xferlab.export.model_card import model_card
from xferlab.export.output_folder import write_plain
from xferlab.export.serving_function import Predictor
from xferlab.inference.predictions import probabilities_of
from xferlab.io.tensors import read_weight
from xferlab.models.architectures import Architecture, read_architecture
from xferlab.models.checkpoint import resolve
from xferlab.models.saved_encoder import SHAPE
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
                fix=f"--to {_others()}, or train model=encoder with pooling=first",
            )
        resolve(str(saved), weights=False)
        pooling = getattr(run.plugin("model"), "pooling", None)
        is_first = getattr(pooling, "name", "first") == "first"
        if not run.spec.task.is_per_word and not is_first:
            raise _no_class_pools(run)

    def write(self, run: Run, folder: Path) -> None:
        """Write ``config.json``, ``model.safetensors`` and ``README.md``."""
        from safetensors.numpy import save_file

        network = run.model.network
        spec = run.spec
        architecture = architecture_of(run)
        names = {layer.name for layer in network.layers}
        if "head_mean" in names:
            raise _no_class_pools(run)
        tensors = encoder_tensors(network, architecture)
        tensors |= head_tensors(network, architecture, spec.task.is_per_word)
        save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
        dropout = float(network.get_layer("head_dropout").rate) if "head_dropout" in names else 0.0
        table = config_json(architecture, spec, run.model.tokenizer.pad_id, dropout)
        write_plain(folder, "config.json", table)
        (folder / "README.md").write_text(model_card(run), encoding="utf-8")

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the files in ``folder`` compute, read back by this project's own loader.

        The encoder is built by the written ``config.json`` from the written tensors; the head is
        computed here from its tensors.
        """
        from xferlab.models.encoder import load_encoder

        checkpoint = resolve(str(folder))
        encoder = load_encoder(checkpoint)
        *dense, output = encoder.architecture.head_stems(spec.task.is_per_word)

        def linear(stem: str, x: Any) -> Any:
            weight = read_weight(checkpoint.tensors[f"{stem}.weight"])
            return x @ weight.T + read_weight(checkpoint.tensors[f"{stem}.bias"])

        def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
            import keras
            import numpy as np

            found = encoder.backbone(dict(inputs), training=False)
            x = np.asarray(found["sequence_output"])
            if dense and encoder.pooled_output is not None:
                x = np.asarray(found["pooled_output"])
            elif dense:
                activation = keras.activations.get(encoder.architecture.first_token_dense[1])
                x = np.asarray(activation(linear(dense[0], x[:, 0])))
            return probabilities_of(spec, linear(output, x))

        return predict


def _no_class_pools(run: Run) -> ConfigError:
    return ConfigError(
        "no class of transformers has a head on the mean of all tokens (pooling=mean)",
        where=f"{run.folder}: model.pooling",
        fix=f"--to {_others()}, or train with model.pooling=first",
    )


def _others() -> str:
    """Return the formats that hold any network."""
    return "|".join(name for name in sorted(FORMATS) if name != Transformers.name)


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
    names = spec.class_names or ("value",)
    table = {
        "architectures": [architecture.class_name(spec.task.head_class)],
        **architecture.to_config(pad_id),
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
        "dtype": "float32",
    }
    table[architecture.head_dropout_key] = dropout
    if spec.task.problem_type:
        table["problem_type"] = spec.task.problem_type
    return table
