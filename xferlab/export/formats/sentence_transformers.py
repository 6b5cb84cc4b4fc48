"""A folder that sentence-transformers opens, with the head in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.export.formats.base import Format, register
from xferlab.export.formats.transformers import architecture_of, config_json, vector_of
from xferlab.export.model_card import model_card
from xferlab.export.output_folder import write_plain
from xferlab.export.sentence_files import write_sentence_files
from xferlab.export.serving_function import Predictor
from xferlab.inference.predictions import probabilities_of
from xferlab.models.checkpoint import resolve
from xferlab.models.checkpoint_files import CONFIG, SAFETENSORS
from xferlab.models.head import scale_of
from xferlab.models.saved_encoder import SHAPE
from xferlab.models.text_pairs import pair_splitting
from xferlab.models.text_vector import POOLINGS
from xferlab.models.to_transformers import encoder_tensors

if TYPE_CHECKING:
    import numpy as np

    from xferlab.inference.run import Run

HEAD = "head"
"""Folder of the head, a ``Dense`` module of sentence-transformers."""

_USE = """from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

encoder = SentenceTransformer("FOLDER")
head = load_file("FOLDER/head/model.safetensors")
vectors = encoder.encode(["a text"])
logits = vectors @ head["linear.weight"].T + head["linear.bias"]
"""


@register
class SentenceTransformers(Format):
    """A folder that sentence-transformers opens; ``head/`` gives logits of its embeddings."""

    name = "sentence_transformers"
    summary = "a folder that SentenceTransformer opens, and its head as a Dense module"

    def refuse(self, run: Run) -> None:
        """Raise ConfigError where the head reads no vector that the library computes."""
        where = f"{run.folder}: model.pooling"
        if run.spec.has_pairs and not run.spec.task.encodes_texts_apart:
            raise ConfigError(
                "sentence-transformers makes a vector of one text, and this run reads pairs",
                where=where,
                fix="--to transformers, keras or another format",
            )
        is_encoder = (run.folder / "model" / SHAPE).is_file()
        vector = vector_of(run)
        is_computed = vector.pooling in POOLINGS.values() and not vector.is_of_class
        if not is_encoder or run.spec.task.is_per_word or not is_computed:
            raise ConfigError(
                "the head of this run reads no vector that sentence-transformers computes",
                where=where,
                fix="--to transformers, keras or another format, or train with model.pooling=mean",
            )

    def write(self, run: Run, folder: Path) -> None:
        """Write the encoder, the modules, the head and ``README.md``."""
        from safetensors.numpy import save_file

        architecture = architecture_of(run)
        prefix = architecture.weight_prefix
        tensors = encoder_tensors(run.model.network, architecture)
        plain = {name.removeprefix(prefix): array for name, array in tensors.items()}
        save_file(plain, str(folder / SAFETENSORS.file), metadata={"format": "pt"})
        table = config_json(architecture, run.spec, run.model.tokenizer.pad_id, 0.0)
        write_plain(
            folder, CONFIG, table | {"architectures": [f"{architecture.class_prefix}Model"]}
        )
        vector = vector_of(run)
        write_sentence_files(run, vector, architecture.hidden_size, folder)
        if not run.spec.task.encodes_texts_apart:
            scale = scale_of(vector, architecture.hidden_size)
            _write_head(run.model.network.get_layer("head"), scale, folder / HEAD)
        card = model_card(run, _USE, "sentence-transformers")
        (folder / "README.md").write_text(card, encoding="utf-8")

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the files in ``folder`` compute, read back by this project's own loader."""
        from xferlab.models.encoder import load_encoder
        from xferlab.models.head import network_of_task
        from xferlab.models.text_vector import read_sentence_vector

        checkpoint = resolve(str(folder))
        prepare = pair_splitting(spec, int(checkpoint.config["pad_token_id"]))
        encoder = load_encoder(checkpoint, prepare=prepare)
        vector = read_sentence_vector(folder, str(folder))
        assert vector is not None
        network, _, _ = network_of_task(encoder, spec, vector, 0.0)
        if not spec.task.encodes_texts_apart:
            _read_head(network.get_layer("head"), scale_of(vector, encoder.hidden_size), folder)

        def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
            import numpy as np

            return probabilities_of(spec, np.asarray(network(dict(inputs), training=False)))

        return predict


def _read_head(head: Any, scale: float, folder: Path) -> None:
    """Give a Keras dense layer the weights of :func:`_write_head`."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / HEAD / SAFETENSORS.file)
    head.kernel.assign(tensors["linear.weight"].T / scale)
    if head.bias is not None:
        head.bias.assign(tensors["linear.bias"])


def _write_head(head: Any, scale: float, folder: Path) -> None:
    """Write a Keras dense layer, of vectors that are scaled before, as a ``Dense`` module."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir()
    kernel = np.ascontiguousarray(np.asarray(head.kernel, dtype="float32").T * np.float32(scale))
    outputs, inputs = kernel.shape
    bias = np.zeros(outputs, "float32")
    if head.bias is not None:
        bias = np.asarray(head.bias, dtype="float32")
    tensors = {"linear.weight": kernel, "linear.bias": bias}
    table = {
        "in_features": inputs,
        "out_features": outputs,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write_plain(folder, CONFIG, table)
    save_file(tensors, str(folder / SAFETENSORS.file), metadata={"format": "pt"})
