"""One test for many items: a test an item costs more than a check of milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def for_each(items: Iterable[Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Make a test of a check of one item; the test names every item that fails."""

    def decorate(check: Callable[[Any], None]) -> Callable[[], None]:
        def test() -> None:
            found = [failure for item in items if (failure := _failure(check, item))]
            assert not found, "\n\n".join(found)

        test.__name__ = check.__name__
        test.__doc__ = check.__doc__
        test.__module__ = check.__module__
        return test

    return decorate


def _failure(check: Callable[[Any], None], item: Any) -> str:
    try:
        check(item)
    except AssertionError as e:
        return f"{item}: {e}"
    return ""
