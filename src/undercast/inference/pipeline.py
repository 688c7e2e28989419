"""Pipeline: a stage works in threads of its own while the others do, and never runs far ahead of them."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from typing import NoReturn, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOK_AFTER_S = 0.1
"""How often a stage that waits for room looks whether anybody still wants its items, in seconds."""


@contextmanager
def closing_pool(threads: int) -> Iterator[Executor]:
    """Give threads; what they have not begun when the block ends, or fails, is dropped."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_order(
    pool: Executor, items: Iterable[Item], work: Callable[[Item], Result], *, waiting: int
) -> Iterator[tuple[Item, Result]]:
    """Work on items in a pool, and give each with its result, in their order.

    At most ``waiting`` items are worked on, or done, ahead of the one that is given; items are taken from their source
    in the caller's thread. What the work raises is raised here, at its item's turn.
    """
    begun: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        begun.append((item, pool.submit(work, item)))
        del item  # it can be large, and its turn comes later
        if len(begun) > waiting:
            yield _settled(begun)
    while begun:
        yield _settled(begun)


def _settled(begun: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    item, future = begun.popleft()
    return item, future.result()


def ahead(items: Iterator[Item], *, waiting: int) -> Iterator[Item]:
    """Make items in a thread of their own, at most ``waiting`` of them ahead of those that are taken.

    The thread starts with the first item that is asked for, and ends when the iterator is closed. What fails there is
    raised here.
    """
    room: queue.Queue[Callable[[], Item]] = queue.Queue(maxsize=waiting)
    unwanted = threading.Event()
    thread = threading.Thread(target=_make, args=(items, room, unwanted), name="undercast-ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = room.get()()
            except _End:
                return
            yield item
            del item  # it can be large, and the next one may take long
    finally:
        unwanted.set()
        thread.join()


class _End(Exception):  # noqa: N818 (no error)
    """There are no further items."""


def _make(items: Iterator[Item], room: queue.Queue[Callable[[], Item]], unwanted: threading.Event) -> None:
    """Make items until there are no more, or nobody wants them."""
    outcome: BaseException = _End()
    try:
        with closing(items) if isinstance(items, Generator) else nullcontext():
            for item in items:
                _offer(partial(_same, item), room, unwanted)
                del item
                if unwanted.is_set():
                    return
    except BaseException as error:  # noqa: BLE001 (it is raised again, in the thread that waits for the item)
        outcome = error
    _offer(partial(_fail, outcome), room, unwanted)


def _offer(given: Callable[[], Item], room: queue.Queue[Callable[[], Item]], unwanted: threading.Event) -> None:
    """Wait for room, as long as somebody wants what is given."""
    while not unwanted.is_set():
        try:
            room.put(given, timeout=LOOK_AFTER_S)
        except queue.Full:
            continue
        return


def _same(item: Item) -> Item:
    return item


def _fail(error: BaseException) -> NoReturn:
    raise error
