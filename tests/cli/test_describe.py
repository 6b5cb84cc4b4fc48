"""``describe``, ``list``, ``--help`` and ``--version``: all that can be typed can be looked up."""

from __future__ import annotations

import sys

import pytest

from xferlab.cli.commands import COMMANDS
from xferlab.cli.main import main
from xferlab.config.reference import all_settings, field_texts, settings_of
from xferlab.config.schema import TrainConfig
from xferlab.sweeps.engines.registry import ENGINES


@pytest.fixture
def say(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command and returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_every_setting_is_described():
    settings = list(all_settings())
    assert len(settings) > 150
    assert not [f"{owner} {each.key}" for owner, each in settings if not each.text]
    for name, engine in ENGINES.items():
        assert all(each.text for each in settings_of(engine, str)), name


def test_no_text_is_of_a_field_that_is_gone():
    assert field_texts(TrainConfig).keys() == TrainConfig.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("train", ["train.batch_size", "16"]),
        ("train.precision", ["auto|float32|mixed_float16|mixed_bfloat16", "Keras"]),
        ("seed", ["int", "seeds Python"]),
        ("sweep", ["sweep.workers", "int or null", "lr_seeds"]),
        ("sweep=lr", ["optimizer.lr: [1e-5"]),
        ("experiment", ["frozen_encoder"]),
        ("experiment=frozen_encoder", ["override /transfer: frozen"]),
        ("debug=tiny", ["limit:"]),
        ("launcher", ["ray", "local"]),
        ("hydra/launcher=ray", ["hydra.launcher.num_gpus", "0.0"]),
        ("hydra/launcher=local", ["LocalLauncher"]),
        ("loss.gamma", ["(loss=focal)", "(loss=class_balanced)", "2.0"]),
        ("gamma", ["(loss=focal)", "(schedule=polynomial)"][:1]),
        ("transfer.lora.rank", ["transfer.rank  (transfer=lora)", "int"]),
        ("model=minilm", ["all-MiniLM-L6-v2", "auto|first|mean|last"]),
    ],
)
def test_a_name_is_described(say, name, lines):
    code, out, _ = say("describe", name)
    assert code == 0
    assert all(line in out for line in lines)
    assert "<class" not in out


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["describe", "train.epoch"], "did you mean 'train.epochs'?"),
        (["describe", "focal"], "did you mean loss=focal?"),
        (["describe", "experiment=frozen"], "did you mean 'frozen_encoder'?"),
        (["describe"], "python -m xferlab describe loss"),
        (["list", "trian"], "did you mean 'train'?"),
        (["lst"], "did you mean 'list'"),
        (["evalaute", "outputs/runs/x"], "did you mean 'evaluate'"),
    ],
)
def test_a_wrong_name_is_three_lines(say, arguments, fix):
    code, _, err = say(*arguments)
    assert code == 2
    assert [line.partition(":")[0].strip() for line in err.splitlines()] == [
        "error",
        "where",
        "fix",
    ]
    assert fix in err


def test_all_that_can_be_chosen_is_listed(say):
    _, out, _ = say("list")
    names = [line.split(" ", 1)[0] for line in out.splitlines()]
    for name in ("loss=focal", "experiment=frozen_encoder", "debug=tiny", "sweep=lr"):
        assert name in names
    for name in ("hydra/launcher=ray", "train.epochs", "sweep.workers"):
        assert name in names
    assert len(names) == len(set(names) - {"-"}) + names.count("-")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(say, command):
    code, out, _ = say(command, "--help")
    assert code == 0
    assert out.startswith("usage: python -m xferlab")
    assert max(map(len, out.splitlines())) <= 100


def test_the_page_of_help_fits_into_eighty_columns(say):
    _, out, _ = say("--help")
    assert max(map(len, out.splitlines())) <= 80


def test_the_version_is_printed(say):
    assert say("--version") == (0, "xferlab 0.2.0\n", "")


@pytest.mark.parametrize(
    ("content", "line"), [(b"gamma: [\n", 2), (b"# caf\xe9\ndefaults: [focal]\n", 1)]
)
def test_a_broken_preset_is_listed_and_described_in_three_lines(say, tmp_path, content, line):
    for group in ("loss", "model"):
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "broken.yaml").write_bytes(content)
    code, printed, _ = say("list", "loss", "model")
    assert code == 0
    assert "loss=broken" in printed
    code, _, errors = say("describe", "loss=broken")
    assert code == 2
    assert f"where: conf/loss/broken.yaml:{line}" in errors
    assert say("check", "model=brken")[0] == 2


@pytest.mark.parametrize("override", ["data='~nobody_here/a.csv'", "data.id='~nobody_here/a'"])
def test_a_folder_of_an_unknown_user_is_not_there(say, override):
    chosen = ["data=hub"] if override.startswith("data.id") else []
    code, _, errors = say("check", *chosen, override)
    assert code == 2
    assert errors.count("\n") == 3
    assert "~nobody_here" in errors


@pytest.mark.parametrize("code", ["stop", 3])
def test_a_plugin_that_ends_the_process_is_named(say, monkeypatch, code):
    def stop(flags, overrides):
        sys.exit(code)

    monkeypatch.setattr("xferlab.cli.help.show_help", stop)
    ended, _, errors = say("help")
    assert ended == 1
    assert f"sys.exit({code!r}) was called" in errors
    assert f"where: {__file__}:" in errors
