"""What the commands print: one line of JSON, or words for people; a bar on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, TypeAlias

import click

from undercast.radiometry import Scaling

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and how many there are."""

UNFOLDED = 1000
"""Width of what goes to a pipe or a file, in characters: no row is folded."""


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print a value as one line of JSON on standard output, in ASCII, so that no name of a file can break it.

    Raises:
        ValueError: If it holds NaN or an infinite number, which JSON has not.
    """
    click.echo(json.dumps(value, allow_nan=False))


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and what is said about them, in two columns."""
    rows = list(pairs)
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {printable(text)}".rstrip())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; a terminal folds its cells, pipes and files get each row in one line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else UNFOLDED)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    console.print(table)


def printable(text: str) -> str:
    """Put escapes for what would move a terminal's cursor or change its colours: names may come from strangers."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def describe_scaling(scaling: Scaling) -> str:
    """Give a scaling as a formula."""
    sign = "-" if scaling.offset < 0 else "+"
    return f"reflectance = dn * {scaling.scale:g} {sign} {abs(scaling.offset):g}"


@contextmanager
def progress_bars() -> Iterator[Callable[[str], AbstractContextManager[Progress | None]]]:
    """Draw bars on standard error while it is a terminal and nobody asked for quiet; each is gone when it is done.

    Yields:
        Title -> what to tell how many windows are done and how many there are, while its bar stands; None where
        nothing is drawn. Bars can stand together, and be told from several threads.
    """
    if not sys.stderr.isatty() or is_quiet():
        yield lambda title: nullcontext(None)  # noqa: ARG005 (nothing is drawn)
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TimeRemainingColumn(),
    )
    # What is printed while bars stand must move them out of the way, but never from a pipe to standard error.
    together = sys.stdout.isatty()
    with progress.Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=together) as display:

        @contextmanager
        def bar(title: str) -> Iterator[Progress | None]:
            task = display.add_task(title, total=None)
            try:
                yield lambda finished, total: display.update(task, completed=finished, total=total)
            finally:
                display.remove_task(task)

        yield bar


@contextmanager
def stage_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Draw one bar per stage of a long run, as ``progress_bars`` does, each until the end.

    Yields:
        What to tell the stage, how much of it is done and how much there is.
    """
    with progress_bars() as bar, ExitStack() as stages:
        known: dict[str, Progress | None] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in known:
                known[stage] = stages.enter_context(bar(stage))
            progress = known[stage]
            if progress is not None:
                progress(done, total)

        yield tell


@contextmanager
def progress_bar(title: str) -> Iterator[Progress | None]:
    """Draw one bar; see ``progress_bars``."""
    with progress_bars() as bar, bar(title) as progress:
        yield progress


def is_quiet() -> bool:
    """Tell whether the run was asked to say nothing but errors."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.find_root().params.get("quiet"))


def percentages(percent: Mapping[str, float]) -> str:
    """Give percentages of classes as a phrase: ``clear 61.2 %, thick cloud 20.0 %, ...``."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.1f} %" for name, value in percent.items())


def yes_no(value: object) -> str:
    """Give a truth value as a word."""
    return "yes" if value else "no"
