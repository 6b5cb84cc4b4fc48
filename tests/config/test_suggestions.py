"""Each mistake a user can type, and the exact remedy it must print."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from xferlab.cli.main import main
from xferlab.config.overrides import parse_overrides

MISTAKES = {
    "loss=cros_entropy": "did you mean 'cross_entropy'?",
    "lss=cross_entropy": "did you mean 'loss'?",
    "train.epoch=3": "did you mean 'epochs'?",
    "trainer.max_epochs=3": "its name here is train.epochs",
    "learning_rate=3e-5": "its name here is optimizer.lr",
    "optimizer.learning_rate=3e-5": "its name here is optimizer.lr",
    "workers=2": "did you mean sweep.workers?",
    "data.batch_size=8": "its name here is train.batch_size",
    "loss.label_smothing=0.1": "did you mean 'label_smoothing'?",
    "optimizer.lr=high": "optimizer.lr",
    "train.epochs=0": "epochs must be at least 1 or null, got 0",
    "train.epochs=2.5": "train.epochs",
    "train.precision=float8": "train.precision",
    "train.monitor=val_f2": "no logged value has the name 'val_f2'",
    "seed=-1": "seed must be a whole number from 0 up",
    "experiment=nothing": "there is no experiment named 'nothing'",
    "optimizer.lr=1e-5,3e-5": "add -m to run one job a value",
    "-m optimizer.lr=1e-5,0.00001": "two jobs are one experiment",
    "-m optimizer.lr=1e-5,high": "optimizer.lr",
    "-m optimizer.lr=interval(1e-5,1e-4)": "list the values",
    "focal": "cannot be read as key=value",
    "+loss._target_=os.system": "'_target_' is not allowed",
    "+hydra.callbacks.x._target_=builtins.print": "'_target_' is not allowed",
    "--experimental-rerun=x": "there is no flag --experimental-rerun=x",
    "-m --cfg job seed=1,2": "--cfg prints one config, and -m runs several",
    "--cfgg job": "did you mean '--cfg'?",
    "tags=[a]": "name=NAME names the run's folder; there are no tags",
    "report_to=wandb": "callback=[tensorboard,mlflow] or callback=[tensorboard,wandb]",
    "strategy=mirrored": "a run uses one device",
    "test_size=0.2": "name a file of test examples: data.test=FILE",
    "--learning_rate 3e-5": "settings have no dashes: optimizer.lr=3e-5",
    "--lr=3e-5": "settings have no dashes: optimizer.lr=3e-5",
    "--report_to wandb": "callback=[tensorboard,mlflow]",
    "model=org/name": "model=encoder model.checkpoint=org/name",
    "model=microsoft/deberta-v3-base": "its name here is model=deberta_v3_base",
    "model=deberta": "did you mean model=deberta_v3_base, deberta_v3_large, deberta_v3_small or",
    "model=bert-base-uncased": "did you mean model=bert_base_uncased?",
    "model=SmolLM2-135M": "did you mean model=smollm2?",
    "model=bert-base-dutch": "model=encoder model.checkpoint=bert-base-dutch",
    "model=roberta-base": "its name here is model=roberta",
    "model=longformer": "checkpoints of the family longformer cannot be loaded",
    "model=allenai/longformer-base": "checkpoints of the family longformer cannot be loaded",
    "data=org/rows": "data=hub data.id=org/rows",
    "optimizer.lr=inf": "optimizer.lr must be a finite number, got inf",
    "data.limit={train:x}": "data.limit.train must be of type int or float or null, got 'x'",
    "schedule.warmup=nan": "schedule.warmup must be a finite number, got nan",
    "data=files data.train=x.csv data.class_names=[true,false]": "must be text, got true",
    "data.train=(a).csv": "'data.train=\"(a).csv\"'",
    "data.train=a~b.csv": "'data.train=\"a~b.csv\"'",
    "data.train=a;b.csv": "'data.train=\"a;b.csv\"'",
    "data.train=é.csv": "'data.train=\"é.csv\"'",
    "data.train=it's.csv": 'data.train="it\'"\'"\'s.csv"',
    "describe lss=focal": "did you mean 'loss'?",
    "list losses": "did you mean 'loss'?",
}


@pytest.mark.parametrize(("command", "remedy"), MISTAKES.items(), ids=MISTAKES)
def test_mistake_exits_2_and_names_the_remedy(command, remedy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(command.split())
    printed = capsys.readouterr().err
    assert code == 2
    assert remedy in printed
    assert len(printed.splitlines()) <= 3
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    "value",
    ["(a).csv", "a~b.csv", "a;b.csv", "é.csv", "it's.csv", 'say "x".csv', "{1}"],
)
def test_the_quoted_word_that_is_suggested_means_the_same(value, capsys):
    assert main(["check", f"name={value}"]) == 2
    command = capsys.readouterr().err.rpartition("for the shell: ")[2].strip()
    (word,) = shlex.split(command)
    (override,) = parse_overrides([word])
    assert override.value() == value


def test_a_word_that_yaml_reads_as_a_boolean_is_refused_with_its_quotes(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    preset = tmp_path / "conf" / "experiment" / "norway.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("# @package _global_\ndata:\n  class_names: [no, yes]\n")
    overrides = ["check", "data=files", "data.train=x.csv", "experiment=norway"]
    assert main(overrides) == 2
    refusal = capsys.readouterr().err
    assert "data.class_names must be text, got false" in refusal
    assert "conf/experiment/norway.yaml:3" in refusal
    assert 'quote it in the file: "no"' in refusal


def test_a_setting_may_name_an_environment_variable(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROWS", str(tmp_path))
    assert main(["check", "data=files", "data.train=${oc.env:ROWS}/none.csv"]) == 2
    assert f"{tmp_path}/none.csv" in capsys.readouterr().err


CHECKED = {
    "data=files data.train=none.csv": "there is no file none.csv",
    "data=files data.train=rows.csv data.label=stars": "has no column 'stars'",
    "loss=huber": "loss=huber accepts float labels",
    "transfer=top_layers transfer.blocks=99": "blocks is 99, but the model has only 5 blocks",
    "model=encoder model.checkpoint=./nothing": "there is no folder './nothing'",
    "data.max_length=129": "is more than this model's 128 positions",
    "-m seed=1,2 loss=huber": "loss=huber accepts float labels",
    "loss.class_weight={maybe:2}": "there is no class 'maybe'",
    "loss=cross_entropy loss.class_weight={maybe:2}": "there is no class 'maybe'",
    "loss=focal loss.class_weight={maybe:2}": "there is no class 'maybe'",
    "data=files data.train=scores.csv loss.label_smoothing=0.1": "has no classes to smooth",
    "data=files data.train=lists.csv loss.class_weight={maybe:2}": "there is no class 'maybe'",
    "data=files data.train=lists.csv metric=f1 metric.f1.average=binary": "needs two classes",
    "metric=top_k": "k is 3, but there are only 2 classes",
    "schedule.warmup=1000": "warmup takes 1000 steps, but the run has",
    "schedule=slanted_triangular schedule.warmup=1000": "warmup takes 1000 steps",
    "postprocess=prior_shift postprocess.priors={maybe:0.2}": "there is no class 'maybe'",
    **{
        f"postprocess=prior_shift postprocess.priors={{positive:0.2}} {more}": f"and {key} changes"
        for key, more in (
            ("train.sampling", "train.sampling=balanced"),
            ("loss.class_weight", "loss.class_weight=auto"),
            ("loss.alpha", "loss=focal loss.alpha=0.3"),
            ("loss.beta", "loss=class_balanced"),
        )
    },
}


@pytest.mark.parametrize(("command", "message"), CHECKED.items(), ids=CHECKED)
def test_check_answers_what_training_would_refuse(command, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = {"rows.csv": "good,1\nbad,0\n", "scores.csv": "good,1.5\nbad,0.2\n"}
    files["lists.csv"] = "good,joy|hope\nbad,fear\nfine,joy\n"
    for name, rows in files.items():
        (tmp_path / name).write_text("text,label\n" + rows * 20)
    assert main(["check", *command.split()]) == 2
    assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == set(files)


PRIORS = "postprocess=prior_shift postprocess.priors"


@pytest.mark.parametrize(
    "command",
    [
        *("", "transfer=lora", "transfer=top_layers", "-m seed=1,2", f"{PRIORS}={{positive:0.2}}"),
        f"-m {PRIORS}.positive=0.2,0.3",
        "loss.class_weight={positive:2}",
    ],
)
def test_check_accepts_what_can_be_trained(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", *command.split()]) == 0, capsys.readouterr().err


def test_a_mistake_in_a_fresh_process_shows_no_traceback(tmp_path):
    out = subprocess.run(
        [sys.executable, "-m", "xferlab", "loss=focl"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert out.returncode == 2
    assert "Traceback" not in out.stderr
    assert out.stderr.startswith(" error: there is no loss named 'focl'")


def test_debug_shows_the_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "loss=focl", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_preset_that_takes_a_plugins_name_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    preset = tmp_path / "conf" / "loss" / "cross_entropy.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("label_smoothing: 0.1\n")
    assert main(["check"]) == 2
    assert "rename the file and begin it with  defaults: [cross_entropy]" in capsys.readouterr().err


@pytest.mark.parametrize("group", ["debug", "experiment"])
def test_a_file_that_is_not_there_brings_no_error_about_what_is_typed(group, capsys):
    """Without the file the rest is checked as far as it does not depend on it."""
    words = ["model=encoder", "model.checkpoint=org/tiny", f"{group}=nothing", "loss=focl"]
    assert main(["check", *words]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith(" error")]
    assert errors == [
        f" error: there is no {group} named 'nothing'",
        " error: there is no loss named 'focl'",
    ]
