"""It finds every planted fault, and none in what ships with xferlab or what ``new`` writes."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.planted_faults import BUILT, IMPORTED, NAME, SOURCE, TRAINED, VALUES, Fault
from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.new import plugin_files
from xferlab.discovery import load_plugins
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY
from xferlab.testing import check_plugin, find_problems
from xferlab.testing.plugin_checks import CHECKS, report_of
from xferlab.testing.pytest_plugin import fixture  # noqa: F401 - where xferlab is not installed

load_plugins(Path("/nonexistent"))
REQUIRED = {
    "callback=stop_when": {"condition": "val_loss < 1"},
    "postprocess=prior_shift": {"priors": {"a": 0.2}},
}
"""Values of fields without a default, or with one that no data takes."""
NOT_TRAINED = {
    "data=files": "it needs values",
    "data=hub": "it needs values",
    "model=encoder": "it needs values",
    "model=from_run": "it needs values",
    "objective=distillation": "it needs values",
    "loss=contrastive": "no made-up examples",
    "loss=cosine": "no made-up examples",
    "loss=in_batch_negatives": "no made-up examples",
    "metric=mrr": "no made-up examples",
    "metric=recall_at_k": "no made-up examples",
    "metric=masked_accuracy": "no made-up examples",
    "metric=perplexity": "no made-up examples",
    "head=masked_lm": "no made-up examples",
    "head=last_4": "it reads 4 layers",
    **{
        f"callback={name}": f"callback={name} needs the package {name}"
        for name in ("mlflow", "wandb")
        if find_spec(name) is None
    },
}
ENTRIES = [entry for entry in REGISTRY if "/plugins/" in entry.origin]
IDS = [f"{entry.group}={entry.name}" for entry in ENTRIES]
LINE = re.compile(r"\S+/plugins/\w+/example\.py:\d+: .+; .+")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated_plugins():
        yield tmp_path


def faults(several: list[Fault], **marks):
    names = [f"{fault.group}: {fault.words}" for fault in several]
    return pytest.mark.parametrize("fault", several, ids=names)


def find(fault: Fault, folder: Path) -> list[str]:
    fault.write(folder)
    return [str(finding) for finding in find_problems(fault.group, NAME)]


def assert_found(fault: Fault, folder: Path) -> None:
    found = find(fault, folder)
    assert any(fault.words in line for line in found), "\n".join(found)
    for line in found:
        assert LINE.fullmatch(line.replace(str(folder), "")) or "plugins/" in line
        assert "\n" not in line


def test_the_bank_is_as_large_as_it_should_be():
    several = [*IMPORTED, *SOURCE, *VALUES, *BUILT, *TRAINED]
    assert len(several) >= 60
    assert all(fault.words for fault in several)
    assert {fault.group for fault in several} == set(GROUPS)
    assert len({(fault.group, fault.source) for fault in several}) == len(several)


@faults([*IMPORTED, *SOURCE, *VALUES])
def test_a_fault_is_found_without_building_anything(fault, folder):
    assert_found(fault, folder)


@pytest.mark.slow
@faults([*BUILT, *TRAINED])
def test_a_fault_is_found_in_what_is_built_or_trained(fault, folder):
    assert_found(fault, folder)


@faults([BUILT[0], TRAINED[1]])
def test_a_fault_is_found_before_or_in_a_run(fault, folder):
    assert_found(fault, folder)


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_no_built_in_plugin_is_accused_by_its_source_or_values(entry):
    fields = REQUIRED.get(f"{entry.group}={entry.name}", {})
    assert report_of(entry.group, entry.name, train=False, **fields).findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_no_built_in_plugin_is_accused(entry):
    choice = f"{entry.group}={entry.name}"
    report = report_of(entry.group, entry.name, **REQUIRED.get(choice, {}))
    assert report.findings == ()
    if choice in NOT_TRAINED:
        assert report.skipped.startswith(NOT_TRAINED[choice])
    else:
        assert report.checks == CHECKS


@pytest.mark.parametrize("group", [pytest.param(g, marks=pytest.mark.slow) for g in GROUPS])
def test_what_new_writes_passes(group, folder):
    for path, text in plugin_files(group, "mine").items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert find_problems(group, "mine") == []


def test_a_finding_is_one_line_and_all_are_raised_together(folder):
    Fault("loss", "def build(self, spec: TaskSpec)", "def build(self)", "").write(folder)
    with pytest.raises(AssertionError) as caught:
        check_plugin("loss", NAME)
    path = folder / "plugins" / "loss" / "example.py"
    line = 1 + path.read_text().splitlines().index("    def build(self):")
    what = "loss=example has a method build() of other arguments"
    assert str(caught.value) == f"{path}:{line}: {what}; def build(self, spec)"


def test_the_fixture_is_the_function(check_plugin):
    from xferlab import testing

    assert check_plugin is testing.check_plugin
