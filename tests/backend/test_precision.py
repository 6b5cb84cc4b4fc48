"""``train.precision=auto``: measured once, reported, and kept for the run."""

from __future__ import annotations

import json

import pytest

from xferlab.backend.precision import MatrixRates, measure_matrix_rates
from xferlab.cli.main import main
from xferlab.experiment import prepare


@pytest.fixture(autouse=True)
def full_precision_again():
    yield
    import keras

    keras.config.set_dtype_policy("float32")  # other tests of the process expect it


SHORT = ["model=bag_of_embeddings", "train.max_steps=2", "train.precision=auto"]


def test_both_rates_are_measured():
    rates = measure_matrix_rates()
    assert rates.float32 > 1e8
    assert rates.bfloat16 > 1e8


@pytest.mark.parametrize(
    ("bfloat16", "precision"), [(1.29, "float32"), (1.3, "mixed_bfloat16"), (0.2, "float32")]
)
def test_half_precision_has_to_be_worthwhile(bfloat16, precision):
    assert MatrixRates(1.0, bfloat16).precision == precision


def test_a_run_reports_and_records_what_it_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepare, "measure_matrix_rates", lambda: MatrixRates(1e11, 2e11))
    assert main([*SHORT, "hydra.run.dir=run"]) == 0
    log = " ".join(capsys.readouterr().err.split())
    assert "mixed_bfloat16: matrix products at 100 GFLOP/s in float32, 200 in bfloat16" in log
    assert json.loads((tmp_path / "run/run.json").read_text())["precision"] == "mixed_bfloat16"

    from xferlab.inference.run_folder import read_folder

    assert read_folder(tmp_path / "run").config["train"]["precision"] == "mixed_bfloat16"


@pytest.mark.slow
def test_a_resumed_run_keeps_its_precision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepare, "measure_matrix_rates", lambda: MatrixRates(1.0, 2.0))
    assert main([*SHORT, "hydra.run.dir=run"]) == 0
    status = tmp_path / "run/status.json"
    status.write_text(json.dumps({**json.loads(status.read_text()), "status": "interrupted"}))
    monkeypatch.setattr(prepare, "measure_matrix_rates", lambda: pytest.fail("measured again"))
    assert main([*SHORT, "--recover=run"]) == 0
    assert json.loads((tmp_path / "run/run.json").read_text())["precision"] == "mixed_bfloat16"
