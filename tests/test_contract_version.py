"""The number of the contract: this one, the last one, a later one, an older one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from xferlab import PluginError, contract_version
from xferlab.contract_version import adopt_contract
from xferlab.deprecated import report_change
from xferlab.registry import Registry
from xferlab.validation import identifying_fields


@dataclass(frozen=True)
class Plain:
    """A schedule."""

    k: int = 1

    def build(self, peak: float, budget: Any) -> float:
        return peak


def numbered(number: Any) -> type:
    return dataclass(frozen=True)(type("Numbered", (Plain,), {"contract": number}))


def second(monkeypatch, number: int = 2) -> None:
    """Have the contract be another one, in which a method has another name."""

    def renamed(plugin: type) -> str:
        plugin.rates = plugin.build
        return "build() is now rates()"

    monkeypatch.setattr(contract_version, "CONTRACT", number)
    monkeypatch.setattr(contract_version, "CHANGES", {2: renamed, 3: renamed})
    report_change.cache_clear()


def test_a_number_is_no_field_and_in_no_run_id():
    assert [each.name for each in fields(numbered(1))] == ["k"]
    assert identifying_fields(numbered(1)()) == identifying_fields(Plain()) == {"k": 1}


def test_this_contract_needs_nothing(capsys):
    for cls in (Plain, numbered(1)):
        registry = Registry()
        registry.add("schedule", "mine", cls)
        assert registry.get("schedule", "mine").cls is cls
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("cls", [numbered(1), Plain])
def test_the_last_contract_works_and_says_once_what_to_change(cls, monkeypatch, capsys):
    second(monkeypatch)
    for _ in range(2):
        adopt_contract(cls, "schedule=mine", "mine.py:3")
    assert cls().rates(0.5, None) == 0.5
    assert capsys.readouterr().err == (
        "note       schedule=mine is written for contract 1, which works until contract 3:"
        " build() is now rates() (mine.py:3)\n"
    )


def test_an_older_contract_is_refused(monkeypatch):
    second(monkeypatch, 3)
    with pytest.raises(PluginError) as caught:
        adopt_contract(numbered(1), "schedule=mine", "mine.py:3")
    assert str(caught.value).splitlines() == [
        " error: schedule=mine is written for contract 1, and this xferlab reads 2 and 3",
        " where: mine.py:3",
        "   fix: install a later version of the plugin, or an earlier xferlab",
    ]


def test_a_later_contract_is_refused_when_it_is_registered():
    with pytest.raises(PluginError) as caught:
        Registry().add("schedule", "mine", numbered(2))
    assert caught.value.what == (
        "schedule=mine is written for contract 2, and this xferlab has contract 1"
    )
    assert caught.value.fix.startswith("pip install --upgrade xferlab")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("number", ["1", 1.0, True, 0, None])
def test_a_number_is_a_whole_number(number):
    with pytest.raises(PluginError, match="says contract = "):
        adopt_contract(numbered(number), "schedule=mine", "mine.py:3")
