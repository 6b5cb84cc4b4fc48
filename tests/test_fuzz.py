"""Random words, files and plugins: an answer in three lines or a run, never a traceback.

The form that is marked slow has twenty times the examples and more: ``pytest -m slow tests/test_fuzz.py``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.errors import XferlabError
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY

HANG = 20  # seconds of the processor; an example takes a tenth of one
SLEEP = 600  # seconds of the clock: on a busy machine little of it is ours
SHORT = {"overrides": 12, "yaml": 8, "data": 12, "plugins": 8}
LONG = {"overrides": 700, "yaml": 700, "data": 1500, "plugins": 600}


def examples(count: int):
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # shrinking megabytes takes minutes
        suppress_health_check=list(HealthCheck),
    )


@contextlib.contextmanager
def workspace(files: dict[str, bytes]) -> Iterator[Path]:
    """Make ``files`` the working directory, and take back what was registered in the block."""
    here = Path.cwd()
    folder = Path(tempfile.mkdtemp())
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    os.chdir(folder)
    signal.signal(signal.SIGPROF, _hangs)
    signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_PROF, HANG)
    signal.alarm(SLEEP)
    try:
        with isolated_plugins():
            yield folder
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.chdir(here)
        shutil.rmtree(folder)


def _hangs(*_: object) -> None:
    raise AssertionError(f"no answer in {HANG} s of the processor or {SLEEP} s")


def checked(overrides: list[str], files: dict[str, bytes]) -> tuple[int, str]:
    """Run ``check`` and hold what every answer must be."""
    with workspace(files) as folder:
        before = sorted(folder.rglob("*"))
        out = io.StringIO()
        err = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["check", *overrides])
        printed = err.getvalue()
        written = [p for p in folder.rglob("*") if "__pycache__" not in p.parts]
        assert code in (0, 2), (code, printed)
        assert "Traceback" not in printed + out.getvalue()
        assert sorted(written) == before
        if code == 2:
            for block in printed.strip().split("\n\n"):
                assert "error: " in block, printed
        return code, printed


load_plugins(Path("/nonexistent"))
FIELDS = sorted({f"{e.group}.{f}" for e in REGISTRY for f in e.defaults()})
TRAIN = [
    "epochs",
    "max_steps",
    "batch_size",
    "gradient_accumulation_steps",
    "max_grad_norm",
    "precision",
    "monitor",
]
KEYS = [
    *GROUPS, *FIELDS, *(f"train.{t}" for t in TRAIN), "seed", "name", "experiment", "debug", "train",
    "hydra.run.dir", "hydra.mode", "hydra.job.name", "hydra/launcher", "hydra.verbose", "metric.f1",
    "metric.f1.average", "data.limit.train", "lr", "trainer.max_epochs", "loss@x", "a.b", "_target_",
]  # fmt: skip
NAMES = sorted({e.name for e in REGISTRY})
VALUES = [
    "1", "0", "-1", "1e-5", "nan", "inf", "1e999", "true", "null", "???", "''", "x", "[]", "{}", "[1,a]",
    "{a:1}", "{0:1,a:2}", "[[1],{a:b}]", "1,2", "range(1,3)", "interval(0,1)", "choice(a,b)", "${seed}",
    "${train}", "${loss.gamma}", "${nowhere}", "${loss}", "${run_id:}", "${oc.env:HOME}", "${", "}", '"',
    "'a b'", "\\", "2020-01-01", "0x10", "1_000", "[accuracy,f1]", "[f1]", "glob(*)", "int(x)", "😀",
    str(10**30), "../x", "/etc/passwd", "a=b", "auto", "val_accuracy", "${now:%Y}", "${hydra:job.num}",
]  # fmt: skip

value = st.one_of(st.sampled_from(VALUES), st.sampled_from(NAMES), st.text(max_size=12))
key = st.one_of(st.sampled_from(KEYS), st.text(string.ascii_lowercase + "._/@", max_size=10))
word = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), key, value),
    st.builds("~{}".format, key),
    st.sampled_from(["-m", "--config-name", "--resolve", "--config-dir", "--cfg", "job", "--"]),
    st.text(max_size=20),
)


class TestOverrides:
    def hold(self, overrides):
        checked([w for w in overrides if w not in ("--debug", "-h", "--help")], {})

    @examples(SHORT["overrides"])
    @given(st.lists(word, max_size=5))
    def test_sample(self, overrides):
        self.hold(overrides)

    @pytest.mark.slow
    @examples(LONG["overrides"])
    @given(st.lists(word, max_size=5))
    def test_long(self, overrides):
        self.hold(overrides)


leaf = st.one_of(
    st.sampled_from(VALUES),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)
node = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([k.rpartition(".")[2] for k in KEYS]), inner, max_size=3),
    ),
    max_leaves=6,
)
default = st.one_of(
    st.sampled_from(["_self_", "x", "root", "nope", "/loss: focal", "???", ""]),
    st.dictionaries(
        st.sampled_from([*GROUPS, *(f"override /{g}" for g in GROUPS), "/experiment", "loss@x"]),
        st.one_of(st.sampled_from([*NAMES, "x", "${seed}"]), st.none(), st.integers()),
        min_size=1, max_size=2,
    ),
    leaf,
)  # fmt: skip
mapping = st.fixed_dictionaries(
    {},
    optional={
        **{g: node for g in GROUPS},
        "train": node, "seed": leaf, "name": leaf, "hydra": node, "lss": node,
        "defaults": st.one_of(st.lists(default, max_size=4), leaf),
    },
)  # fmt: skip
HEADERS = ["", "# @package _global_\n", "# @package a.b\n", "# @package a b\n", "# @package\n"]
PIECES = [
    "loss:", " gamma: 2", "\t", "\n", "'", '"', "{", "[", "&a ", "*a", "<<: ", "- ", "? ", ": ", "!!python/x ",
    "!!int ", "defaults:\n  - ", "seed: 1", "%", "---\n", "...\n", "#", "@", "`", "|\n ", "é", "\x00", "\x85", "a",
]  # fmt: skip
written = st.one_of(
    st.builds(lambda head, data: (head + json.dumps(data)).encode(), st.sampled_from(HEADERS), mapping),
    st.builds(
        lambda head, parts: (head + "".join(parts)).encode("utf-8", "replace"),
        st.sampled_from(HEADERS), st.lists(st.sampled_from(PIECES), max_size=12),
    ),
    st.binary(max_size=40),
)  # fmt: skip
PLACES = {
    "conf/experiment/x.yaml": ["experiment=x"],
    "conf/loss/x.yaml": ["loss=x"],
    "conf/metric/x.yaml": ["metric=[x]"],
    "conf/data/x.yaml": ["data=x"],
    "conf/config.yaml": [],
    "other/config.yaml": ["--config-dir", "other"],
    "conf/mine.yaml": ["--config-name", "mine"],
}


class TestYaml:
    def hold(self, place, content, overrides):
        checked([*PLACES[place], *overrides], {place: content})

    @examples(SHORT["yaml"])
    @given(
        st.sampled_from(list(PLACES)),
        written,
        st.lists(st.builds("{}={}".format, key, value), max_size=1),
    )
    def test_sample(self, place, content, overrides):
        self.hold(place, content, overrides)

    @pytest.mark.slow
    @examples(LONG["yaml"])
    @given(
        st.sampled_from(list(PLACES)),
        written,
        st.lists(st.builds("{}={}".format, key, value), max_size=1),
    )
    def test_long(self, place, content, overrides):
        self.hold(place, content, overrides)


CELLS = [
    "text", "label", "pos", "neg", "1", "0", "0.5", "1e999", "nan", "", " ", "a|b", "|", '"a,b"', '"', '""',
    "😀", "\x00", "-1", "B-x O", str(10**40), "9" * 5000, "\ud800",
]  # fmt: skip
cell = st.one_of(st.sampled_from(CELLS), st.text(max_size=6))
rows = st.lists(st.lists(cell, min_size=1, max_size=3), max_size=8)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(CELLS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(cell, inner, max_size=2)),
    max_leaves=5,
)
record = st.one_of(st.fixed_dictionaries({"text": JSON, "label": JSON}), JSON)


def as_csv(table, mark, end):
    head = mark.join(["text", "label"]) + end
    return (head + end.join(mark.join(row) for row in table)).encode("utf-8", "surrogatepass")


content = st.one_of(
    st.builds(as_csv, rows, st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n", "\r"])),
    st.builds(
        as_csv,
        st.lists(st.tuples(cell, st.sampled_from(CELLS[2:12])), min_size=2, max_size=30),
        st.just(","), st.just("\n"),
    ),
    st.builds(
        lambda records, end: end.join(map(json.dumps, records)).encode("utf-8", "surrogatepass"),
        st.lists(record, max_size=6), st.sampled_from(["\n", "\n\n", ","]),
    ),
    st.builds(lambda records: json.dumps(records).encode(), st.lists(record, max_size=6)),
    st.sampled_from([b"[" * 100_000, b'{"text":' * 50_000, b"text,label\n" + b"a" * 10**6]),
    st.binary(max_size=60),
)  # fmt: skip
SUFFIX = st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet", "txt"])
FIELD = st.lists(
    st.sampled_from([
        "data.task=token_classification", "data.task=multi_label", "data.task=regression", "data.task=single_label",
        "data.class_names=[pos,neg]", "data.class_names=[a]", "data.separator=';'", "data.separator=x",
        "data.separator='\"'", "data.label_separator=x", "data.pair=text", "data.pair=label",
        "data.limit.train=1", "data.limit.validation=1", "data.validation_fraction=0.9", "data.text=label",
        "data.validation=x.csv", "data.test='*'", "data.test='**/*.csv'", "seed=3", "data.train=''",
        "data.label=text", "data.train=/", "data.train=.",
        "data.train=" + "x" * 300,
    ]),
    max_size=3,
)  # fmt: skip


class TestData:
    def hold(self, suffix, content, fields):
        with workspace({f"x.{suffix}": content}):
            load_plugins(Path.cwd())
            publish(Path.cwd())
            with contextlib.suppress(XferlabError):
                recipe = read(compose_config(["data=files", f"data.train=x.{suffix}", *fields]))
                data = recipe.data.build(recipe.seed)
                assert len(data.train.texts) == len(data.train.labels)

    @examples(SHORT["data"])
    @given(SUFFIX, content, FIELD)
    def test_sample(self, suffix, content, fields):
        self.hold(suffix, content, fields)

    @pytest.mark.slow
    @examples(LONG["data"])
    @given(SUFFIX, content, FIELD)
    def test_long(self, suffix, content, fields):
        self.hold(suffix, content, fields)


LINES = [
    "from __future__ import annotations", "from dataclasses import dataclass, field",
    "from typing import Any, ClassVar", "from xferlab import *", "import xferlab",
    "from xferlab import OutputKind, LabelKind, Accepts, TaskSpec, register", "import no_such_module",
    "@register('loss', 'mine')", "@register('metric', 'mine')", "@register('loss', 'focal')",
    "@register('lss', 'mine')", "@register('loss', 'Mine!')", "@dataclass(frozen=True)", "@dataclass",
    "class Mine:", "class Mine(Other):", "    k: int = 1", "    k: float", "    name: str = 'x'",
    "    k: list = field(default_factory=list)", "    k: Any = None", "    k: Nowhere = 1", "    k: set = None",
    "    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))", "    accepts: ClassVar[int] = 3",
    "    mode: ClassVar[str] = 'max'", "    def build(self, spec): return None", "    build = 3",
    "    def __post_init__(self): raise ValueError('k is bad')",
    "    def __post_init__(self): raise KeyError('k')", "    def __post_init__(self): 1 / 0",
    "    def __post_init__(self): raise SystemExit(3)",
    "raise SystemExit(3)", "raise Exception('x')", "raise BaseException('x')", "def f(): f()", "f()",
    "import sys; sys.exit()", "1 / 0", "x = (", "\x00", "é", "'''", "    ", "\t", "raise ValueError", "assert 0",
    "class E(Exception):\n    def __str__(self): raise E()\nraise E()", "raise UnicodeDecodeError",
]  # fmt: skip
MINE = [LINES[i] for i in (1, 2, 5, 7, 12, 14, 16, 23, 26)]


def mutated(cuts, extra):
    lines = [line for i, line in enumerate(MINE) if i not in cuts]
    for place, line in extra:
        lines.insert(min(place, len(lines)), line)
    return "\n".join(lines).encode()


source = st.one_of(
    st.builds(
        mutated,
        st.sets(st.integers(0, len(MINE)), max_size=2),
        st.lists(st.tuples(st.integers(0, 12), st.sampled_from(LINES)), max_size=3),
    ),
    st.builds(
        lambda lines: "\n".join(lines).encode(), st.lists(st.sampled_from(LINES), max_size=8)
    ),
    st.binary(max_size=40),
)
CHOSEN = [[], ["loss=mine"], ["loss=mine", "loss.k=x"], ["metric=[mine]"], ["loss=focal"]]


class TestPlugins:
    def hold(self, name, source, overrides):
        code, printed = checked(overrides, {name: source})
        if not overrides:
            assert code == 0, printed  # a run that does not need the file continues

    @examples(SHORT["plugins"])
    @given(
        st.sampled_from(["plugins/loss/mine.py", "plugins/mine.py"]),
        source,
        st.sampled_from(CHOSEN),
    )
    def test_sample(self, name, source, overrides):
        self.hold(name, source, overrides)

    @pytest.mark.slow
    @examples(LONG["plugins"])
    @given(
        st.sampled_from(["plugins/loss/mine.py", "plugins/mine.py"]),
        source,
        st.sampled_from(CHOSEN),
    )
    def test_long(self, name, source, overrides):
        self.hold(name, source, overrides)
