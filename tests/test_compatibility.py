"""Declared pairs: what fits, and both sides named where something does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from xferlab import Accepts, ConfigError, LabelKind, OutputKind, PluginError, Task, TaskSpec
from xferlab.compatibility import contract_violation, fits, name_and_origin, refuse_misfit
from xferlab.registry import Registry

CLASSES = TaskSpec(Task.single_label, ("x", "y"), 8, 16)


@dataclass(frozen=True)
class OfClasses:
    accepts: ClassVar[Accepts] = Accepts(
        (OutputKind.logits,), (LabelKind.class_index, LabelKind.token_tags)
    )

    def build(self, spec):
        return None


@dataclass(frozen=True)
class OfValues:
    accepts: ClassVar[Accepts] = Accepts((OutputKind.values,), (LabelKind.float,))

    def build(self, spec):
        return None


@dataclass(frozen=True)
class InWords:
    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.logits,), labels=("class_index",))

    def build(self, spec):
        return None


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for name, cls in {"classes": OfClasses, "values": OfValues, "in_words": InWords}.items():
        registry.add("loss", name, cls)
    return registry


def test_what_fits_is_let_through(registry):
    refuse_misfit("loss", "loss", OfClasses(), CLASSES, registry)
    assert fits(OfClasses, CLASSES)
    assert not fits(OfValues, CLASSES)


def test_both_sides_of_both_differences_and_the_way_out_are_named(registry):
    with pytest.raises(ConfigError) as caught:
        refuse_misfit("loss", "loss", OfValues(), CLASSES, registry)
    assert str(caught.value).splitlines() == [
        " error: loss=values accepts float labels, but the data's are class_index (single_label);"
        " and it accepts values, but the model's outputs are logits",
        " where: loss",
        "   fix: choose loss=classes",
    ]


def test_without_another_that_fits_one_must_be_written():
    registry = Registry()
    registry.add("loss", "values", OfValues)
    with pytest.raises(ConfigError, match="write a loss plugin for it"):
        refuse_misfit("loss", "loss", OfValues(), CLASSES, registry)


def test_a_declaration_in_other_words_than_the_contracts_is_the_plugins_mistake(registry):
    with pytest.raises(
        PluginError, match=r"loss=in_words declares accepts.labels=\('class_index',\)"
    ):
        refuse_misfit("loss", "loss", InWords(), CLASSES, registry)


def test_a_lie_names_the_plugin_as_it_is_typed_and_its_line(registry):
    error = contract_violation("loss", OfValues(), "sleeps", "wake it", registry)
    assert error.what == "loss=values sleeps"
    file, _, line = error.where.rpartition(":")
    assert file == __file__
    assert int(line) > 1


def test_a_plugin_that_is_not_registered_is_named_by_its_class():
    assert name_and_origin("loss", OfValues(), Registry()) == ("the loss OfValues", __name__)
