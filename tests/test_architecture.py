"""The import rule: a package may import only from those before it, and nothing in a circle."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import xferlab

PACKAGE = Path(xferlab.__file__).parent
TESTS = Path(__file__).parent
# From the ground up: a package, or a module beside the packages, imports only from earlier ones.
ORDER = [
    "origin",
    "errors",
    "deprecated",
    "formatting",
    "escaping",
    "member_registry",
    "io",
    "tasks.base",
    "validation",
    "contracts",
    "registry",
    "discovery",
    "compatibility",
    "plotting",
    "backend",
    "models",
    "config",
    "data",
    "functional",
    "runs",
    "training",
    "evaluation",
    "checks",
    "tasks",
    "inference",
    "export",
    "experiment",
    "sweep",
    "report",
    "cli",
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
def imports_of(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    found |= {
        f"{n.module}.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names
    }
    return {name for m in found if (name := m.removeprefix("xferlab.")) in modules()}


def layer_of(module: str) -> str:
    """Return a module's entry in ORDER: its own, or else its package's."""
    return module if module in RANK else module.partition(".")[0]


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_package_imports_only_from_earlier_ones(name):
    own = layer_of(name)
    others = {layer_of(module) for module in imports_of(modules()[name])} - {own}
    assert {other for other in others if RANK[other] >= RANK[own]} == set()


def test_modules_of_a_package_do_not_import_in_a_circle():
    graph = {name: imports_of(path) - {name} for name, path in modules().items()}
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


def test_every_package_is_shipped():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    packages = {
        ".".join(p.parent.relative_to(PACKAGE.parent).parts) for p in PACKAGE.rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == packages | {
        "xferlab.conf",
        "xferlab.plugins",
    }


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in [*sources(PACKAGE), *sources(PACKAGE.parent / "plugins")]
        if path.parent != PACKAGE / "models" / "layers"  # imported to build a network
    ],
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
        ["--cfg", "job"],
        ["loss=crs"],
        ["-m", "sweep=lr", "--dry-run"],
        ["-m", "sweep=search", "--dry-run"],
        ["report"],
        ["predict", "--help"],
        ["export", "--help"],
        ["export", "no/such/run", "--to", "onnx"],
        ["evaluate", "--help"],
        ["evaluate", "no/such/run", "data=files"],
        ["predict", "no/such/run", "a text"],
    ],
    ids=" ".join,
)
def test_no_heavy_import_without_training(args, tmp_path):
    code = (
        "import sys\n"
        "from xferlab.cli.main import main\n"
        f"main({args!r})\n"
        f"print(sorted({HEAVY | {'numpy'}!r} & set(sys.modules)))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    reads_data = args == ["check"]
    assert out.stdout.splitlines()[-1] == ("['numpy']" if reads_data else "[]")


@pytest.mark.parametrize(
    ("args", "times"),
    [
        (["--cfg", "job"], 1),
        (["--cfg", "all", "--resolve"], 1),
        (["check"], 1),
        (["list"], 0),
        (["describe", "loss=cross_entropy"], 0),
    ],
    ids=str,
)
def test_a_command_composes_at_most_once(args, times, tmp_path):
    code = (
        "from hydra._internal.config_loader_impl import ConfigLoaderImpl as Loader\n"
        "load, calls = Loader.load_configuration, []\n"
        "Loader.load_configuration = lambda *a, **k: calls.append(1) or load(*a, **k)\n"
        "from xferlab.cli.main import main\n"
        f"code = main({args!r})\n"
        "print(code, len(calls))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert out.stdout.splitlines()[-1] == f"0 {times}"


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
    tree = {path: ast.walk(ast.parse(path.read_text())) for path in modules().values()}
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


@pytest.mark.parametrize(
    ("overrides", "printed"),
    [
        (["model=bert", "data.max_length=129"], "is more than this model's 128 positions"),
        (["loss=huber"], "loss=huber accepts float labels"),
        (["metric=[pearson]"], "metric=pearson accepts float labels"),
        (["data=files", "data.train=none.csv"], "there is no file none.csv"),
    ],
)
def test_a_mistake_is_told_before_tensorflow_is_loaded(overrides, printed, tmp_path):
    code = (
        "import sys\n"
        "from xferlab.cli.main import main\n"
        f"code = main({overrides!r})\n"
        f"print(code, sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert printed in done.stderr
    assert done.stdout.splitlines()[-1] == "2 []"


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


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("test_*.py")), ids=lambda p: str(p.relative_to(TESTS))
)
def test_every_test_asserts_something(path):
    tree = ast.parse(path.read_text())
    imported = {
        TESTS.parent / f"{node.module.replace('.', '/')}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
    }
    trees = [ast.parse(each.read_text()) for each in imported if each.is_file()]
    functions = [n for t in [*trees, tree] for n in ast.walk(t) if isinstance(n, ast.FunctionDef)]
    helpers = {function.name: function for function in functions}
    tests = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    names = [n.name for n in tests if n.name.startswith("test_") and not _can_fail(n, helpers)]
    assert names == []


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
