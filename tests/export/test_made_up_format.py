"""A new export format is one class: offered, written, read back, compared."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.support.finished_runs import train, write_rows
from xferlab.cli.main import main
from xferlab.errors import ConfigError
from xferlab.export.formats import FORMATS, Format, register
from xferlab.inference.predictions import probabilities_of


class Bag(Format):
    """The weights of a mean of embeddings, as NumPy's arrays."""

    name = "bag"
    summary = "a .npz file, for NumPy"

    def refuse(self, run):
        if run.config["model"]["name"] != "bag_of_embeddings":
            raise ConfigError("this format holds bag_of_embeddings alone", where="--to bag", fix="")

    def write(self, run, folder):
        network = run.model.network
        head = network.get_layer("head")
        table = network.get_layer("embedding").embeddings
        np.savez(folder / "bag.npz", table=table, kernel=head.kernel, bias=head.bias)

    def read(self, folder, spec):
        weights = np.load(folder / "bag.npz")

        def predict(inputs):
            mask = inputs["padding_mask"][..., None]
            vectors = (weights["table"][inputs["token_ids"]] * mask).sum(1) / mask.sum(1)
            return probabilities_of(spec, vectors @ weights["kernel"] + weights["bias"])

        return predict


@pytest.fixture(autouse=True)
def _registered(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FORMATS, "_members", dict(FORMATS))
    register(Bag)


def test_a_made_up_format_is_offered_and_a_run_is_exported_to_it(tmp_path, capsys):
    write_rows(tmp_path)
    run = train(tmp_path, "plain", "model=bag_of_embeddings", "model.width=4", "train.epochs=1")
    assert main(["export", str(run), "--to", "bag", "--output", "out"]) == 0
    assert "difference" in capsys.readouterr().out
    assert set(np.load("out/bag.npz")) == {"table", "kernel", "bias"}
    main(["export", "--help"])
    assert re.search(r"bag +a \.npz file, for NumPy", capsys.readouterr().out)


def test_two_formats_of_one_name_are_refused():
    class Other(Bag):
        pass

    with pytest.raises(ValueError, match="--to bag is Bag's already"):
        register(Other)
