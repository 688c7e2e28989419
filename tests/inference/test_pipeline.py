"""Stages that work ahead: the same items in the same order, never far ahead, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.inference.pipeline import ahead, closing_pool, in_order


@settings(max_examples=30)
@given(st.lists(st.integers()), st.integers(1, 4), st.integers(0, 5))
def test_items_keep_their_order_and_get_their_own_results(items: list[int], threads: int, waiting: int) -> None:
    with closing_pool(threads) as pool:
        assert list(in_order(pool, items, lambda item: -item, waiting=waiting)) == [(item, -item) for item in items]
    assert list(ahead(iter(items), waiting=waiting + 1)) == items


def test_no_more_items_are_taken_than_may_wait() -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    with closing_pool(2) as pool:
        working = in_order(pool, source(), str, waiting=3)
        assert next(working) == (0, "0")
        assert taken == [0, 1, 2, 3]


def test_a_thread_makes_no_more_items_than_may_wait() -> None:
    made = threading.Semaphore(0)
    count = 0

    def source() -> Iterator[int]:
        nonlocal count
        while True:
            count += 1
            made.release()
            yield count

    items = ahead(source(), waiting=2)
    assert next(items) == 1
    for _ in range(4):  # the one that was taken, two that wait, one that finds no room
        assert made.acquire(timeout=10)
    assert not made.acquire(timeout=0.3)
    assert count == 4
    items.close()  # type: ignore[attr-defined]


def test_what_fails_in_a_thread_is_raised_at_its_items_turn() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    items = ahead(source(), waiting=1)
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)
    with closing_pool(1) as pool:
        results = in_order(pool, [4, 0, 2], lambda item: 8 // item, waiting=1)
        assert next(results) == (4, 2)
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_closing_ends_the_thread_and_closes_its_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    before = threading.active_count()
    items = ahead(source(), waiting=1)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert threading.active_count() == before
