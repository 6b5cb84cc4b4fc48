"""Attacks by whoever can only write data: each was seen to succeed somewhere, none does here."""

from __future__ import annotations

import ast
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from tests.support.attacks import (
    CHECKPOINT_ATTACKS,
    CONFIG_ATTACKS,
    DATA_ATTACKS,
    FILE_ATTACKS,
    FOLDER_ATTACKS,
    Evil,
    led_to_victim,
    stopped,
)
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.cli.main import main
from xferlab.cli.report import report_on
from xferlab.config.allowlist import LARGEST_FILE, read_config_data
from xferlab.config.compose import publish
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError
from xferlab.experiment import run as runner
from xferlab.io.atomic import write_json
from xferlab.models.architectures import read_architecture
from xferlab.models.checkpoint import resolve
from xferlab.runs.inputs import inputs_of
from xferlab.runs.metadata import write_config
from xferlab.runs.outside_paths import refuse_places_outside

ROOT = Path(__file__).parents[1]
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
SAVED = {
    "an environment variable": ("name: ${oc.env:SECRET}\n", "holds an interpolation"),
    "an interpolation in a key": ("'${oc.env:SECRET}': 1\n", "holds an interpolation"),
    "another key": ("a: 1\nb: ${a}\n", "holds an interpolation"),
    "a tag that calls": (
        "name: !!python/object/apply:os.system ['touch marker']\n",
        "uses a tag: tag:yaml.org,2002:python/object/apply:os.system",
    ),
    "a tag that OmegaConf knows": (
        "name: !!python/object/apply:pathlib.Path [x]\n",
        "uses a tag",
    ),
    "aliases that grow": (BOMB, "uses an alias: *a0"),
    "an alias to itself": ("a: &a [*a]\n", "uses an alias: *a"),
    "depth": ("a: " + "[" * 5000 + "]" * 5000, "is deeper than 32 levels"),
    "size": ("a: 1\n" + "#" * LARGEST_FILE, "has more than"),
    "bytes": ("a: \x00", "is not YAML"),
    "a list": ("- 1\n", "is not a table of keys"),
    "a key twice": ("a: 1\na: 2\n", "is not YAML"),
}


@pytest.mark.parametrize(("text", "message"), SAVED.values(), ids=SAVED)
def test_a_strangers_saved_config_is_plain_data_or_refused(text, message, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config_data(path)
    assert message in caught.value.what
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
    assert not (tmp_path / "marker").exists()


def test_the_saved_payloads_are_live(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.chdir(tmp_path)
    texts = {name: text for name, (text, _) in SAVED.items()}
    assert OmegaConf.create(texts["an environment variable"]).name == "hunter2"
    yaml.unsafe_load(texts["a tag that calls"])
    assert (tmp_path / "marker").exists()
    first, *levels = BOMB.splitlines()[:4]  # the whole of it would fill the memory
    grown = OmegaConf.to_yaml(OmegaConf.create("\n".join([first, *levels])))
    assert grown.count("x") == 9 + 9**2 + 9**3 + 9**4


def test_a_saved_config_is_an_ordinary_file(tmp_path):
    (tmp_path / "secret").write_text("a: 1\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.yaml")  # reading it would wait for ever
    for name, message in {
        "link.yaml": "it is a link",
        "pipe.yaml": "it is no ordinary file",
        "none.yaml": "is not there",
    }.items():
        with pytest.raises(ConfigError, match=message):
            read_config_data(tmp_path / name)


def test_what_a_run_writes_is_read_back(tmp_path):
    config = {
        "seed": 1,
        "name": None,
        "optimizer": {"lr": 1e-5, "name": "adamw"},
        "data": {"classes": ["a: b", "*x", "&y", "!z", "1e-5"], "same": [], "other": []},
    }
    write_config(tmp_path, config)
    assert read_config_data(tmp_path / "config.yaml") == config
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml")) == config


def answer(command: list[str], capsys) -> str:
    """Return what refuses ``typed``: three lines a mistake."""
    code = main(command)
    printed = capsys.readouterr()
    assert code == 2, printed
    for mistake in printed.err.split("\n\n"):
        assert [line[:8] for line in mistake.splitlines()] == [" error: ", " where: ", "   fix: "]
    return printed.err


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> set[str]:
    """The attacks that succeed on plain Hydra, for a payload that does nothing proves nothing."""
    out = subprocess.run(
        [sys.executable, "-m", "tests.support.plain_hydra", tmp_path_factory.mktemp("plain")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(out.stdout.splitlines())


@pytest.mark.parametrize("name", CONFIG_ATTACKS)
def test_a_config_that_is_more_than_data_is_refused(name, live, tmp_path, monkeypatch, capsys):
    case = CONFIG_ATTACKS[name]
    folder = tmp_path / "work"
    case.write(folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "strangers", raising=False)
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(runner, "run", lambda *_: (folder / os.getenv("PLANTED", "x")).touch())
    printed = answer(case.command.split(), capsys)
    assert not case.succeeded(folder)
    assert case.message in printed
    assert not (folder / "outputs").exists()
    assert name in live


@pytest.mark.parametrize(
    "command",
    [
        "hydra.run.dir=/elsewhere/run",
        "-m seed=1,2 hydra.sweep.dir=../sweep hydra.sweep.subdir=${hydra.job.num}",
        "hydra/job_logging=disabled",
        "hydra/job_logging=stdout hydra/hydra_logging=disabled",
        "hydra.verbose=true",
        "hydra.verbose=[hydra,xferlab]",
        "hydra.output_subdir=null hydra.job.chdir=true hydra.job.name=mine",
        "hydra.job_logging.root.level=DEBUG",
        "name=second_try-1e-5+2",
        "-m seed=1,2 hydra/launcher=submitit_slurm hydra.launcher.partition=gpu",
        "-m seed=1,2 hydra/launcher=ray hydra.launcher.address=head.lab:6379",
    ],
)
def test_what_a_person_may_say_to_hydra(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", *command.split()]) == 0, capsys.readouterr().err


LAUNCHERS = {  # Slurm reads a script, and what Ray's head answers is unpickled
    "setup: [touch marker]": "a config cannot set hydra.launcher.setup.0",
    "python: touch marker;": "a config cannot set hydra.launcher.python",
    "srun_args: ['--prolog=x']": "a config cannot set hydra.launcher.srun_args.0",
    "additional_parameters: {wrap: x}": "a config cannot set hydra.launcher.additional_parameters",
    "submitit_folder: /elsewhere": "a config cannot set hydra.launcher.submitit_folder",
    "partition: 'a --output=/elsewhere'": "hydra.launcher.partition may not be",
    'account: "a\\ntouch marker"': "hydra.launcher.account may not be",
    "address: 'elsewhere:6379'": "hydra.launcher.address may not be",
}


@pytest.mark.parametrize(("line", "message"), LAUNCHERS.items(), ids=LAUNCHERS)
def test_a_file_says_to_a_launcher_where_jobs_run_and_no_more(
    line, message, tmp_path, monkeypatch, capsys
):
    target = "_target_: hydra_plugins.xferlab.SlurmLauncher\n"
    path = tmp_path / "conf" / "hydra" / "launcher" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"{target}{line}\n")
    monkeypatch.chdir(tmp_path)
    assert message in answer(["check", "-m", "seed=1,2", "hydra/launcher=mine"], capsys)
    path.write_text(f"{target}partition: gpu-2\nmem_gb: 8\nconstraint: a&b\n")
    assert main(["check", "-m", "seed=1,2", "hydra/launcher=mine"]) == 0


def test_folders_may_be_arranged_below_the_working_directory(tmp_path, monkeypatch, capsys):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text(
        "defaults: [config, _self_]\n"
        "hydra: {run: {dir: 'runs/${now:%Y}/${now:%H-%M-%S}-${run_id:}'}, "
        "sweep: {dir: './sweeps/${hydra.job.name}', subdir: '${hydra.job.num}_${run_id:}'}}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--config-name", "mine"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--experimental-rerun=x.pickle", "--config-path=x", "--run"])
def test_other_flags_of_hydra_are_refused(flag, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "there is no flag" in answer([flag], capsys)


@pytest.mark.parametrize("name", ["../up", "a/b", "a\x1b]0;x", "[link=x]", "\\n", "x" * 101, ".h"])
def test_a_run_is_called_by_a_plain_word(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "name may not be" in answer(["check", f"name='{name}'"], capsys)


def refused(what, *overrides) -> str:
    """Return the three lines in which ``what(*words)`` ends."""
    with pytest.raises(ConfigError) as caught:
        what(*overrides)
    assert len(str(caught.value).splitlines()) == 3
    return caught.value.what


@pytest.mark.parametrize("name", CHECKPOINT_ATTACKS)
def test_a_checkpoint_that_is_more_than_data_is_refused(name, tmp_path, monkeypatch):
    message, change = CHECKPOINT_ATTACKS[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhunter2\n")
    folder = write_tiny_checkpoint(tmp_path / "tiny")
    change(folder)

    def load() -> None:
        read_architecture(resolve(str(folder)).config, str(folder))

    printed = refused(load)
    assert message in printed
    assert "hunter2" not in printed
    assert not (tmp_path / "marker").exists()


def test_pickles_and_links_would_have_done_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Evil()))
    assert (tmp_path / "marker").exists()
    import transformers

    (tmp_path / "secret.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhunter2\n")
    folder = write_tiny_checkpoint(tmp_path / "tiny")
    CHECKPOINT_ATTACKS["a vocabulary that is a link to another's file"][1](folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert "hunter2" in tokenizer.get_vocab()
    assert "leads out" in refused(load_tokenizer, folder)  # a run's own folder goes this way


@pytest.mark.parametrize(
    "settings",
    [
        {"vocab_file": "../secret.txt", "tokenizer_file": "../secret.json"},
        {"chat_template": "{{ cycler.__init__.__globals__.os.system('touch marker') }}"},
        {"name_or_path": "../other", "_name_or_path": "/etc"},
    ],
    ids=str,
)
def test_a_tokenizers_settings_read_and_run_nothing_else(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("hunter2\n")
    plain = load_tokenizer(write_tiny_checkpoint(tmp_path / "plain"))
    folder = write_tiny_checkpoint(tmp_path / "tiny")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **settings})
    (folder / "tokenizer.pkl").write_bytes(pickle.dumps(Evil()))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    found = load_tokenizer(folder)
    assert found.encode(["a good film"], None, 16).token_ids.flat.tolist() == (
        plain.encode(["a good film"], None, 16).token_ids.flat.tolist()
    )
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", DATA_ATTACKS)
def test_a_dataset_that_is_more_than_data_is_refused(name, tmp_path, monkeypatch):
    import datasets

    from xferlab.data.hub import HubDataset

    message, change = DATA_ATTACKS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "secret.csv").write_text("text,label\nhunter2,a\nhunter2,b\n")
    folder = tmp_path / "rows"
    folder.mkdir()
    change(folder)
    assert message in refused(HubDataset, str(folder), None, None)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", FILE_ATTACKS)
def test_a_file_of_rows_that_costs_or_breaks_is_refused(name, tmp_path):
    from xferlab.data.readers.table import read_table

    message, change = FILE_ATTACKS[name]
    change(tmp_path)
    (path,) = tmp_path.iterdir()
    columns = {"text": "data.text", "label": "data.label"}
    answer = refused(read_table, str(path), "data.train", "", columns)
    assert message in answer
    answer.encode()


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "../secret.csv", "http://169.254.169.254/x", "zip://x::/etc/x.zip"]
)
def test_a_dataset_of_the_hub_has_files_of_the_hub_alone(file):
    from types import SimpleNamespace

    from xferlab.data.hub import _refuse_outside

    config = SimpleNamespace(data_files={"train": ["hf://datasets/org/name@1/a.csv"]})
    builder = SimpleNamespace(config=config)
    _refuse_outside(builder, "org/name", None)
    config.data_files["test"] = [file]
    assert "names a file outside" in refused(_refuse_outside, builder, "org/name", None)


def test_arrow_metadata_is_not_unpickled(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet

    from xferlab.data.readers.table import read_table

    monkeypatch.chdir(tmp_path)
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Evil()),
    }
    schema = pyarrow.schema([pyarrow.field("text", pyarrow.string(), metadata=metadata)])
    table = pyarrow.table([pyarrow.array(["x"])], schema=schema)
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert read_table(str(tmp_path / "rows.parquet"), "data.train").columns == {"text": ["x"]}
    assert not (tmp_path / "marker").exists()


def test_a_strangers_sweep_cannot_speak_to_the_terminal(tmp_path, capsys):
    for number, name in enumerate(["[link=file:///etc]x[/link]", "a\x1b[2Jb", "[/wrong]"]):
        job = tmp_path / str(number)
        write_config(job, {"loss": {"name": name}})
        write_json(job / "status.json", {"status": "finished"})
    report_on([tmp_path])
    shown = capsys.readouterr().out
    assert "[link=file:///etc]x[/link]" in shown
    assert "a\\x1b[2Jb" in shown
    assert "\x1b[2J" not in shown


def test_a_strangers_sweep_reads_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    write_json(tmp_path / "1" / "status.json", {"status": "finished"})
    (tmp_path / "1" / "config.yaml").write_text("name: ${oc.env:SECRET}\n")
    assert OmegaConf.load(tmp_path / "1" / "config.yaml").name == "hunter2"
    assert "holds an interpolation" in refused(report_on, [tmp_path])
    assert not (tmp_path / "results.csv").exists()


SECRET_ROWS = "text,label\n" + "hunter2,negative\nhunter2,positive\n" * 20


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A small finished run."""
    home = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("XFERLAB_CACHE", str(home / "cache"))
        assert main(["model=bag_of_embeddings", "debug=tiny", "hydra.run.dir=run"]) == 0
    return home / "run"


@pytest.mark.parametrize("name", FOLDER_ATTACKS)
def test_a_folder_that_leads_elsewhere_is_refused(name, finished, tmp_path, monkeypatch, capsys):
    case = FOLDER_ATTACKS[name]
    work = tmp_path / "work"
    victim = tmp_path / "victim"
    shutil.copytree(finished, work / "theirs")
    for saved in ("letter", "test/letter", "keras/export.json", "step-00000001-00000/letter"):
        (victim / saved).parent.mkdir(parents=True, exist_ok=True)
        (victim / saved).write_text("{}")
    (tmp_path / "secret.csv").write_text(SECRET_ROWS)
    monkeypatch.chdir(work)
    publish(work)
    case.change(work / "theirs")
    before = sorted((path, path.stat().st_mtime_ns) for path in victim.rglob("*"))
    printed = answer(case.command.split(), capsys)
    assert case.message in printed
    assert sorted((path, path.stat().st_mtime_ns) for path in victim.rglob("*")) == before
    leaked = [path for path in work.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in path.read_bytes() for path in leaked)


@pytest.mark.parametrize("name", ["checkpoints", "predictions", "evaluations/test", "model"])
def test_whatever_lies_behind_a_link_is_left_alone(name, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim").mkdir()
    shutil.copytree(finished, tmp_path / "run")
    led_to_victim(name)(tmp_path / "run")
    stopped("model=bag_of_embeddings", "debug=tiny")(tmp_path / "run")
    assert "this run's folder holds a link" in answer(["--recover=run"], capsys)


def test_saved_words_say_nothing_to_hydra(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "run")
    stopped("model=bag_of_embeddings", "debug=tiny")(tmp_path / "run")
    (tmp_path / "run/.hydra/overrides.yaml").write_text("[hydra.run.dir=../victim]")
    assert "this folder sets 'hydra.run.dir=../victim', which is accepted" in answer(
        ["--recover=run"], capsys
    )


def test_a_place_outside_may_be_typed_or_be_known_by_its_content(finished, tmp_path, monkeypatch):
    work = tmp_path / "work"
    shutil.copytree(finished, work / "theirs")
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "a fine film,a\na poor one,b\n" * 20)
    monkeypatch.chdir(work)
    config = read_config_data(work / "theirs" / "config.yaml")
    config["data"] = {"name": "files", "train": str(rows)}
    message = refused(refuse_places_outside, work / "theirs", config, None)
    assert message == f"this folder names a place outside the working directory: {rows}"
    for typed in (f"data.train={rows}", f"data.train='{rows}'", f"data.train=[{rows},more]"):
        refuse_places_outside(work / "theirs", config, None, [typed])
    for longer in (f"data.train={rows}.old", f"data.train=../{rows}", f"data.train={rows}/more"):
        refused(refuse_places_outside, work / "theirs", config, None, [longer])
    known = inputs_of(config).record()
    refuse_places_outside(work / "theirs", config, known)
    rows.write_text("text,label\nhunter2,a\n")
    assert "which is not what it was then" in refused(
        refuse_places_outside, work / "theirs", config, known
    )


def test_a_database_may_be_typed(tmp_path, monkeypatch, capsys):
    path = tmp_path / "conf" / "sweep" / "evil.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("search: {trials: 1, storage: null, space: {seed: {int: [1, 2]}}}\n")
    monkeypatch.chdir(tmp_path)
    for command in (
        "sweep.search.storage=sqlite:///x.db",
        "sweep.search={storage: 'sqlite:///x.db'}",
    ):
        assert main(["check", "-m", "sweep=evil", command]) == 0, capsys.readouterr().err


def test_an_error_cannot_speak_to_the_terminal():
    error = ConfigError("a\x1b]0;x\x07\nfix: rm -rf", where="\r\x9b2J", fix="\u202e")
    lines = str(error).splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


UNSAFE = {"pickle", "dill", "joblib", "marshal", "shelve", "torch"}
CALLS = {"eval", "exec", "load_model", "read_pickle", "unsafe_load", "full_load", "unsafe_load_all"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("[xp]*/**/*.py")), ids=lambda p: p.stem)
def test_nothing_here_unpickles_or_evaluates(path):
    """Keras's own files (``.keras``, with their Lambda layers) are not opened either.

    But for the one that an export has just written itself and reads back, in Keras's safe mode.
    """
    written_by_us = {"load_model"} if path.parts[-2:] == ("formats", "keras.py") else set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(a.name for a in node.names)]
            assert not UNSAFE & {name.partition(".")[0] for name in names}
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            flags = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            assert name not in CALLS - written_by_us
            assert name not in written_by_us or flags.get("safe_mode") is True
            assert not flags.get("allow_pickle")
            assert not flags.get("trust_remote_code")
            assert flags.get("safe_mode") is not False


def test_the_page_lists_every_attack_and_no_other():
    page = (ROOT / "docs" / "safety.md").read_text()
    rows = set(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE))
    tried = {(name, case.message) for name, case in CONFIG_ATTACKS.items()}
    tried |= {(name, message) for name, (_, message) in SAVED.items()}
    tried |= {(name, case.message.strip()) for name, case in FOLDER_ATTACKS.items()}
    changes = CHECKPOINT_ATTACKS | DATA_ATTACKS | FILE_ATTACKS
    tried |= {(name, message) for name, (message, _) in changes.items()}
    assert {row for row in rows if row not in {("attack", "answer"), ("---", "---")}} == tried
