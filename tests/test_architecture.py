"""The import rule: a package may import only from those before it, and nothing in a circle."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import xferlab
from tests.support.for_each import for_each
from xferlab.public import PUBLIC

PACKAGE = Path(xferlab.__file__).parent
TESTS = Path(__file__).parent
# From the ground up: a package, or a module beside the packages, imports only from earlier ones.
ORDER = [
    "origin",
    "errors",
    "deprecated",
    "contract_version",
    "formatting",
    "escaping",
    "progress",
    "member_registry",
    "io",
    "tasks.base",
    "validation",
    "output_contracts",
    "step_contracts",
    "head_contracts",
    "groups",
    "contracts",
    "callbacks",
    "registry",
    "entry_points",
    "discovery",
    "compatibility",
    "plotting",
    "backend",
    "models",
    "config",
    "data",
    "functional",
    "statistics",
    "runs",
    "training",
    "postprocessing",
    "evaluation",
    "checks",
    "tasks",
    "inference",
    "combining",
    "export",
    "experiment",
    "sweeps",
    "report",
    "testing",
    "cli",
    "api",
    "public",
]
RANK = {name: rank for rank, name in enumerate(ORDER)}
HEAVY = {
    "tensorflow",
    "keras",
    "keras_hub",
    "transformers",
    "datasets",
    "torch",
    "jax",
    "optuna",
    "sqlalchemy",
}
LONGEST_FUNCTION = 60
LONGEST_MODULE = 400
LONGEST_PLUGIN = 120


def sources(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*.py") if not p.name.startswith("_"))


@functools.cache
def modules() -> dict[str, Path]:
    """Return every module but those that made what is in the box, by its dotted name."""
    named = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in sources(PACKAGE)}
    return named


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports_of(path: Path) -> set[str]:
    nodes = list(ast.walk(tree_of(path)))
    found = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    found |= {
        f"{n.module}.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names
    }
    return {name for m in found if (name := m.removeprefix("xferlab.")) in modules()}


def layer_of(module: str) -> str:
    """Return a module's entry in ORDER: its own, or else its package's."""
    return module if module in RANK else module.partition(".")[0]


@for_each(sorted(modules()))
def test_a_package_imports_only_from_earlier_ones(name):
    own = layer_of(name)
    others = {layer_of(module) for module in imports_of(modules()[name])} - {own}
    assert {other for other in others if RANK[other] >= RANK[own]} == set()


def test_modules_of_a_package_do_not_import_in_a_circle():
    graph = {name: imports_of(path) - {name} for name, path in modules().items()}
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


@for_each(
    [
        path
        for path in [*sources(PACKAGE), *sources(PACKAGE.parent / "plugins")]
        if path.parent != PACKAGE / "models" / "layers"  # imported to build a network
    ],
)
def test_nothing_heavy_is_imported_at_module_level(path):
    top = [n for n in tree_of(path).body if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {alias.name for n in top if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in top if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} & HEAVY == set()


LIGHT = [
    (["--help"], 0, 0),
    (["list"], 0, 0),
    (["describe", "loss=cross_entropy"], 0, 0),
    (["check", "loss=crs"], 2, None),
    (["--cfg", "job"], 0, 1),
    (["--cfg", "all", "--resolve"], 0, 1),
    (["loss=crs"], 2, None),
    (["-m", "sweep=lr", "--dry-run"], 0, None),
    (["-m", "sweep=search", "--dry-run"], 0, None),
    (["report"], 2, 0),
    (["predict", "--help"], 0, 0),
    (["export", "--help"], 0, 0),
    (["export", "no/such/run", "--to", "onnx"], 2, 0),
    (["evaluate", "--help"], 0, 0),
    (["evaluate", "no/such/run", "data=files"], 2, 0),
    (["predict", "no/such/run", "a text"], 2, 0),
    (["data", "--html", "none/page.html"], 2, 0),
    (["check"], 0, 1),  # the last one: it reads data, with NumPy
]
"""Commands that train nothing, their exit codes, and how often each composes a config, if fixed."""
MISTAKES = [
    (["model=bert", "data.max_length=129"], "is more than this model's 128 positions"),
    (["loss=huber"], "loss=huber accepts float labels"),
    (["metric=[pearson]"], "metric=pearson accepts float labels"),
    (["data=files", "data.train=none.csv"], "there is no file none.csv"),
]
OBSERVER = """
import contextlib, io, json, sys
from hydra._internal.config_loader_impl import ConfigLoaderImpl as Loader
from xferlab.cli.main import main

load, calls, found = Loader.load_configuration, [], []
Loader.load_configuration = lambda *a, **k: calls.append(1) or load(*a, **k)
commands, heavy = json.loads(sys.argv[1])
for command in commands:
    calls.clear()
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            code = main(command)
        except SystemExit as e:
            code = e.code
    found.append([code, len(calls), sorted({*heavy} & {*sys.modules}), errors.getvalue()])
print(json.dumps(found))
"""


def observe(commands: list[list[str]], folder: Path) -> list[list]:
    """Run commands in one new process.

    Returns:
        Of each command the exit code, the number of configs that it composes, the heavy modules
        that are loaded after it, and what it writes to stderr.
    """
    given = json.dumps([commands, sorted(HEAVY | {"numpy"})])
    out = subprocess.run(
        [sys.executable, "-c", OBSERVER, given],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return json.loads(out.stdout)


def test_commands_that_train_nothing_import_nothing_heavy_and_compose_once(tmp_path):
    found = observe([command for command, *_ in LIGHT], tmp_path)
    for (command, expected, times), answer in zip(LIGHT, found, strict=True):
        code, composed, loaded, errors = answer
        assert (code or 0) == expected, (command, errors)
        assert loaded == (["numpy"] if command == ["check"] else []), command
        if times is not None:
            assert composed == times, command


def test_a_mistake_is_told_before_tensorflow_is_loaded(tmp_path):
    found = observe([command for command, _ in MISTAKES], tmp_path)
    for (command, printed), (code, _, loaded, errors) in zip(MISTAKES, found, strict=True):
        assert printed in errors, command
        assert code == 2, command
        assert not HEAVY & {*loaded}, command


@pytest.mark.parametrize(
    "flags", [["--cfg", "job"], ["--cfg", "hydra"], ["--cfg", "job", "--package", "train"]]
)
def test_the_shown_config_is_what_hydra_shows(flags, tmp_path):
    code = (
        "from xferlab.cli.arguments import parse\n"
        "from xferlab.cli.main import main\n"
        "from xferlab.config.compose import _hydra\n"
        "from hydra.core.global_hydra import GlobalHydra\n"
        f"flags, overrides = parse({[*flags, 'seed=3']!r})\n"
        f"main({[*flags, 'seed=3']!r})\n"
        "print('---')\n"
        "with _hydra():\n"
        "    hydra = GlobalHydra.instance().hydra\n"
        "    hydra.show_cfg('config', overrides, flags.cfg, flags.package, flags.resolve)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    ours, hydras = out.stdout.split("---\n")
    assert ours
    assert ours == hydras


def test_only_backend_and_export_import_tensorflow():
    tree = {path: ast.walk(tree_of(path)) for path in modules().values()}
    importers = {
        str(path.relative_to(PACKAGE))
        for path, nodes in tree.items()
        for node in nodes
        if (isinstance(node, ast.Import) and any(a.name == "tensorflow" for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tensorflow"))
    }
    others = {name for name in importers if not name.startswith(("backend/", "export/"))}
    assert importers
    assert not others


def _name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _can_fail(
    node: ast.AST, helpers: dict[str, ast.FunctionDef], within: frozenset[str] = frozenset()
) -> bool:
    """Return whether a function asserts something, or calls a helper that does."""
    for each in ast.walk(node):
        if isinstance(each, ast.Assert):
            return True
        if isinstance(each, ast.Call):
            name = _name_of(each)
            if name in ("raises", "fail") or name.startswith("assert_"):
                return True
            is_new = name in helpers and name not in within
            if is_new and _can_fail(helpers[name], helpers, within | {name}):
                return True
    return False


@for_each(sorted(TESTS.rglob("test_*.py")))
def test_every_test_asserts_something(path):
    tree = tree_of(path)
    imported = {
        TESTS.parent / f"{node.module.replace('.', '/')}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
    }
    trees = [tree_of(each) for each in imported if each.is_file()]
    functions = [n for t in [*trees, tree] for n in ast.walk(t) if isinstance(n, ast.FunctionDef)]
    helpers = {function.name: function for function in functions}
    tests = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    names = [n.name for n in tests if n.name.startswith("test_") and not _can_fail(n, helpers)]
    assert names == []


def test_configs_never_name_code_to_run():
    for path in sources(PACKAGE):
        names = {n.attr for n in ast.walk(tree_of(path)) if isinstance(n, ast.Attribute)}
        assert not names & {"instantiate", "get_object", "get_class", "get_method"}, path


@for_each(sources(PACKAGE))
def test_modules_and_functions_stay_small(path):
    assert path.read_text().count("\n") <= LONGEST_MODULE
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@for_each(sources(PACKAGE.parent / "plugins"))
def test_a_plugin_imports_what_a_stranger_may(path):
    nodes = list(ast.walk(tree_of(path)))
    found = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    found |= {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    private = {name for name in found if name.startswith(("xferlab.", "plugins."))}
    assert private == set()  # xferlab/public.py makes a name public, docs/plugins.md has its line


def test_what_is_public_is_there_and_documented():
    page = (PACKAGE.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name, target in PUBLIC.items():
        module, _, attribute = target.partition(":")
        assert getattr(xferlab, name) is getattr(importlib.import_module(module), attribute)
        assert f"| `{name}` |" in page
    assert not PUBLIC.keys() & vars(xferlab).keys()


@for_each(sources(PACKAGE.parent / "plugins"))
def test_plugins_stay_small(path):
    imports = [n for n in tree_of(path).body if isinstance(n, ast.Import | ast.ImportFrom)]
    of_imports = sum((node.end_lineno or 0) - node.lineno + 1 for node in imports)
    assert path.read_text().count("\n") - of_imports <= LONGEST_PLUGIN
