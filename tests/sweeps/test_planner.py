"""Which jobs a command stands for, how they are frozen, and what the same command does again."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest

from tests.support import stub_job
from xferlab.cli.main import main
from xferlab.cli.sweep import opening_line, sweep
from xferlab.config.compose import compose_config, publish
from xferlab.config.overrides import parse_overrides
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, RunError
from xferlab.runs.metadata import write_status
from xferlab.sweeps import launcher
from xferlab.sweeps.compose import Composer, split_overrides
from xferlab.sweeps.job_state import State, state_of
from xferlab.sweeps.manifest import (
    folder_for,
    manifest_recipe,
    read_job_states,
    write_manifest,
)
from xferlab.sweeps.planner import plan_sweep
from xferlab.sweeps.worker import run_planned_job

SIX = ["optimizer.lr=1e-5,2e-5,3e-5", "seed=0,1"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    return tmp_path


def ids(*overrides):
    return [job.run_id for job in plan_sweep(overrides).jobs]


def new_folder(name="one", overrides=SIX):
    folder = Path("outputs/sweeps") / name
    write_manifest(plan_sweep(overrides), folder, ["command"])
    return folder


@pytest.mark.parametrize(("name", "count"), [("lr", 5), ("lr_seeds", 15), ("bert_paper", 18)])
def test_the_presets(name, count):
    assert len(ids(f"sweep={name}")) == count


def test_a_preset_is_the_same_jobs_as_its_words():
    assert ids("sweep=lr") == ids("optimizer.lr=1e-5,2e-5,3e-5,5e-5,1e-4")


def test_axes_of_the_command_line_multiply_with_the_file():
    assert len(ids("sweep=lr", "seed=1,2", "loss=focal")) == 10


def test_a_shape_can_be_typed():
    assert len(ids("sweep.zip={seed: [1, 2], optimizer.lr: [1e-5, 3e-5]}")) == 2


def test_a_choice_and_its_field_are_composed_together():
    assert len(ids("loss=focal,class_balanced", "loss.gamma=2")) == 2


def test_equal_values_are_one_job_however_they_are_written():
    assert ids("optimizer.lr=1e-5,3e-5") == ids("optimizer.lr=0.00001,0.00003")


def test_a_job_is_the_run_of_its_words_alone():
    for job in plan_sweep(["sweep=lr", "seed=3", "sweep.workers=2", "name=x"]).jobs:
        alone = read(compose_config(job.overrides))
        assert (job.run_id, job.config) == (alone.run_id, alone.config)
        assert "sweep" not in job.config


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.lr=1e-5", "seed=3"],
        ["loss=focal", "loss.gamma=2", "train.precision=mixed_bfloat16"],
        ["experiment=frozen_encoder", "optimizer.lr=1", "train.epochs=7"],
        ["data.limit.train=5", "data.limit={test: 4}"],
        ["data.limit={train: 4}", "data.limit.train=5"],
        ["optimizer={lr: 1e-3}", "optimizer.lr=1e-4"],
        ["optimizer.lr=1e-4", "optimizer={lr: 1e-3}"],
        ["train.epochs=4", "schedule.warmup=${train.epochs}"],
        ["name='a b'", "metric=[accuracy,f1]", "metric.f1.average=micro"],
        ["+data.limit.validation=9", "data.max_length=12"],
        ["data=files", "data.train=train.csv", "optimizer.lr=1e-4", "name=x"],
        ["optimizer.lr=1e-4", "data.train=train.csv", "data=files", "train.precision=float32"],
        ["data=files", "optimizer.lr=1e-4"],
    ],
    ids=" ".join,
)
def test_setting_plain_values_afterwards_is_composing(overrides):
    composed = outcome(lambda: Composer().recipe(overrides))
    assert composed == outcome(lambda: read(compose_config(overrides)))


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1",
        "-3",
        "+3",
        "10_0",
        "1.",
        "1.5",
        "-.5",
        ".5",
        "1e5",
        "1e-05",
        "1E5",
        "1.e+3",
        "00",
        "01",
        "0x1",
        "1e",
        "1e-5 ",
        " 1",
        "1_000.5",
        "inf",
        "-inf",
        "nan",
        "1.5.2",
        "--1",
    ],
)
@pytest.mark.parametrize("key", ["seed", "a.b", "a.b.c_1", "hydra.x"])
def test_a_number_is_read_as_hydras_parser_reads_it(key, text):
    word = f"{key}={text}"
    (override,) = parse_overrides([word])
    others, values = split_overrides([word])
    if isinstance(override.value(), int | float) and key != "hydra.x":
        assert repr(values) == repr({key: override.value()})
    else:
        assert others or isinstance(values[key], str)


def test_jobs_over_ones_own_rows_share_a_composition_too(monkeypatch):
    composed = []
    compose = compose_config
    monkeypatch.setattr(
        "xferlab.sweeps.compose.compose_config",
        lambda overrides, name: composed.append(overrides) or compose(overrides, name),
    )
    composer = Composer()
    for seed in range(5):
        overrides = ["data=files", "data.train=train.csv", f"seed={seed}"]
        assert composer.recipe(overrides).config["seed"] == seed
    assert composed == [["data=files"], ["data=files", "data.train=train.csv"]]


def test_jobs_that_share_a_composition_do_not_share_values():
    composer = Composer()
    one, two = (composer.recipe([f"optimizer.lr={rate}"]) for rate in (1e-5, 3e-5))
    assert (one.config["optimizer"]["lr"], two.config["optimizer"]["lr"]) == (1e-5, 3e-5)
    assert composer.recipe([]).config["optimizer"]["lr"] not in (1e-5, 3e-5)


def outcome(make):
    try:
        recipe = make()
    except ConfigError as e:
        return str(e)
    return recipe.config, recipe.run_id


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("grid:\n  optimizer.rl: [1]", "optimizer.rl"),
        ("zip:\n  loss: [focl]", "loss=focl"),
        ("list:\n  - optimizer.lr: high", "optimizer.lr"),
        ("fail_fast: false\nworkers: many", "sweep.workers"),
        ("grid:\n  _target_: [os.system]", "sweep.grid._target_"),
    ],
)
def test_a_mistake_in_a_sweeps_file_is_said_to_be_there(content, key, capsys):
    Path("conf/sweep").mkdir(parents=True)
    Path("conf/sweep/mine.yaml").write_text(content)
    assert main(["-m", "sweep=mine"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == f" where: {key} (conf/sweep/mine.yaml:2)"


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (["sweep=lr", "optimizer.lr=1"], "optimizer.lr is swept by the sweep file already"),
        (["sweep=lr,lr_seeds"], "names several values"),
        (["sweep=lrr"], "did you mean 'lr'"),
        (["sweep.wrokers=2"], "did you mean 'workers'"),
        (["sweep.workers=0"], "workers must be at least 1"),
        (["optimizer.lr=1e-5,0.00001"], "two jobs are one experiment"),
        (["sweep.grid={optimizer.rl: [1]}"], "there is no key 'optimizer.rl'"),
        (["sweep.grid={optimizer.lr: [high]}"], "optimizer.lr"),
        (["sweep.grid={train.epochs: [0]}"], "epochs must be at least 1"),
    ],
    ids=str,
)
def test_mistakes_end_in_three_lines_before_anything_is_written(overrides, what, capsys):
    assert main(["-m", *overrides]) == 2
    printed = capsys.readouterr().err
    assert what in printed
    assert len(printed.splitlines()) <= 3
    assert not Path("outputs").exists()


def test_a_sweep_without_m_is_refused(capsys):
    assert main(["sweep=lr"]) == 2
    assert "add -m to run them all" in capsys.readouterr().err
    assert main(["--dry-run"]) == 2


def test_equal_draws_are_one_job():
    overrides = "sweep.random={count: 20, space: {seed: {choice: [1, 2, 3]}}}"
    assert len(ids(overrides)) == 3


def test_a_dry_run_prints_the_jobs_and_writes_nothing(capsys):
    assert main(["-m", *SIX, "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 6
    assert "to run        optimizer.lr=2e-5 seed=1" in printed.out
    assert ": 6 jobs" in printed.err
    assert not Path("outputs").exists()


def test_a_plan_is_whole_before_the_first_job_starts():
    folder = new_folder()
    record = json.loads((folder / "sweep.json").read_text())
    assert [job["run_id"] for job in record["jobs"]] == record["requested"] == ids(*SIX)
    assert record["swept"] == ["optimizer.lr", "seed"]
    for job in plan_sweep(SIX).jobs:
        frozen = manifest_recipe(folder / job.run_id)
        assert (frozen.run_id, frozen.config) == (job.run_id, job.config)
        assert state_of(folder / job.run_id) == State("queued")


def test_a_yaml_file_that_changes_later_changes_no_job(workspace):
    (workspace / "conf/experiment").mkdir(parents=True)
    file = workspace / "conf/experiment/mine.yaml"
    file.write_text("# @package _global_\ntrain: {epochs: 7}\n")
    publish(workspace)
    folder = new_folder(overrides=["experiment=mine", "seed=1,2"])
    file.write_text("# @package _global_\ntrain: {epochs: 9}\n")
    for job in folder.glob("*/job.json"):
        assert manifest_recipe(job.parent).train.epochs == 7


PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar
from xferlab import OutputKind, LabelKind, Accepts, register

@register("loss", "{name}")
@dataclass(frozen=True)
class Mine:
    """Mine."""
    k: float = 1.0
    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))
    def build(self, spec):
        return {body}
'''


def changed_plugins(plan, folder):
    _, changed = read_job_states(plan, folder)
    return sorted({name for names in changed.values() for name in names})


def test_a_plugin_that_changes_is_refused_and_planning_anew_takes_it(workspace):
    file = workspace / "plugins/loss/frozen_loss.py"
    file.parent.mkdir(parents=True)
    file.write_text(PLUGIN.format(name="frozen_loss", body="1"))
    load_plugins(workspace)
    publish(workspace)
    plan = plan_sweep(["loss=frozen_loss", "seed=1,2"])
    folder = Path("outputs/sweeps/one")
    write_manifest(plan, folder, [])
    done, left = (folder / job.run_id for job in plan.jobs)
    stub_job.write_results(done, 0.5)
    before = (done / "job.json").read_text()
    assert changed_plugins(plan, folder) == []
    file.write_text(PLUGIN.format(name="frozen_loss", body="2"))
    with pytest.raises(RunError, match="the plugin loss=frozen_loss has changed since"):
        manifest_recipe(left)
    assert changed_plugins(plan, folder) == ["loss=frozen_loss"]
    assert write_manifest(plan, folder, []) == ["loss=frozen_loss"]
    assert changed_plugins(plan, folder) == []
    assert manifest_recipe(left).run_id == left.name
    saved = folder / "replaced" / f"{done.name}-1"  # no mean over two losses
    assert (saved / "job.json").read_text() == before
    assert (saved / "metrics.json").exists()
    assert manifest_recipe(done).run_id == done.name
    assert state_of(done).status == "queued"
    assert write_manifest(plan, folder, []) == []


def test_what_was_begun_with_another_plugin_is_not_gone_on_with(workspace):
    file = workspace / "plugins/loss/begun_loss.py"
    file.parent.mkdir(parents=True)
    file.write_text(PLUGIN.format(name="begun_loss", body="1"))
    load_plugins(workspace)
    publish(workspace)
    plan = plan_sweep(["loss=begun_loss", "seed=1,2"])
    folder = Path("outputs/sweeps/one")
    write_manifest(plan, folder, [])
    stopped, at_work = (folder / job.run_id for job in plan.jobs)
    for job, status in ((stopped, "interrupted"), (at_work, "running")):
        write_status(job, status)
        (job / "checkpoints/step-00000003-00001").mkdir(parents=True)
    before = (at_work / "job.json").read_text()
    assert write_manifest(plan, folder, []) == []
    assert len(list(folder.glob("*/checkpoints/step-*"))) == 2
    file.write_text(PLUGIN.format(name="begun_loss", body="2"))
    assert write_manifest(plan, folder, []) == ["loss=begun_loss"]
    assert list(folder.glob("*/checkpoints/step-*")) == [
        at_work / "checkpoints/step-00000003-00001"
    ]
    assert (at_work / "job.json").read_text() == before


def test_a_plan_that_was_torn_before_it_was_whole_is_made_anew():
    plan = plan_sweep(SIX)
    torn = Path("mine") / plan.jobs[1].run_id / "job.json"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"run_id": "12')
    write_manifest(plan, Path("mine"), [])
    assert manifest_recipe(torn.parent).run_id == plan.jobs[1].run_id


def test_the_same_command_finds_its_sweep():
    assert folder_for(plan_sweep(SIX)) not in (Path("outputs/sweeps/one"),)
    folder = new_folder()
    assert folder_for(plan_sweep(SIX)) == folder


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=1,0", "optimizer.lr=3e-5,2e-5,0.00001"],
        ["optimizer.lr=1e-5,2e-5,3e-5,5e-5", "seed=0,1,2"],
        ["optimizer.lr=3e-5", "sweep.workers=2"],
    ],
    ids=["reordered", "widened", "narrowed"],
)
def test_a_changed_grid_continues_the_sweep(overrides):
    folder = new_folder()
    assert folder_for(plan_sweep(overrides)) == folder


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.lr=7e-5", "seed=0,1"],
        [*SIX, "train.epochs=9"],
        [*SIX, "name=another"],
    ],
    ids=["no job in common", "another experiment", "another name"],
)
def test_another_sweep_has_a_folder_of_its_own(overrides):
    folder = new_folder()
    assert folder_for(plan_sweep(overrides)) != folder


def test_of_several_the_one_that_shares_most_is_continued():
    new_folder("old", SIX)
    new_folder("small", ["optimizer.lr=1e-5", "seed=0"])
    assert folder_for(plan_sweep(SIX)).name == "old"
    new_folder("new", SIX)
    assert folder_for(plan_sweep(SIX)).name == "old"  # as many: by name, as times sort


def test_a_folder_that_is_typed_is_taken():
    new_folder()
    overrides = [*SIX, "hydra.sweep.dir=elsewhere"]
    assert folder_for(plan_sweep(overrides)) == Path("elsewhere")


def test_widening_keeps_the_old_jobs_in_the_plan():
    folder = new_folder()
    write_manifest(plan_sweep(["optimizer.lr=3e-5,5e-5", "seed=0"]), folder, [])
    record = json.loads((folder / "sweep.json").read_text())
    assert len(record["jobs"]) == 7
    assert len(record["requested"]) == 2


def test_what_is_left_is_told():
    folder = new_folder()
    jobs = [folder / run_id for run_id in ids(*SIX)]
    stub_job.write_results(jobs[0], 0.5)
    stub_job.write_results(jobs[1], 0.5)
    write_status(jobs[2], "interrupted")
    write_status(jobs[3], "failed")
    write_status(jobs[4], "failed")
    (jobs[4] / "checkpoints/step-00000003-00001").mkdir(parents=True)  # goes on from there
    assert opening_line(folder, [state_of(job) for job in jobs]) == (
        f"continuing {folder}: 2 finished, 2 to resume, 1 to run again, 1 to run"
    )


def test_a_killed_job_is_to_be_resumed_and_a_live_one_is_not():
    folder = new_folder()
    job = folder / ids(*SIX)[0]
    write_status(job, "running")
    assert state_of(job).status == "running"
    record = json.loads((job / "status.json").read_text())
    record["process"] = 2**22 + 1  # above the largest process id
    (job / "status.json").write_text(json.dumps(record))
    assert state_of(job).status == "interrupted"


def test_a_sweep_that_is_done_starts_nothing(capsys):
    assert stub_job.sweep(SIX) == 0
    (folder,) = Path("outputs/sweeps").iterdir()
    (folder / "report.html").unlink()
    capsys.readouterr()
    with mock.patch.object(launcher, "worker_command") as start:
        assert sweep(SIX) == 0
    start.assert_not_called()
    assert (folder / "report.html").exists()
    assert "6 finished; name=ANOTHER begins a new one" in capsys.readouterr().err


def test_a_finished_job_stays_finished_when_it_is_asked_for_after_a_plugin_has_changed():
    job = new_folder() / ids(*SIX)[0]
    record = json.loads((job / "job.json").read_text())
    record["plugins"] = dict.fromkeys(record["plugins"], "another digest")
    (job / "job.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="has changed"):
        run_planned_job(job)
    assert state_of(job).status == "failed"
    write_status(job, "finished")
    with pytest.raises(RunError, match="has changed"):
        run_planned_job(job)
    assert state_of(job).status == "finished"


DAMAGED = {"an empty plan": "", "no plan": "[]", "half of one": '{"jobs": ['}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_sweep_beside_it_is_passed_over_and_named(content, capsys):
    folder = new_folder()
    bad = Path("outputs/sweeps/bad")
    bad.mkdir()
    (bad / "sweep.json").write_text(content)
    (bad / "search.json").write_text(content)
    assert folder_for(plan_sweep(SIX)) == folder
    assert f"note       {bad} is skipped: sweep.json is damaged" in capsys.readouterr().err
    search = "sweep.search={trials: 1, space: {optimizer.lr: {uniform: [0.001, 0.002]}}}"
    assert main(["-m", search, "--dry-run"]) == 0
    assert f"note       {bad} is skipped: search.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["status.json", "job.json"])
def test_a_job_whose_files_are_damaged_is_done_again(name, capsys):
    assert stub_job.sweep(["seed=1,2"]) == 0
    (folder,) = Path("outputs/sweeps").iterdir()
    job = next(folder.glob("*/status.json")).parent
    (job / name).write_text("")
    assert stub_job.sweep(["seed=1,2"]) == 0
    printed = capsys.readouterr().err
    assert f"note       {job} runs again: {name} is damaged" in printed
    assert "1 finished, 1 to run again" in printed
    assert state_of(job).status == "finished"
    assert (folder / "replaced" / f"{job.name}-1" / "metrics.json").exists()
