"""A group of plugins is one entry of a table: composition, names, records and run ids follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main
from xferlab.config.compose import compose_experiment, publish
from xferlab.config.recipe import Recipe, compared, identity, read_plain, run_id
from xferlab.errors import XferlabError
from xferlab.groups import GROUPS, Choice, Group
from xferlab.registry import chosen_plugins, register
from xferlab.runs.inputs import inputs_of
from xferlab.sweeps.compose import Composer

GROUP = Group("audit", "build", "who checks", default=("usual",))
MANY = Group("witness", "build", "who watches", Choice.in_order, ("quiet",), is_optional=True)
NONE = Group("bonus", "build", "what comes on top", is_optional=True)
BEFORE = "model=bag_of_embeddings"


@pytest.fixture(scope="module", autouse=True)
def made_up_groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("work")
    patch.chdir(folder)
    preset = folder / "conf/experiment/stacked.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "# @package _global_\ndefaults:\n  - override /transfer: [head_first, layer_decay]\n"
    )
    with isolated_plugins():
        without_groups.append(compose(BEFORE).run_id)
        for group in (GROUP, MANY, NONE):
            patch.setitem(GROUPS, group.name, group)
        transfer = Group("transfer", "apply", "", Choice.one_or_more)
        patch.setitem(GROUPS, "transfer", transfer)
        for group, name in (("audit", "usual"), ("audit", "strict"), ("bonus", "cake")):
            register(group, name)(Plain)
        for name in ("loud", "late"):
            register("witness", name)(Plain)
        register("witness", "quiet")(Watcher)
        yield
    patch.undo()


without_groups: list[str] = []


@dataclass(frozen=True)
class Plain:
    """A plugin of a made-up group.

    Attributes:
        level: how much.
    """

    level: int = 1

    def build(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Watcher:
    """A plugin that changes nothing that a run computes."""

    level: int = 1

    def build(self) -> None:
        """Do nothing."""

    def identity(self) -> None:
        """Return that it is no part of the run id."""


def compose(*overrides: str) -> Recipe:
    publish(Path.cwd())
    return compose_experiment(list(overrides)).recipe


def test_the_default_is_chosen_and_no_part_of_the_run_id():
    recipe = compose(BEFORE)
    assert recipe.audit == Plain(1)
    assert recipe.witness == {"quiet": Watcher(1)}
    assert recipe.bonus is None
    assert recipe.run_id == without_groups[0]
    assert compose(BEFORE, "audit=usual", "audit.level=1").run_id == recipe.run_id


def test_null_is_no_plugin_of_an_optional_group():
    assert compose(BEFORE, "bonus=null").bonus is None
    assert compose(BEFORE, "witness=null").witness == {}


def test_another_choice_or_field_is_another_run():
    ids = [
        compose(BEFORE, *words).run_id
        for words in ([], ["audit=strict"], ["audit.level=2"], ["bonus=cake"], ["witness=[loud]"])
    ]
    assert len(set(ids)) == len(ids)


def test_what_changes_nothing_is_no_part_of_the_run_id():
    same = {
        compose(BEFORE, *words).run_id
        for words in ([], ["witness=[]"], ["witness=[quiet]", "witness.quiet.level=3"])
    }
    assert same == {without_groups[0]}
    assert list(inputs_of(compose(BEFORE).config).plugins)[-1] != "witness=quiet"


def test_the_order_counts_where_plugins_are_called_in_order():
    one = compose(BEFORE, "witness=[loud,late]")
    other = compose(BEFORE, "witness=[late,loud]")
    assert list(one.witness) == ["loud", "late"]
    assert one.run_id != other.run_id
    assert compose(BEFORE, "witness=[loud,quiet,late]").run_id == one.run_id


def test_two_of_one_class():
    recipe = compose(
        BEFORE, "witness=[loud]", "+witness@witness.second=loud", "witness.second.level=9"
    )
    assert recipe.witness == {"loud": Plain(1), "second": Plain(9)}


def test_a_config_of_before_the_group_is_read_with_its_default():
    config = dict(compose(BEFORE).config)
    for name in ("audit", "witness", "bonus"):
        del config[name]
    recipe = read_plain(config)
    assert recipe.audit == Plain(1)
    assert recipe.run_id == without_groups[0]
    assert identity(config) == identity(compose(BEFORE).config)
    assert compared(config) == compared(compose(BEFORE, "witness=[]").config)


def test_several_of_a_group_that_usually_holds_one():
    recipe = compose(BEFORE, "transfer=[head_first,layer_decay]", "transfer.layer_decay.decay=0.5")
    assert list(recipe.transfer) == ["head_first", "layer_decay"]
    assert recipe.transfer["layer_decay"].decay == 0.5
    names = [name for name, _, _ in chosen_plugins(recipe.config)]
    assert "transfer=head_first" in names
    other = compose(BEFORE, "transfer=[layer_decay,head_first]", "transfer.layer_decay.decay=0.5")
    assert recipe.run_id != other.run_id
    assert compose(BEFORE, "transfer=[full]").run_id == compose(BEFORE).run_id


def test_the_last_choice_wins_over_a_file():
    assert list(compose(BEFORE, "experiment=stacked").transfer) == ["head_first", "layer_decay"]
    three = compose(BEFORE, "experiment=stacked", "transfer=[gradual,layer_decay]")
    assert list(three.transfer) == ["gradual", "layer_decay"]
    assert type(compose(BEFORE, "experiment=stacked", "transfer=full").transfer).__name__ == "Full"


def test_a_sweep_reads_each_jobs_choice():
    publish(Path.cwd())
    composer = Composer()
    jobs = [
        [BEFORE, f"transfer={choice}", "optimizer.lr=1e-4"]
        for choice in ("full", "[head_first,layer_decay]", "[layer_decay,head_first]")
    ]
    assert [composer.recipe(job).run_id for job in jobs] == [compose(*job).run_id for job in jobs]


ERRORS = {
    "audit=strikt": "did you mean 'strict'?",
    "audit.levl=2": "did you mean 'level'?",
    "audit=null": "choose by name",
    "audit=[usual,strict]": "audit takes one plugin, got 2",
    "witness=[loud,lat]": "did you mean 'late'?",
    "witness.late.level=2": "choose it first: witness=[quiet,late]",
    "transfer=[full,gradul]": "did you mean 'gradual'?",
    "cake": "cannot be read",
    "loss=cake": "'cake' is a bonus: bonus=cake",
}


@pytest.mark.parametrize("override", ERRORS)
def test_errors_name_the_group(override: str):
    with pytest.raises(XferlabError) as caught:
        compose(BEFORE, override)
    assert ERRORS[override] in str(caught.value)


def test_list_and_describe(capsys: pytest.CaptureFixture[str]):
    assert main(["list", "witness"]) == 0
    assert "witness=late" in capsys.readouterr().out
    assert main(["describe", "witness"]) == 0
    text = capsys.readouterr().out
    assert "chosen   several, in order: witness=[late,loud]" in text
    assert "default  quiet" in text
    assert main(["describe", "witness=loud"]) == 0
    assert "witness.loud.level" in capsys.readouterr().out
    assert main(["help"]) == 0
    assert "late, loud, quiet" in capsys.readouterr().out


def test_a_plugin_must_have_the_groups_method():
    with pytest.raises(XferlabError, match="has no build"):
        register("bonus", "empty")(dataclass(frozen=True)(type("Empty", (), {})))


def test_run_id_resolver_agrees():
    publish(Path.cwd())
    composed = compose_experiment([BEFORE, "witness=[loud,late]"])
    assert run_id(composed.config) == composed.recipe.run_id
