"""Values that need no conversion are taken as they are: the same as OmegaConf would give."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xferlab import validation
from xferlab.config.schema import TrainConfig
from xferlab.registry import REGISTRY
from xferlab.validation import added_field, identifying_fields

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from(["auto", "first", "macro", "???", "${seed}", "1", "1e-5", "true", "null"]),
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.just("${a}")), max_size=3),
    st.dictionaries(
        st.sampled_from(["train", "test", "a"]),
        st.one_of(st.none(), st.integers(), st.text(max_size=3)),
        max_size=2,
    ),
)


def schemas():
    return [TrainConfig, *(entry.cls for entry in REGISTRY)]


def outcome(cls, given):
    errors = []
    try:
        values = validation._field_values(cls, given, "key", errors)
    except validation.OmegaConfBaseException as e:
        return str(e)
    shown = {name: (type(value), repr(value)) for name, value in values.items()}
    return shown, [str(mistake) for mistake in errors]


def test_defaults_are_what_omegaconf_says():
    for cls in schemas():
        assert validation._defaults(cls) == validation.plain(
            validation.OmegaConf.structured(validation._twin(cls))
        )


def test_plain_values_are_read_without_omegaconf(monkeypatch):
    monkeypatch.setattr(validation, "_schema", None)
    required = dict.fromkeys(("train", "id", "checkpoint", "run", "condition", "teacher"), "a")
    for cls in schemas():
        given = {name: value for name, value in required.items() if name in validation._hints(cls)}
        errors = []
        values = validation._field_values(cls, given, "key", errors)
        assert errors == []
        assert given.items() <= values.items()


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_value_of_any_field_is_read_as_by_omegaconf(data):
    cls = data.draw(st.sampled_from(schemas()))
    names = [*validation._hints(cls), "unknown"]
    given = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        ours = outcome(cls, given)
        patch.setattr(validation, "is_of_type", lambda value, hint: False)
        assert ours == outcome(cls, given)


def test_a_field_that_is_added_later_identifies_nothing_at_its_default():
    @dataclasses.dataclass(frozen=True)
    class Plugin:
        size: int = 3
        fold: int | None = added_field(None)

    assert identifying_fields(Plugin()) == {"size": 3}
    assert identifying_fields(Plugin(fold=0)) == {"size": 3, "fold": 0}
