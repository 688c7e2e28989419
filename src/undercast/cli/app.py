"""The group `undercast`: global options, subcommands loaded when they are called, and one line per error."""

from __future__ import annotations

import gc
import importlib
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import click

from undercast.errors import UndercastError, UsageError

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 plus the number of SIGINT."""
SIGNAL_BASE = 128
"""Exit status of a run that a signal ends: this plus the signal's number."""
WORDS = "undercast.words"
"""Where a context keeps the words of the command line."""
COLLECT_AFTER = 50_000
"""Objects more that are made than dropped before Python looks for circles among them. Its usual 700 are made some 400
times by imports alone, which make no circles to speak of."""
VERBOSITY = (logging.WARNING, logging.INFO, logging.DEBUG)
"""Level of undercast's own messages for no, one and two -v."""


class Entry(NamedTuple):
    """One subcommand, not yet imported."""

    module: str
    """Module of this folder that holds ``command``."""
    help: str
    """One line for the list of commands."""


COMMANDS: dict[str, Entry] = {
    "mask": Entry("mask", "Mask clouds and cloud shadows in scenes."),
    "classify": Entry("classify", "Label windows of scenes, clouds first."),
    "info": Entry("info", "Say what undercast sees in a scene: bands, grid, values, models that fit."),
    "models": Entry("models", "List, show, check, repair, fetch and make models."),
    "sensors": Entry("sensors", "List sensors, or show one."),
    "readers": Entry("readers", "List the product formats that can be opened."),
    "simulate": Entry("simulate", "Simulate scenes of a sensor, with reference class maps."),
    "label": Entry("label", "Label a scene by points on a page of this machine."),
    "labels": Entry("labels", "Turn processors' masks into weak labels, and combine them."),
    "chips": Entry("chips", "Cut chips for training and evaluation from scenes with labels."),
    "train": Entry("train", "Train the model of a recipe and write its package."),
    "adapt": Entry("adapt", "Adapt a model to the bands of another sensor, with data of it or without."),
    "evaluate": Entry("evaluate", "Hold a model, a peer or a processor against references."),
    "compare": Entry("compare", "Say whether one is better than another, or whether it is noise."),
    "calibrate": Entry("calibrate", "Tune a model's operating points and write a new version of it."),
    "gate": Entry("gate", "Hold a report against rules; exit status 0 or 1."),
    "life": Entry("life", "Promote, monitor and retrain a model, with a ledger that shows every change."),
    "demo": Entry("demo", "Simulate a scene, mask it and say where the files are."),
    "doctor": Entry("doctor", "Say what is installed, what runs where, and whether it works."),
}


class OneLineError(click.ClickException):
    """An error that ends the run with one line on standard error."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(" ".join(line.split()))
        self.exit_code = status  # type: ignore[misc] # click calls it a class variable and reads it of the instance

    def show(self, file: Any = None) -> None:
        """Print the line and nothing else."""
        click.echo(self.message, file=file or sys.stderr)


class UndercastGroup(click.Group):
    """Loads a subcommand when it is called, and turns every error into one line and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Name the subcommands in the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(f"undercast.cli.{entry.module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the global options; the command line is kept for the records."""
        gc.set_threshold(COLLECT_AFTER)
        words = tuple(args)
        try:
            ctx = super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            _refuse(error)
        except OSError as error:
            _refuse_full(error)
            raise
        ctx.meta[WORDS] = words
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; every error that it raises becomes one line on standard error."""
        _accept_any_text()
        try:
            _refuse_empty(ctx.meta[WORDS])
            with _end_on_signals(), _logging(ctx.params["verbose"], quiet=ctx.params["quiet"]):
                return super().invoke(ctx)
        except click.UsageError as error:
            _refuse(error)
        except KeyboardInterrupt as error:
            _trace(ctx)
            raise OneLineError("Interrupted: nothing half-written.", INTERRUPTED) from error
        except UndercastError as error:
            _trace(ctx)
            raise OneLineError(describe(error), error.exit_status) from error
        except (click.exceptions.Exit, click.Abort, click.ClickException, BrokenPipeError):
            raise
        except Exception as error:
            _trace(ctx)
            _refuse_full(error)
            raise OneLineError(describe_defect(error), 1) from error


def describe(error: UndercastError) -> str:
    """Give an error in one line: its name and what it says."""
    return _one_line(f"{type(error).__name__}: {error}")


def describe_defect(error: Exception) -> str:
    """Give an error that undercast did not foresee in one line."""
    told = _one_line(str(error)).rstrip(".")
    if isinstance(error, MemoryError):
        return f"MemoryError: {told or 'there is not enough memory'}. Take less at once, e.g. by --bounds or --window."
    return (
        f"UnexpectedError: {type(error).__name__}: {told}."
        " This is a defect; run again with --debug for the traceback: undercast --debug ..."
    )


def _one_line(text: str) -> str:
    from undercast.cli.printing import printable

    return printable(" ".join(text.split()))


def version() -> str:
    """Give undercast's version; ``0+unknown`` in a source tree that was never installed."""
    try:
        return installed_version("undercast")
    except PackageNotFoundError:
        return "0+unknown"


def _accept_any_text() -> None:
    """Print a name that the terminal cannot show with escapes, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refuse(error: click.UsageError) -> NoReturn:
    """Say a usage error in one line; a group without subcommand shows its help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    told = error.format_message().rstrip(".")
    way_out = "" if error.ctx is None else f" Try: {error.ctx.command_path} --help"
    raise OneLineError(f"UsageError: {told}.{way_out}", error.exit_code) from error


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuse arguments without any text, which a variable that is not set leaves behind; as a path they are a folder.

    Raises:
        UsageError: If there is one; it says after which word.
    """
    before = "undercast"
    for word in words:
        if not word.strip() or re.fullmatch(r"--[a-z-]+=\s*", word):
            option = word.strip().rstrip("=") or before
            msg = f"expected a value after {option}, got an empty text. Is a variable not set?"
            raise UsageError(msg)
        before = word


def _refuse_full(error: Exception) -> None:
    """Say in one line that standard output takes no more, where that is what an error says; click and rich write there.

    What is left to say is dropped, or Python would fail on it once more at its end.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    writer = str(frame.f_globals.get("__name__")).partition(".")[0]
    if not isinstance(error, OSError) or isinstance(error, BrokenPipeError) or writer not in {"click", "rich"}:
        return
    with suppress(OSError), open(os.devnull, "wb") as nothing:  # noqa: PTH123 (no path: /dev/null or NUL)
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    told = f"OutputError: standard output cannot be written: {error.strerror or error}. Send it to another place."
    raise OneLineError(told, 1) from error


def _trace(ctx: click.Context) -> None:
    if ctx.params["debug"]:
        click.echo(traceback.format_exc(), file=sys.stderr, nl=False)


@contextmanager
def _end_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the run like an error, so that temporary files go; ignored ones stay so."""

    def end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (signal's signature)
        raise SystemExit(SIGNAL_BASE + number)

    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    changed = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


class _StandardError(logging.Handler):
    """Writes to what standard error is at the moment, so that a progress bar can move out of the way."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        super().__init__()
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message as one line; the same warning once."""
        line = " ".join(self.format(record).split())
        if record.levelno == logging.WARNING:
            if line in self._warned:
                return
            self._warned.add(line)
        click.echo(line, err=True)


@contextmanager
def _logging(verbose: int, *, quiet: bool) -> Iterator[None]:
    """Send messages to standard error: undercast's from warnings on, other libraries' only with -vv."""
    level = logging.ERROR if quiet else VERBOSITY[min(verbose, len(VERBOSITY) - 1)]
    foreign = logging.INFO if level == logging.DEBUG else logging.CRITICAL + 1
    handler = _StandardError()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.addFilter(lambda seen: seen.levelno >= (level if seen.name.split(".")[0] == "undercast" else foreign))
    root, own = logging.getLogger(), logging.getLogger("undercast")
    before = own.level
    own.setLevel(level)
    root.addHandler(handler)
    logging.captureWarnings(capture=not sys.warnoptions)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(handler)
        own.setLevel(before)


@click.group(cls=UndercastGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="undercast", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("-v", "--verbose", count=True, help="Say more on standard error; twice: what libraries say, too.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors on standard error.")
def main(debug: bool, verbose: int, quiet: bool) -> None:
    """Cloud and cloud-shadow masks from the optical imagery of any satellite sensor."""
