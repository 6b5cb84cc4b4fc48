"""The import rule: a module may import only from the rows above its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import xferlab

PACKAGE = Path(xferlab.__file__).parent
ROWS = [
    {"errors", "files", "words", "sampling", "task", "signals", "randomness"},
    {
        "contracts",
        "typed",
        "overrides",
        "safetensors_file",
        "hub",
        "folders",
        "presets",
        "tables",
        "weights",
        "pictures",
        "course",
        "faults",
        "lock",
        "snapshots",
    },
    {"registry", "schema", "safety", "checkpoints", "batches", "labels", "range_test"},
    {"sweep.shapes", "losses", "scores", "schedules", "optimizers", "exams", "suggestions"},
    {
        "discovery",
        "recipe",
        "compatibility",
        "encoder_config",
        "backend",
        "splits",
        "hub_rows",
        "origins",
    },
    {
        "diagnosis",
        "catalogue",
        "record",
        "evaluation",
        "tensor_names",
        "tokens",
        "rates",
        "loss_exam",
    },
    {"config", "encoders", "assemble", "metric_exam", "data_rules", "recovery"},
    {"training", "prepare", "sweep.composing"},
    {
        "summary",
        "tracking",
        "progress",
        "plan_picture",
        "inspection",
        "checkpointing",
        "sweep.state",
        "sweep.plan",
    },
    {"runner", "finder", "sweep.frozen"},
    {"worker", "sweep.results", "sweep.pool"},
    {"sweep.settings", "sweep.watching"},
    {"sweep.hydra_side", "sweep.sweep_pictures"},
    {"sweep.report"},
    {"sweep.command"},
    {"cli"},
]
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
HEAVY = {"tensorflow", "keras", "keras_hub", "transformers", "datasets", "torch", "jax"}
LONGEST_FUNCTION, LONGEST_MODULE, LONGEST_PLUGIN = 60, 300, 120


def sources(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*.py") if not p.name.startswith("_"))


def imports_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    found = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    return {m.removeprefix("xferlab.") for m in found if m.startswith("xferlab.")}


@pytest.mark.parametrize("name", sorted(RANK))
def test_module_imports_only_from_rows_above(name):
    path = PACKAGE / f"{name.replace('.', '/')}.py"
    below = {m for m in imports_of(path) if RANK[m] >= RANK[name]}
    assert below == set()


def test_every_module_has_a_row():
    modules = {p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__")}
    modules |= {f"sweep.{p.stem}" for p in PACKAGE.glob("sweep/*.py") if p.stem != "__init__"}
    assert modules == set(RANK)


@pytest.mark.parametrize(
    "path",
    [*sources(PACKAGE), *sources(PACKAGE.parent / "plugins")],
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
def test_nothing_heavy_is_imported_at_module_level(path):
    top = [
        n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for n in top if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in top if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} & HEAVY == set()


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["list"],
        ["describe", "loss=cross_entropy"],
        ["check"],
        ["check", "loss=crs"],
        ["-m", "sweep=lr", "--dry-run"],
        ["report"],
    ],
    ids=" ".join,
)
def test_no_heavy_import_without_training(args, tmp_path):
    code = (
        "import sys\n"
        "from xferlab.cli import main\n"
        f"main({args!r})\n"
        f"print(sorted({HEAVY | {'numpy'}!r} & set(sys.modules)))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert out.stdout.splitlines()[-1] == "[]"


def test_configs_never_name_code_to_run():
    for path in sources(PACKAGE):
        names = {
            n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)
        }
        assert not names & {"instantiate", "get_object", "get_class", "get_method"}, path


@pytest.mark.parametrize("path", sources(PACKAGE), ids=lambda p: p.stem)
def test_modules_and_functions_stay_small(path):
    assert path.read_text().count("\n") <= LONGEST_MODULE
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", sources(PACKAGE.parent / "plugins"), ids=lambda p: p.stem)
def test_plugins_stay_small(path):
    assert path.read_text().count("\n") <= LONGEST_PLUGIN
