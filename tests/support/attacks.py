"""The attacks of whoever can only write data: what is written and typed, and what is answered."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.pytorch_files import archive_around

CODE = "a config cannot name code to run"
WRITES = "logging.FileHandler, filename: marker"
MAKES = "'${oc.decode:\"{_target_: " + WRITES + "}\"}'"
TOUCHES = "import pathlib, sys\npathlib.Path('marker').touch()\n"


@dataclass(frozen=True)
class ConfigAttack:
    """One attack through Hydra.

    Attributes:
        typed: the words on the command line.
        said: a part of the answer.
        files: what the attacker wrote, by its path in the working directory.
        leaves: the file that shows success; a leaked ``$SECRET`` in any file shows it too.
    """

    command: str
    message: str
    files: dict[str, str] = field(default_factory=dict)
    leaves: str = "marker"

    def write(self, folder: Path, more: dict[str, str] | None = None) -> None:
        """Make the working directory that the attacker prepared."""
        for name, text in {**(more or {}), **self.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "conf").mkdir(parents=True, exist_ok=True)

    def succeeded(self, folder: Path) -> bool:
        """Tell whether the mark was left in ``folder``, or above it, or the secret written."""
        marks = [*folder.glob(self.leaves.removeprefix("../")), *folder.parent.glob("marker")]
        files = [path for path in folder.rglob("*") if path.is_file()]
        return bool(marks) or any("hunter2" in path.read_text("utf-8", "ignore") for path in files)


def preset(text: str) -> dict[str, str]:
    return {"conf/experiment/evil.yaml": f"# @package _global_\n{text}\n"}


def first(text: str) -> dict[str, str]:
    return {"conf/evil.yaml": f"defaults: [config, _self_]\nhydra: {text}\n"}


def logs(handler: str = "class: logging.NullHandler", node: str = "job_logging", **more: str):
    parts = {
        "formatters": "{simple: {datefmt: x}, plain: {datefmt: x}}",
        "root": "{level: INFO, handlers: [x]}",
        **more,
    }
    lines = [f"{key}: {value}\n" for key, value in parts.items()]
    text = "version: 1\ndisable_existing_loggers: false\n" + "".join(lines)
    console = "console: {class: logging.StreamHandler}"
    return {f"conf/hydra/{node}/evil.yaml": f"{text}handlers: {{{console}, x: {{{handler}}}}}\n"}


CONFIG_ATTACKS = {
    "a callback": ConfigAttack(
        "experiment=evil", CODE, preset("hydra: {callbacks: {x: {_target_: " + WRITES + "}}}")
    ),
    "a callback, typed": ConfigAttack(
        "+hydra.callbacks.x._target_=logging.FileHandler +hydra.callbacks.x.filename=marker", CODE
    ),
    "a callback that a resolver makes": ConfigAttack(
        "experiment=evil",
        "a config cannot set hydra.callbacks.x",
        preset(f"hydra: {{callbacks: {{x: {MAKES}}}}}"),
    ),
    "a callback kept under another key": ConfigAttack(
        "experiment=evil",
        "a config cannot set hydra.callbacks.x",
        preset(f"name: {MAKES}\nhydra: {{callbacks: {{x: '${{name}}'}}}}"),
    ),
    "a target inside the sweeper": ConfigAttack(
        "-m seed=1 experiment=evil",
        CODE,
        preset("hydra: {sweeper: {params: {x: {_target_: " + WRITES + "}}}}"),
    ),
    "a target inside the launcher": ConfigAttack(
        "-m seed=1 hydra/launcher=evil",
        CODE,
        {
            "conf/hydra/launcher/evil.yaml": "x: {_target_: " + WRITES + "}\n"
            "_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher\n",
        },
    ),
    "jobs that nobody typed": ConfigAttack(
        "-m seed=1 experiment=evil",
        "a config cannot set hydra.sweeper.params",
        preset("hydra: {sweeper: {params: {hydra.sweep.dir: marker}}}"),
    ),
    "a sweep that nobody typed": ConfigAttack(
        "--config-name evil",
        "a config cannot set hydra.mode",
        first("{mode: MULTIRUN, sweep: {dir: marker}}"),
    ),
    "a logging handler made by ()": ConfigAttack(
        "hydra/job_logging=evil", CODE, logs(f"(): {WRITES}")
    ),
    "a logging handler of any module": ConfigAttack(
        "hydra/job_logging=evil",
        "hydra.job_logging.handlers.x.class may not be",
        {**logs("class: strangers.Handler"), "strangers.py": TOUCHES},
    ),
    "a logging handler that a resolver makes": ConfigAttack(
        "hydra/job_logging=evil",
        "a config cannot set hydra.job_logging.handlers.x",
        {
            k: v.replace("x: {x}", "x: '${oc.decode:\"{class: " + WRITES + "}\"}'")
            for k, v in logs("x").items()
        },
    ),
    "a log file anywhere": ConfigAttack(
        "hydra/job_logging=evil",
        "hydra.job_logging.handlers.x.filename may not be",
        logs(f"class: {WRITES}"),
    ),
    "a log file above the run's folder": ConfigAttack(
        "hydra/job_logging=evil",
        "hydra.job_logging.handlers.x.filename may not be",
        logs("class: logging.FileHandler, filename: '${hydra.runtime.output_dir}/../marker'"),
        leaves="outputs/*/marker",
    ),
    "a log stream that is any object": ConfigAttack(
        "hydra/job_logging=evil",
        "hydra.job_logging.handlers.x.stream may not be",
        {
            **logs("class: logging.StreamHandler, stream: 'ext://strangers.sys'"),
            "strangers.py": TOUCHES,
        },
    ),
    "a log level that is any object": ConfigAttack(
        "hydra/job_logging=evil",
        "hydra.job_logging.handlers.x.level may not be",
        {
            **logs("class: logging.NullHandler, level: 'ext://strangers.sys'"),
            "strangers.py": TOUCHES,
        },
    ),
    "a log format that is any object": ConfigAttack(
        "hydra/job_logging=evil",
        "hydra.job_logging.formatters.x.format may not be",
        {
            **logs(formatters="{simple: {}, plain: {}, x: {format: 'ext://strangers.sys'}}"),
            "strangers.py": TOUCHES,
        },
    ),
    "a logging formatter of any module": ConfigAttack(
        "hydra/job_logging=evil",
        "a config cannot set hydra.job_logging.formatters.x.class",
        {
            **logs(formatters="{simple: {}, plain: {}, x: {class: strangers.Formatter}}"),
            "strangers.py": TOUCHES,
        },
    ),
    "a logging filter made by ()": ConfigAttack(
        "hydra/job_logging=evil", CODE, logs(filters="{x: {(): " + WRITES + "}}")
    ),
    "Hydra's own log anywhere": ConfigAttack(
        "hydra/hydra_logging=evil",
        "hydra.hydra_logging.handlers.x.filename may not be",
        logs(f"class: {WRITES}", node="hydra_logging"),
    ),
    "a job's name that is a path": ConfigAttack(
        "--config-name evil",
        "hydra.job.name may not be",
        first("{job: {name: ../../../marker}}"),
        leaves="marker.log",
    ),
    "a search path that is imported, typed": ConfigAttack(
        "hydra.searchpath=[pkg://strangers]",
        "a config cannot set hydra.searchpath",
        {"strangers/__init__.py": TOUCHES},
    ),
    "a search path that is imported": ConfigAttack(
        "--config-name evil",
        "a config cannot set hydra.searchpath",
        {"strangers/__init__.py": TOUCHES, **first("{searchpath: ['pkg://strangers']}")},
    ),
    "the run's folder outside": ConfigAttack(
        "--config-name evil",
        "hydra.run.dir may not be '../marker'",
        first("{run: {dir: ../marker}}"),
        leaves="../marker",
    ),
    "the run's folder anywhere": ConfigAttack(
        "--config-name evil",
        "hydra.run.dir may not be",
        first("{run: {dir: '${oc.env:HOME}/marker'}}"),
    ),
    "the run's folder above, by the clock": ConfigAttack(
        "--config-name evil",
        "hydra.run.dir may not be",
        first("{run: {dir: '${now:.}${now:.}/marker'}}"),
        leaves="../marker",
    ),
    "a sweep's folder outside": ConfigAttack(
        "-m seed=1 --config-name evil",
        "hydra.sweep.dir may not be '../marker'",
        first("{sweep: {dir: ../marker}}"),
        leaves="../marker",
    ),
    "a job's folder outside": ConfigAttack(
        "-m seed=1 --config-name evil",
        "hydra.sweep.subdir may not be '../../../marker'",
        first("{sweep: {subdir: ../../../marker}}"),
    ),
    "the folder of what was typed": ConfigAttack(
        "experiment=evil",
        "hydra.output_subdir may not be",
        preset("hydra: {output_subdir: ../../../marker}"),
    ),
    "environment for the job": ConfigAttack(
        "experiment=evil",
        "a config cannot set hydra.job.env_set.PLANTED",
        preset("hydra: {job: {env_set: {PLANTED: marker}}}"),
    ),
    "environment into the record": ConfigAttack(
        "experiment=evil",
        "a config cannot set hydra.job.env_",
        preset("hydra: {job: {env_copy: [SECRET]}}"),
    ),
}


class Evil:
    """An object whose pickle leaves the mark when it is read."""

    def __reduce__(self):
        return Path.touch, (Path("marker"),)


Change = Callable[[Path], object]


def table(name: str, **changes: object) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def text(name: str, content: str | bytes) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def link(name: str, target: str) -> Change:
    return both(
        lambda folder: (folder / name).unlink(missing_ok=True),
        lambda folder: (folder / name).symlink_to(target),
    )


def pipe(name: str) -> Change:
    return both(
        lambda folder: (folder / name).unlink(missing_ok=True),
        lambda folder: os.mkfifo(folder / name),
    )


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def only(name: str, content: bytes) -> Change:
    return both(lambda folder: (folder / "model.safetensors").unlink(), text(name, content))


def header(content: str | dict, length: int | None = None) -> Change:
    data = (content if isinstance(content, str) else json.dumps(content)).encode()
    size = len(data) if length is None else length
    return text("model.safetensors", size.to_bytes(8, "little") + data + bytes(64))


def tensor(begin: int = 0, end: int = 64, shape: tuple[int, ...] = (16,)) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def index(name: str) -> Change:
    weights = {"weight_map": {"x": name}}
    return only("model.safetensors.index.json", json.dumps(weights).encode())


def added_token(token_id: int) -> Change:
    """Add a token with an id of its own to the tokenizer's file."""

    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        rules = json.loads(path.read_text())
        rules["added_tokens"].append({**rules["added_tokens"][0], "id": token_id, "content": "x1"})
        path.write_text(json.dumps(rules))

    return change


NO_TOKENIZER = "names a tokenizer class that is not loaded"
OWN_CODE = "the checkpoint brings its own code"
PICKLES = "only files that are never unpickled: "
OUT = "is a link that leads out of the checkpoint"
STRANGE = "is no ordinary file"
DEEP = "[" * 100_000
CHECKPOINT_ATTACKS: dict[str, tuple[str, Change]] = {
    "code of its own for the model": (
        OWN_CODE,
        table("config.json", auto_map={"AutoModel": "evil.Model"}),
    ),
    "code of its own for the tokenizer": (
        OWN_CODE,
        table("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]}),
    ),
    "a tokenizer class that is none": (
        NO_TOKENIZER,
        table("tokenizer_config.json", tokenizer_class="os.system"),
    ),
    **{
        f"a tokenizer class that runs another file's code: {name}": (
            NO_TOKENIZER,
            both(
                table("tokenizer_config.json", tokenizer_class=name),
                text("processor_config.json", json.dumps({"auto_map": {name: "evil.P"}})),
                text("preprocessor_config.json", json.dumps({"auto_map": {name: "evil.P"}})),
                text("evil.py", TOUCHES),
            ),
        )
        for name in ("AutoProcessor", "AutoFeatureExtractor", "AutoImageProcessor")
    },
    "a tokenizer class in the model's config": (
        NO_TOKENIZER,
        table("config.json", tokenizer_class="AutoProcessor"),
    ),
    "a token whose id fills the memory": (
        "the id 2147483648, and the checkpoint's table has",
        added_token(2**31),
    ),
    "a token that the table does not have": ("and the checkpoint's table has", added_token(5000)),
    "a pickle in PyTorch's weights": (
        "cannot be read as data: its pickle names",
        only("pytorch_model.bin", archive_around(pickle.dumps(Evil(), 2))),
    ),
    "a pickle in place of PyTorch's weights": (
        "cannot be read as data: its pickle",
        only("pytorch_model.bin", pickle.dumps(Evil())),
    ),
    "weights in a .pt": (PICKLES + "model.pt", only("model.pt", pickle.dumps(Evil()))),
    "weights in a .pkl": (PICKLES + "model.pkl", only("model.pkl", pickle.dumps(Evil()))),
    "weights of Keras, with a Lambda layer": (
        PICKLES + "tf_model.h5",
        only("tf_model.h5", b"Lambda"),
    ),
    "an archive of Keras, with a Lambda layer": (
        PICKLES + "model.keras",
        only("model.keras", b"PK Lambda"),
    ),
    "a vocabulary that is a link to another's file": (
        OUT,
        both(
            lambda folder: (folder / "tokenizer.json").unlink(), link("vocab.txt", "../secret.txt")
        ),
    ),
    "a config that is a link": (OUT, link("config.json", "/etc/hostname")),
    "a chat template that is a link": (OUT, link("chat_template.jinja", "../secret.txt")),
    "weights that are a device": (OUT, link("model.safetensors", "/dev/zero")),
    "a pipe that never ends": (STRANGE, pipe("tokenizer_config.json")),
    "an index that names a file above": (
        "model.safetensors.index.json names a file outside the checkpoint",
        index("../model.safetensors"),
    ),
    "an index that names a file anywhere": (
        "names a file outside the checkpoint: '/etc/passwd'",
        index("/etc/passwd"),
    ),
    "a config without a bottom": ("config.json cannot be read", text("config.json", DEEP)),
    "tokenizer settings without a bottom": (
        "tokenizer_config.json cannot be read",
        text("tokenizer_config.json", DEEP),
    ),
    "a header without a bottom": ("invalid JSON in header", header(DEEP)),
    "a header longer than the file": ("header too large", header("{}", 2**62)),
    "tensors that share bytes": (
        "invalid offset for tensor",
        header({"a": tensor(), "b": tensor()}),
    ),
    "a tensor after the end": (
        "invalid shape, data type, or",
        header({"a": tensor(0, 6400)}),
    ),
    "a tensor before the beginning": (
        "invalid value: integer",
        header({"a": tensor(-64, 0)}),
    ),
    "a tensor larger than its bytes": ("invalid shape", header({"a": tensor(shape=(2**40,))})),
    "sizes that fill the memory": (
        "more than 20,000,000,000",
        table("config.json", hidden_size=10**9),
    ),
    "a size that is none": ("its hidden_size is", table("config.json", hidden_size="os.system")),
    "a number that is none": ("its layer_norm_eps is", table("config.json", layer_norm_eps="x")),
}

ROWS = "text,label\nx,a\ny,b\n"
OUTSIDE = "names a file outside as its own"


def card(metadata: str) -> Change:
    return both(text("train.csv", ROWS), text("README.md", f"---\n{metadata}\n---\n"))


DATA_ATTACKS: dict[str, tuple[str, Change]] = {
    "a loading script": (
        "no code of a dataset is run",
        both(text("rows.py", TOUCHES), text("train.csv", ROWS)),
    ),
    "rows in a pickle": ("No (supported) data files", text("train.pkl", pickle.dumps(Evil()))),
    "a card that names a file above": (
        OUTSIDE,
        card('configs: [{config_name: default, data_files: "../secret.csv"}]'),
    ),
    "a file that is a link": (OUTSIDE, link("train.csv", "../secret.csv")),
    "a card with a tag that calls": (
        "could not determine a constructor",
        card("configs: !!python/object/apply:pathlib.Path.touch [marker]"),
    ),
}


def parquet(value: str, times: int) -> Change:
    """Write a value over and over, which Parquet does in a few bytes."""

    def change(folder: Path) -> None:
        import numpy as np
        import pyarrow
        import pyarrow.parquet

        places = pyarrow.array(np.zeros(times, dtype="int32"))
        column = pyarrow.DictionaryArray.from_arrays(places, pyarrow.array([value]))
        rows = pyarrow.table({"text": column, "label": column})
        path = folder / "rows.parquet"
        pyarrow.parquet.write_table(rows, path, compression="zstd", store_schema=False)
        assert path.stat().st_size < 300_000

    return change


def json_row(label: str) -> Change:
    return text(
        "rows.jsonl", '{"text": "a", "label": "b"}\n{"text": "a", "label": ' + label + "}\n"
    )


FILE_ATTACKS: dict[str, tuple[str, Change]] = {
    "a header that claims millions of rows": ("5,000,000 are read", parquet("a", 6_000_000)),
    "gigabytes of one text in a few bytes": ("unpacks to more", parquet("x" * 10**7, 4_000)),
    "a number of 5,000 digits": ("row 2 is not a row in JSON", json_row("7" * 5_000)),
    "a label without a bottom": ("it is nested too deeply", json_row(DEEP)),
    "half a surrogate pair": ("row 2 has half a surrogate pair", json_row('"\\ud800"')),
    "a NUL byte": ("row 2 has a NUL byte", json_row('"\\u0000"')),
    "a quote that is never closed": (
        "a quote that opens here is never closed",
        text("rows.csv", "text,label\na,b\n" + '"' + "a,b\n" * 100_000),
    ),
    "a line without an end": (
        "is longer than",
        text("rows.csv", "text,label\n" + "x" * 17_000_000),
    ),
}


LINK = "this run's folder holds a link, "
PLACE = "this folder names a place outside the working directory"
PRIVATE = "../secret.csv"
ON_PRIVATE = ("data=files", f"data.train={PRIVATE}")
JOB = "-m optimizer.lr=1e-3 hydra.sweep.dir=theirs"


@dataclass(frozen=True)
class FolderAttack:
    """What a run's or a sweep's folder, or a sweep's file, is made to lead to.

    Attributes:
        typed: the words on the command line; the folder is ``theirs``.
        said: a part of the answer.
        change: what the attacker did to a finished run in ``theirs``.
    """

    command: str
    message: str
    change: Change


def led_to_victim(name: str, target: str = "") -> Change:
    """Put a link to the victim's folder, or to a file in it, in the place of ``name``."""

    def change(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(folder.parent.resolve().parent / "victim" / target)

    return change


def stopped(*overrides: str) -> Change:
    """Make a run one of these words that was interrupted before its first epoch."""

    def change(folder: Path) -> None:
        (folder / ".hydra").mkdir(exist_ok=True)
        (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(list(overrides)))
        (folder / "config.yaml").write_text(json.dumps(config_of(*overrides)))
        table("status.json", status="interrupted")(folder)
        for name in ("inputs.json", "run.json", "metrics.json", "history.csv"):
            (folder / name).unlink(missing_ok=True)

    return change


def config_of(*overrides: str) -> dict:
    from xferlab.config.compose import compose_config
    from xferlab.config.recipe import read

    return dict(read(compose_config(list(overrides))).config)


def planned_with(*overrides: str) -> Change:
    """Make a run a job of a sweep that was planned with these words."""

    def change(folder: Path) -> None:
        stopped(*overrides)(folder)
        shutil.rmtree(folder / ".hydra")
        job = {"run_id": "0" * 8, "overrides": [], "plugins": {}, "config": config_of(*overrides)}
        (folder / "job.json").write_text(json.dumps(job))

    return change


def reads(*overrides: str) -> Change:
    """Have a finished run say that these are its data."""

    def change(folder: Path) -> None:
        (folder / "inputs.json").unlink(missing_ok=True)
        (folder / "config.yaml").write_text(
            json.dumps(
                {**config_of("model=bag_of_embeddings", "debug=tiny"), **data_of(*overrides)}
            )
        )

    def data_of(*overrides: str) -> dict:
        return {"data": config_of(*overrides)["data"]}

    return change


def sweep_file(content: str) -> Change:
    def change(folder: Path) -> None:
        path = folder.parent / "conf" / "sweep" / "evil.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content)

    return change


def planned(name: str) -> Change:
    """Lay a link into the folder of the job that a sweep is going to have."""

    def change(folder: Path) -> None:
        from xferlab.sweeps.planner import plan_sweep

        (job,) = plan_sweep(JOB.split()[1:]).jobs
        shutil.rmtree(folder)
        led_to_victim(f"{job.run_id}/{name}" if name else job.run_id, f"{name and 'letter'}")(
            folder
        )

    return change


SEARCH = (
    "search: {{trials: 1, storage: {}, space: {{optimizer.lr: {{uniform: [0.001, 0.002]}}}}}}\n"
)
FOLDER_ATTACKS = {
    "evaluations that are a link": FolderAttack(
        "evaluate theirs", f"{LINK}evaluations", led_to_victim("evaluations")
    ),
    "a TensorBoard log that is a link": FolderAttack(
        "evaluate theirs", f"{LINK}tensorboard", led_to_victim("tensorboard")
    ),
    "exports that are a link": FolderAttack(
        "export theirs --to keras --force", f"{LINK}export", led_to_victim("export")
    ),
    "a sweep's job that is a link": FolderAttack(JOB, LINK, planned("")),
    "a job's output that is a link": FolderAttack(JOB, f"{LINK}output.txt", planned("output.txt")),
    "a database that a sweep's file names": FolderAttack(
        "-m sweep=evil",
        "a file names the trials' database, sqlite:///../victim/base.db",
        sweep_file(SEARCH.format("'sqlite:///../victim/base.db'")),
    ),
    "a server that a sweep's file names": FolderAttack(
        "-m sweep=evil",
        "a file names the trials' database, postgresql://elsewhere/trials",
        sweep_file(SEARCH.format("'postgresql://elsewhere/trials'")),
    ),
    "a private file that an interrupted run names": FolderAttack(
        "--recover=theirs", f"{PLACE}: {PRIVATE}", stopped(*ON_PRIVATE, "model=bag_of_embeddings")
    ),
    "a private file that a sweep's job names": FolderAttack(
        "--recover=theirs",
        f"{PLACE}: {PRIVATE}",
        planned_with(*ON_PRIVATE, "model=bag_of_embeddings"),
    ),
    "a private file that a finished run names": FolderAttack(
        "evaluate theirs", f"{PLACE}: {PRIVATE}", reads(*ON_PRIVATE, f"data.test={PRIVATE}")
    ),
}
