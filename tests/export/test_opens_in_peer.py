"""An exported sentence encoder opens in sentence-transformers with the run's own embeddings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import xferlab
from xferlab.data.batching import batch_arrays, evaluation_batches
from xferlab.export.export_run import export_run

PEER = os.environ.get("XFERLAB_PEER")
TEXTS = ["the good film was good", "a bad plot", "the cast, the plot and the film " * 4]
SCRIPT = """
import sys
import numpy as np
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
folder, output, *texts = sys.argv[1:]
vectors = SentenceTransformer(folder, device="cpu").encode(texts)
head = load_file(f"{folder}/head/model.safetensors")
logits = vectors @ head["linear.weight"].T + head["linear.bias"]
np.savez(output, vectors=vectors, logits=logits)
"""


def embeddings(run: xferlab.Run) -> np.ndarray:
    import keras

    network = run.model.network
    lower = keras.Model(network.input, network.get_layer("sentence_vector").output)
    encoding = run.model.tokenizer.encode(TEXTS, None, run.spec.max_length)
    found = np.zeros((len(TEXTS), lower.output.shape[-1]))
    for batch in evaluation_batches(encoding, 8):
        arrays, _ = batch_arrays(encoding, np.zeros(len(TEXTS)), batch, run.model.tokenizer.pad_id)
        found[batch.rows] = lower({name: arrays[name] for name in network.input})
    return found


@pytest.mark.skipif(
    PEER is None or subprocess.run([PEER, "-c", "import sentence_transformers"]).returncode != 0,
    reason="no Python with sentence-transformers is named",
)
def test_sentence_transformers_gives_the_runs_embeddings(runs, tmp_path):
    run = xferlab.load(runs["plain"])  # normalised, with a prompt
    export_run(run, "sentence_transformers", tmp_path / "st")
    command = [str(PEER), "-c", SCRIPT, str(tmp_path / "st"), str(tmp_path / "found.npz"), *TEXTS]
    subprocess.run(command, check=True, capture_output=True, cwd=Path("/"))
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_allclose(found["vectors"], embeddings(run), atol=1e-5)
        np.testing.assert_allclose(found["logits"], run.outputs(TEXTS), atol=1e-4)
