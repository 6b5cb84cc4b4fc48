"""A run is known by what it read, not by the words alone: a changed file is another run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xferlab
from tests.support import stub_job, stub_search
from tests.support.hub_server import HubServer
from tests.support.plugin_isolation import isolated_plugins
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from tests.sweeps.test_planner import PLUGIN
from xferlab.cli.main import main
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, RunError
from xferlab.report.settings import read_reports
from xferlab.runs.inputs import (
    Inputs,
    changed_since,
    fixed_inputs,
    inputs_of,
    refuse_changed_inputs,
    write_inputs,
)
from xferlab.runs.metadata import write_config, write_status
from xferlab.runs.resume import refuse_changed
from xferlab.sweeps.job_state import state_of
from xferlab.sweeps.manifest import manifest_recipe

ROWS = "text,label\n" + "a fine film,good\na poor one,bad\n" * 10
OTHER_ROWS = "text,label\n" + "no joy,bad\nall joy,great\nsome joy,fair\n" * 7
OWN = ["data=files", "data.train=train.csv"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "train.csv").write_text(ROWS)
    load_plugins(tmp_path)
    publish(tmp_path)
    return tmp_path


def config_of(*overrides):
    return read(compose_config(list(overrides))).config


def sweep_folder():
    (found,) = Path("outputs/sweeps").iterdir()
    return found


def scores(folder):
    return {p.parent.name: p.read_text() for p in sorted(folder.glob("*/metrics.json"))}


# Whole sweeps


def test_the_same_sweep_over_an_edited_file_does_the_finished_jobs_again(capsys):
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    assert "2 finished; name=ANOTHER" in capsys.readouterr().err
    folder = sweep_folder()
    Path("train.csv").write_text(OTHER_ROWS)
    assert main(["-m", *OWN, "seed=1,2,3", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert "2 to redo, 1 to run" in printed.err
    assert printed.out.count("to redo") == 2
    assert stub_job.sweep([*OWN, "seed=1,2,3"]) == 0
    printed = capsys.readouterr().err
    assert "note       data.train=train.csv has changed since this sweep began" in printed
    assert f"2 finished jobs run again; the earlier results are in {folder}/replaced" in printed
    assert len(list(folder.glob("replaced/*/metrics.json"))) == 2
    digest = hashlib.sha256(OTHER_ROWS.encode()).hexdigest()
    jobs = [json.loads(path.read_text()) for path in folder.glob("*/job.json")]
    assert [job["inputs"]["data.train"] for job in jobs] == [digest] * 3
    (report,) = read_reports([folder])
    assert len(report.jobs) == 3
    assert stub_job.sweep([*OWN, "seed=1,2,3"]) == 0
    assert "3 finished; name=ANOTHER" in capsys.readouterr().err


@pytest.mark.slow
def test_an_upgrade_of_xferlab_keeps_finished_jobs_and_is_noted_once(capsys):
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    folder = sweep_folder()
    for path in (folder / "sweep.json", *folder.glob("*/job.json")):
        record = json.loads(path.read_text())
        plugins = dict.fromkeys(record["plugins"], "0" * 64)  # every built-in file is another one
        path.write_text(json.dumps(record | {"xferlab": "0.1.9", "plugins": plugins}))
    before = scores(folder)
    capsys.readouterr()
    assert stub_job.sweep([*OWN, "seed=1,2,3"]) == 0
    printed = capsys.readouterr().err
    assert "2 finished, 1 to run" in printed
    assert [line for line in printed.splitlines() if line.startswith("note ")] == [
        f"note       xferlab 0.1.9 began this, {xferlab.__version__} continues it: finished jobs"
        " are kept, the others run with the present version"
    ]
    assert scores(folder).items() >= before.items()
    assert stub_job.sweep([*OWN, "seed=1,2,3"]) == 0
    printed = capsys.readouterr().err
    assert "3 finished" in printed
    assert "note " not in printed


def test_an_upgrade_of_xferlab_does_not_hide_an_edited_plugin(loss_with_helpers):
    config = config_of("loss=helped_loss")
    before = inputs_of(config).record() | {"xferlab": "0.1.9"}
    loss_with_helpers.write_text(loss_with_helpers.read_text() + "# more\n")
    assert changed_since(fixed_inputs(before), inputs_of(config), config) == ["loss=helped_loss"]


def test_a_file_that_is_put_back_is_what_it_was():
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    Path("train.csv").write_text(OTHER_ROWS)
    Path("train.csv").write_text(ROWS)
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    assert not (sweep_folder() / "replaced").exists()


def test_a_file_that_is_gone_leaves_finished_jobs_alone():
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    before = scores(sweep_folder())
    Path("train.csv").unlink()
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    assert scores(sweep_folder()) == before


def test_a_job_refuses_data_that_changed_after_it_was_planned():
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    job = next(sweep_folder().glob("*/job.json")).parent
    Path("train.csv").write_text(OTHER_ROWS)
    with pytest.raises(RunError, match=r"data.train=train.csv has changed since this job was plan"):
        manifest_recipe(job)


def test_an_interrupted_job_over_other_rows_begins_anew():
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    job = next(sweep_folder().glob("*/job.json")).parent
    write_status(job, "interrupted")
    write_inputs(job, inputs_of(json.loads((job / "job.json").read_text())["config"]))
    (job / "checkpoints" / "step-00000003-00001").mkdir(parents=True)
    Path("train.csv").write_text(OTHER_ROWS)
    assert stub_job.sweep([*OWN, "seed=1,2"]) == 0
    assert not (job / "checkpoints" / "step-00000003-00001").exists()
    assert not (job / "inputs.json").exists()


@pytest.mark.slow  # the short run has the same of a grid
def test_a_search_over_an_edited_file_is_another_search(capsys):
    draw = "space: {optimizer.lr: {loguniform: [1e-6, 1e-2]}}"
    overrides = [*OWN, f"sweep.search={{trials: 2, startup: 2, {draw}}}"]
    os.environ["DOES"] = ""
    assert stub_search.search(overrides) == 0
    first = sweep_folder()
    assert stub_search.search(overrides) == 0
    assert sweep_folder() == first
    Path("train.csv").write_text(OTHER_ROWS)
    capsys.readouterr()
    assert stub_search.search([*overrides, "hydra.sweep.dir=outputs/sweeps/second"]) == 0
    assert stub_search.search(overrides) == 0
    assert (
        f"{first} is not continued: data.train=train.csv changed since" in capsys.readouterr().err
    )
    assert len(json.loads((first / "sweep.json").read_text())["requested"]) == 2
    assert main(["-m", *overrides, f"hydra.sweep.dir={first}"]) == 2
    assert "data.train=train.csv changed since this run began" in capsys.readouterr().err


# Single runs


def begun(*overrides, status="interrupted", folder="outputs/runs/one"):
    """Return the recipe and the folder of a run that was begun and stopped."""
    recipe = read(compose_config(list(overrides)))
    folder = Path(folder)
    write_config(folder, recipe.config)
    write_inputs(folder, inputs_of(recipe.config))
    write_status(folder, status)
    return recipe, folder


@pytest.mark.parametrize("status", ["interrupted", "finished", "failed"])
def test_recover_refuses_other_rows_in_three_lines(status, capsys):
    begun(*OWN, status=status)
    Path("train.csv").write_text(OTHER_ROWS)
    assert main([*OWN, "--recover"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        " error: data.train=train.csv changed since this run began",
        " where: outputs/runs/one",
        "   fix: put it back as it was, or begin a new run (leave --recover out)",
    ]
    assert [path.name for path in Path("outputs/runs").iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("key", "name", "pinned"),
    [
        ("model.checkpoint", "org/tiny", "model.checkpoint=org/tiny@{}"),
        ("model.checkpoint", "org/tiny@main", "model.checkpoint=org/tiny@{}"),
        ("data.id", "org/rows", "data.revision={}"),
    ],
)
def test_a_branch_that_has_moved_on_is_named_by_its_commit(key, name, pinned, tmp_path):
    commit = "7ec6f0c2b20e724e47ffaea6595e0c71f7fb2758"
    write_inputs(tmp_path, Inputs({key: commit}, {}, {}))
    with pytest.raises(ConfigError) as caught:
        refuse_changed_inputs(tmp_path, [f"{key}={name}"])
    assert caught.value.fix == (
        "the Hub has a newer commit; begin a new run of this one with "
        f"{pinned.format(commit)} (leave --recover out)"
    )


def changed(config, edit):
    before = inputs_of(config).record()
    edit()
    return changed_since(before, inputs_of(config), config)


def test_every_file_that_is_read_counts(workspace):
    for name in ("test.csv", "part-1.csv", "part-2.csv"):
        Path(name).write_text(ROWS)
    overrides = ["data=files", "data.train=part-*.csv", "data.test=test.csv"]
    config = config_of(*overrides)
    write = Path.write_text
    assert changed(config, lambda: write(Path("part-2.csv"), OTHER_ROWS)) == [
        "data.train=part-*.csv"
    ]
    assert changed(config, lambda: write(Path("test.csv"), OTHER_ROWS)) == ["data.test=test.csv"]
    assert changed(config, lambda: write(Path("labels.txt"), "bad\ngood\n")) == [
        "data.train=part-*.csv: labels.txt"
    ]
    assert changed(config, lambda: write(Path("part-3.csv"), ROWS)) == ["data.train=part-*.csv"]
    assert changed(config, lambda: write(Path("train.csv"), OTHER_ROWS)) == []
    named = config_of(*overrides, "data.class_names=[bad,good]")
    assert changed(named, lambda: write(Path("labels.txt"), "good\nbad\n")) == []


def test_equal_size_and_time_do_not_hide_an_edit():
    def edit():
        stat = os.stat("train.csv")
        Path("train.csv").write_text(ROWS.replace("fine", "fair"))
        os.utime("train.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert os.stat("train.csv").st_size == stat.st_size

    assert changed(config_of(*OWN), edit) == ["data.train=train.csv"]


def test_a_checkpoints_folder_is_known_by_its_files(tmp_path):
    folder = write_tiny_checkpoint(tmp_path / "tiny", layers=1)
    config = config_of("model=encoder", "model.checkpoint=tiny")
    vocabulary = folder / "vocab.txt"
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    assert changed(config, lambda: vocabulary.write_text(vocabulary.read_text() + "new\n")) == [
        "model.checkpoint=tiny: vocab.txt"
    ]
    other = data[:-1] + bytes([data[-1] ^ 1])
    assert changed(config, lambda: weights.write_bytes(other)) == [
        "model.checkpoint=tiny: model.safetensors"
    ]
    fresh = config_of("model=encoder", "model.checkpoint=tiny", "model.pretrained=false")
    assert changed(fresh, lambda: weights.write_bytes(data)) == []


def test_a_folder_laid_out_like_a_dataset_is_known_by_its_files():
    Path("rows").mkdir()
    shutil.copy("train.csv", "rows/train.csv")
    config = config_of("data=hub", "data.id=./rows")
    assert changed(config, lambda: Path("rows/test.csv").write_text(ROWS)) == ["data.id=./rows"]


DATA = '''
from dataclasses import dataclass
from xferlab import register

@register("data", "{name}")
@dataclass(frozen=True)
class Mine:
    """Mine."""
    path: str = "train.csv"
    column: str = "text"
    def build(self, seed):
        raise NotImplementedError
'''


def test_a_plugin_that_says_nothing_is_known_by_the_paths_in_its_fields(workspace):
    file = workspace / "plugins/data/from_path.py"
    file.parent.mkdir(parents=True)
    file.write_text(DATA.format(name="from_path"))
    load_plugins(workspace)
    publish(workspace)
    config = config_of("data=from_path")
    edit = Path("train.csv").write_text
    assert changed(config, lambda: edit(OTHER_ROWS)) == ["data.path=train.csv"]


@pytest.fixture
def loss_with_helpers(workspace, monkeypatch):
    folder = workspace / "plugins" / "loss"
    folder.mkdir(parents=True)
    body = "helped_loss_helper.scale() if spec else __import__('math').pi"
    text = PLUGIN.format(name="helped_loss", body=body)
    (folder / "helped_loss.py").write_text(
        f"import numbers\n{text}".replace(
            "    def build(self, spec):",
            "    def build(self, spec):\n        import helped_loss_helper",
        )
    )
    (workspace / "helped_loss_helper.py").write_text("from helped_loss_deep.inner import scale\n")
    (workspace / "helped_loss_deep").mkdir()
    (workspace / "helped_loss_deep/__init__.py").write_text("")
    (workspace / "helped_loss_deep/inner.py").write_text("def scale():\n    return 1\n")
    monkeypatch.syspath_prepend(str(workspace))
    with isolated_plugins():
        load_plugins(workspace)
        publish(workspace)
        yield folder / "helped_loss.py"


def test_what_a_plugin_file_imports_counts_as_the_plugin(loss_with_helpers):
    config = config_of("loss=helped_loss")
    inner = Path("helped_loss_deep/inner.py")
    helper = Path("helped_loss_helper.py")
    assert changed(config, lambda: inner.write_text("def scale():\n    return 2\n")) == [
        "loss=helped_loss: ../../helped_loss_deep/inner.py"
    ]
    assert changed(config, lambda: helper.write_text("def scale():\n    return 3\n"))[-1] == (
        "loss=helped_loss: ../../helped_loss_helper.py"
    )
    own = loss_with_helpers
    assert changed(config, lambda: own.write_text(own.read_text() + "# more\n")) == [
        "loss=helped_loss"
    ]
    assert changed(config, lambda: Path("unrelated.py").write_text("x = 1\n")) == []


def test_a_loss_that_was_edited_after_a_stop_is_not_mixed_in(loss_with_helpers, capsys):
    recipe, folder = begun("loss=helped_loss")
    assert refuse_changed(folder, recipe).can_resume
    loss_with_helpers.write_text(loss_with_helpers.read_text() + "# more\n")
    with pytest.raises(ConfigError, match="loss=helped_loss changed since this run began"):
        refuse_changed(folder, recipe)


def test_a_run_from_before_digests_were_kept_still_opens():
    recipe, folder = begun(*OWN)
    (folder / "inputs.json").unlink()
    Path("train.csv").write_text(OTHER_ROWS)
    assert refuse_changed(folder, recipe).can_resume


def test_digests_need_nothing_heavy():
    code = (
        "import sys; from pathlib import Path\n"
        "from xferlab.cli.main import main\n"
        "main(['-m', 'data=files', 'data.train=train.csv', 'seed=1,2', '--dry-run'])\n"
        "from xferlab.config.recipe import read\n"
        "from xferlab.config.compose import compose_config\n"
        "from xferlab.runs.inputs import inputs_of\n"
        "assert inputs_of(read(compose_config(['data=files', 'data.train=train.csv'])).config)\n"
        "heavy = {'tensorflow', 'keras', 'transformers', 'datasets', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_real_run_keeps_its_digests_and_resumes_only_over_them(capsys):
    overrides = [*OWN, "model=bag_of_embeddings", "train.epochs=1", "hydra.run.dir=run"]
    assert main(overrides) == 0
    saved = json.loads(Path("run/inputs.json").read_text())
    assert saved["inputs"]["data.train"] == hashlib.sha256(ROWS.encode()).hexdigest()
    assert len(saved["plugins"]["data=files"]) == 64
    assert main([*overrides, "--recover"]) == 0
    Path("train.csv").write_text(OTHER_ROWS)
    capsys.readouterr()
    assert main([*overrides, "--recover"]) == 2
    assert "data.train=train.csv changed since this run began" in capsys.readouterr().err
    assert main(["--recover=run"]) == 2
    Path("outputs/runs").mkdir(parents=True)
    usual = [*OWN, "model=bag_of_embeddings", "train.epochs=1", "train.resume=auto"]
    shutil.move("run", "outputs/runs/first")
    assert main(usual) == 0
    printed = capsys.readouterr().err
    assert "outputs/runs/first is not continued: data.train=train.csv changed since" in printed
    assert len(list(Path("outputs/runs").iterdir())) == 2
    assert main(usual) == 0  # the second is of these rows: finished already
    assert len(list(Path("outputs/runs").iterdir())) == 2
    assert state_of(Path("outputs/runs/first")).status == "finished"


ASK = """
import json, sys
from pathlib import Path
from xferlab.discovery import load_plugins
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.runs.inputs import inputs_of
load_plugins(Path.cwd()); publish(Path.cwd())
found = inputs_of(read(compose_config(sys.argv[1:])).config)
kept = {k: v for k, v in found.content.items() if k in ("data.id", "model.checkpoint")}
print(json.dumps([kept, sorted(found.unknown)]))
"""


def inputs_in(environment, *overrides):
    done = subprocess.run(
        [sys.executable, "-c", ASK, *overrides],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return json.loads(done.stdout)


def test_a_name_of_the_hub_is_known_by_the_commit_that_it_means(tmp_path):
    rows = tmp_path / "hub" / "datasets" / "org" / "rows"
    rows.mkdir(parents=True)
    shutil.copy("train.csv", rows / "train.csv")
    write_tiny_checkpoint(tmp_path / "hub" / "models" / "org" / "tiny", layers=1)
    overrides = ["data=hub", "data.id=org/rows", "model=encoder", "model.checkpoint=org/tiny"]
    with HubServer(tmp_path / "hub") as hub:
        there = hub.environment(tmp_path / "home")
        commits = [hub.commit("datasets", "org/rows"), hub.commit("models", "org/tiny")]
        known = {"data.id": commits[0], "model.checkpoint": commits[1]}
        assert inputs_in(there, *overrides) == [known, []]
        (rows / "train.csv").write_text(OTHER_ROWS)
        moved = inputs_in(there, *overrides)[0]
        assert moved["data.id"] == hub.commit("datasets", "org/rows") != commits[0]
        assert inputs_in(there, *overrides, f"data.revision={commits[0]}")[0].keys() == {
            "model.checkpoint"
        }
        assert inputs_in({**there, "HF_HUB_OFFLINE": "1"}, *overrides) == [
            moved,
            [],
        ]  # from the cache
    away = {**there, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    assert inputs_in(away, *overrides) == [{}, ["data", "model"]]
