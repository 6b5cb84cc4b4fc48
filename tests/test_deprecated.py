"""Names of version 0.1: accepted where a user types or keeps them, read where a run wrote them."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path

import pytest

import xferlab
from tests.support.synthetic_runs import write_sweep
from xferlab import deprecated
from xferlab.cli.main import main
from xferlab.config.compose import compose_experiment, publish
from xferlab.discovery import load_plugins

FIXTURE = Path(__file__).parent / "fixtures" / "run_of_version_0_1"


@pytest.fixture(autouse=True)
def _workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deprecated.report_renamed.cache_clear()


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(FIXTURE, tmp_path / "old"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("train.accumulate=2", "train.gradient_accumulation_steps=2"),
        ("+train.clip_norm=0.5", "+train.max_grad_norm=0.5"),
        ("~data.validation_share", "~data.validation_fraction"),
        ("data.task=one_label,tagging", "data.task=single_label,token_classification"),
        ("data.task=my_tagging", "data.task=my_tagging"),
        ("train.accumulate=1,2", "train.gradient_accumulation_steps=1,2"),
        ("name=train.accumulate", "name=train.accumulate"),
    ],
)
def test_an_old_override_becomes_the_present_one_and_is_reported(old, new, capsys):
    assert deprecated.current_override(old) == new
    assert ("the old name works until version 0.3" in capsys.readouterr().err) == (old != new)


def test_an_old_override_trains_the_same_experiment(capsys):
    assert main(["train.accumulate=2", "train.clip_norm=0.5", "--cfg", "job"]) == 0
    shown = capsys.readouterr()
    assert "  gradient_accumulation_steps: 2\n  max_grad_norm: 0.5\n" in shown.out
    assert "note       train.accumulate is now train.gradient_accumulation_steps" in shown.err


def test_old_keys_in_a_users_files(capsys, tmp_path):
    presets = {
        "experiment/mine": "# @package _global_\ntrain: {accumulate: 2}\n",
        "data/mine": "defaults: [files]\ntrain: x.csv\nvalidation_share: 0.3\ntask: tagging\n",
        "sweep/mine": "grid: {train.accumulate: [1, 2]}\n",
    }
    for name, text in presets.items():
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert main(["experiment=mine", "data=mine", "--cfg", "job"]) == 0
    config = capsys.readouterr().out
    assert "gradient_accumulation_steps: 2" in config
    assert "validation_fraction: 0.3" in config
    assert "task: token_classification" in config
    assert main(["-m", "sweep=mine", "--dry-run"]) == 0
    assert "train.gradient_accumulation_steps=2" in capsys.readouterr().out


def test_a_users_own_primary_config(capsys, tmp_path):
    (tmp_path / "conf").mkdir()
    lines = ["defaults:", "  - config", "  - override hydra/sweeper: frozen", "  - _self_"]
    (tmp_path / "conf" / "mine.yaml").write_text("\n".join([*lines, "seed: 7", ""]))
    assert main(["--config-name", "mine", "--cfg", "job"]) == 0
    assert "seed: 7" in capsys.readouterr().out


def test_a_plugin_of_version_0_1_registers(capsys, tmp_path):
    (tmp_path / "plugins" / "loss").mkdir(parents=True)
    (tmp_path / "plugins" / "loss" / "old_squared.py").write_text(
        textwrap.dedent(
            '''
            from dataclasses import dataclass
            from typing import ClassVar

            from xferlab import Emits, LabelKind, Takes, register


            @register("loss", "old_squared")
            @dataclass(frozen=True)
            class OldSquared:
                """A loss written for version 0.1."""

                takes: ClassVar[Takes] = Takes((Emits.values,), (LabelKind.float,))

                def build(self, spec):
                    raise NotImplementedError
            '''
        )
    )
    assert main(["list", "loss"]) == 0
    shown = capsys.readouterr()
    assert "loss=old_squared" in shown.out
    assert "note       loss=old_squared: takes is now accepts" in shown.err
    assert main(["loss=old_squared", "--cfg", "job"]) == 0


def test_a_run_of_version_0_1_predicts_and_evaluates(run, capsys):
    assert [row["label"] for row in xferlab.load(run).predict(["good", "bad"]).rows()]
    assert main(["evaluate", str(run), "--samples", "0"]) == 0
    assert "accuracy" in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["export", str(run), "--to", "keras"]) == 0
    assert (run / "export" / "keras").is_dir()


def test_the_config_of_a_run_of_version_0_1_composes_again(run):
    from xferlab.runs.resume import stored_overrides

    recipe = compose_experiment(stored_overrides(run)).recipe
    assert recipe.train.gradient_accumulation_steps == 2


def test_a_run_of_version_0_1_may_have_other_built_in_plugins_and_no_other_data(run):
    from xferlab.runs.inputs import read_fixed_inputs

    own = {"inputs": {"data.train": "1"}, "plugins": {"loss=mine": "2", "loss=mine: help.py": "3"}}
    built_in = {"loss=auto": "4", "loss=auto: ../../xferlab/kit/losses.py": "5"}
    record = own | {"plugins": own["plugins"] | built_in}
    (run / "inputs.json").write_text(json.dumps(record))
    assert read_fixed_inputs(run) == own
    (run / "inputs.json").write_text(json.dumps(record | {"xferlab": xferlab.__version__}))
    assert read_fixed_inputs(run)["plugins"] == record["plugins"]


def test_the_state_of_a_checkpoint_of_version_0_1():
    state = {"position": {}, "listeners": {"BestKeeper": {"best": 1.0}}, "made_on": {"cpu": "x"}}
    assert deprecated.current_state(state) == {
        "position": {},
        "callbacks": {"BestWeights": {"best": 1.0}},
        "environment": {"cpu": "x", "xferlab": "0.1.0"},
    }


def test_a_sweep_of_version_0_1_is_read_continued_and_reported(capsys):
    from xferlab.sweeps import manifest
    from xferlab.sweeps.planner import plan_sweep

    load_plugins(Path())
    publish(Path())
    folder = write_sweep(Path("sweep"), ["seed=1,2"], lambda config: 0.8)
    plan = manifest.read_plan(folder)
    for path in (folder / "sweep.json", *folder.glob("*/job.json")):
        old = path.read_text().replace('"overrides"', '"words"').replace('"requested"', '"asked"')
        path.write_text(old)
    assert "asked" in (folder / "sweep.json").read_text()
    assert manifest.read_plan(folder) == plan
    assert main(["report", str(folder)]) == 0
    assert "(2 seeds)" in capsys.readouterr().out
    assert manifest.write_manifest(plan_sweep(["seed=1,2,3"]), folder, []) == []
    assert len(manifest.read_plan(folder)["jobs"]) == 3


def test_no_old_name_is_a_present_one():
    for old, new in {**deprecated.KEYS, **deprecated.PLUGIN_ATTRIBUTES}.items():
        assert old != new
    assert not set(deprecated.KEYS) & set(deprecated.KEYS.values())


def test_flags_and_metrics_of_version_0_1(capsys):
    import numpy as np

    from xferlab.functional.metrics import mean_score

    deprecated.report_renamed.cache_clear()
    assert deprecated.current_flag("--mistakes=3") == "--errors=3"
    assert deprecated.current_flag("--samples=3") == "--samples=3"
    metric = mean_score(lambda labels, outputs: labels == outputs.argmax(-1), "mine", ignore=-1)
    metric.rates_sureness = True
    assert deprecated.metric_attribute(metric, "rates_confidence")
    assert not deprecated.metric_attribute(print, "rates_confidence")
    assert metric(np.array([0, 1, -1]), np.eye(2)[[0, 0, 1]]) == 0.5
    reported = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in reported] == ["--mistakes", "mean_score", "rates_sureness"]
