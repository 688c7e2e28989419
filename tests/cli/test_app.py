"""The group: help, global options, and what errors look like."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
import pytest

from undercast.cli import sensors
from undercast.cli.app import COMMANDS, main
from undercast.errors import BandError, ModelError, UndercastError

if TYPE_CHECKING:
    from click.testing import Result

HEAVY = ("rasterio", "onnxruntime", "torch", "pystac", "rich", "numpy")


def test_help_lists_every_command(cli: Callable[..., Result]) -> None:
    result = cli("--help")

    assert result.exit_code == 0
    assert [name for name in COMMANDS if re.search(rf"^  {name} ", result.stdout, re.MULTILINE)] == list(COMMANDS)


def test_help_loads_no_heavy_library(start: Callable[..., subprocess.Popen[str]]) -> None:
    probe = f"import atexit, sys\natexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules]))"
    process = start("--help", first=probe)
    stdout, _ = process.communicate(timeout=120)

    assert stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_needs_neither_rasterio_nor_onnxruntime(
    start: Callable[..., subprocess.Popen[str]], name: str
) -> None:
    probe = "import sys\nsys.modules['rasterio'] = sys.modules['onnxruntime'] = None"
    process = start(name, "--help", first=probe)
    _, stderr = process.communicate(timeout=120)

    assert (process.returncode, stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says_itself(name: str) -> None:
    command = importlib.import_module(f"undercast.cli.{COMMANDS[name].module}").command

    assert isinstance(command, click.Command)
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ").startswith(COMMANDS[name].help.rstrip("."))


def test_version_is_one_line(cli: Callable[..., Result]) -> None:
    result = cli("--version")

    assert re.fullmatch(r"undercast \S+\n", result.stdout)


def test_no_command_shows_the_help_and_is_a_usage_error(cli: Callable[..., Result]) -> None:
    result = cli()

    assert result.exit_code == 2
    assert "Usage: undercast" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nonsense"], "UsageError: No such command 'nonsense'. Try: undercast --help\n"),
        (["--nonsense"], "UsageError: No such option '--nonsense'. Try: undercast --help\n"),
        (["mask", "scene.tif"], "UsageError: Missing option '-o' / '--output'. Try: undercast mask --help\n"),
        (["sensors", "show"], "UsageError: Missing argument 'SENSOR'. Try: undercast sensors show --help\n"),
    ],
)
def test_wrong_usage_is_one_line_with_the_way_out(cli: Callable[..., Result], arguments: list[str], line: str) -> None:
    result = cli(*arguments)

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (BandError("bands\nare wrong"), 2, "BandError: bands are wrong\n"),
        (ModelError("the model is wrong"), 1, "ModelError: the model is wrong\n"),
        (KeyboardInterrupt(), 130, "Interrupted: nothing half-written.\n"),
        (
            MemoryError("Unable to allocate 9 TiB"),
            1,
            "MemoryError: Unable to allocate 9 TiB. Take less at once, e.g. by --bounds or --window.\n",
        ),
        (
            ZeroDivisionError("by zero"),
            1,
            (
                "UnexpectedError: ZeroDivisionError: by zero. This is a defect; run again with --debug for"
                " the traceback: undercast --debug ...\n"
            ),
        ),
    ],
)
def test_an_error_is_one_line_and_an_exit_status(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, line: str
) -> None:
    monkeypatch.setattr(sensors, "load_sensors", raiser(error))
    result = cli("sensors", "list")

    assert (result.exit_code, result.stdout, result.stderr) == (status, "", line)


@pytest.mark.parametrize("error", [BandError("bands"), ZeroDivisionError("zero")])
def test_debug_shows_the_traceback_before_the_line(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(sensors, "load_sensors", raiser(error))
    lines = cli("--debug", "sensors", "list").stderr.splitlines()

    assert lines[0].startswith("Traceback")
    assert type(error).__name__ in lines[-1]


def raiser(error: BaseException) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["WARNING: two lines"]),
        (["-q"], []),
        (["-v"], ["WARNING: two lines", "INFO: told"]),
        (["-vv"], ["WARNING: two lines", "INFO: told", "WARNING: from elsewhere"]),
    ],
)
def test_messages_go_to_standard_error_as_far_as_they_are_wanted(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, options: list[str], said: list[str]
) -> None:
    def talk() -> tuple[()]:
        for _ in range(2):  # a warning is told once
            logging.getLogger("undercast.readers").warning("two\nlines")
        logging.getLogger("undercast.readers").info("told")
        logging.getLogger("rasterio._env").warning("from elsewhere")
        return ()

    monkeypatch.setattr(sensors, "load_sensors", talk)
    result = cli(*options, "sensors", "list", "--json")

    assert result.stderr.splitlines() == said
    assert json.loads(result.stdout) == []


def test_a_run_leaves_logging_as_it_was(cli: Callable[..., Result]) -> None:
    before = list(logging.getLogger().handlers)
    cli("-vv", "sensors", "list")

    assert logging.getLogger().handlers == before
    assert logging.getLogger("undercast").level == logging.NOTSET


def test_a_pipe_that_closes_early_is_no_error(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("sensors", "list", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=120)

    assert stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("arguments", ["--help", "sensors list", "sensors list --json", "sensors show spot-5-hrg"])
def test_a_full_standard_output_is_one_line(arguments: str) -> None:
    code = "from undercast.cli.app import main\nmain(prog_name='undercast')"
    # Buffered, as it is where nobody asks for more: then Python itself writes once more at its end.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )

    assert ended.returncode == 1
    assert ended.stderr.startswith("OutputError: standard output cannot be written: No space left on device.")
    assert ended.stderr.count("\n") == 1


def test_every_error_class_has_an_exit_status_for_usage_or_failure() -> None:
    classes: list[type[UndercastError]] = [UndercastError, *UndercastError.__subclasses__()]

    assert {error.exit_status for error in classes} == {1, 2}
    assert isinstance(main, click.Group)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mask", "", "-o", "out"), "after mask"),
        (("mask", "a.tif", "-o", ""), "after -o"),
        (("mask", "a.tif", "-o", "out", "--model", " "), "after --model"),
        (("info", "a.tif", "--sensor="), "after --sensor"),
    ],
)
def test_an_empty_text_is_no_value(cli: Callable[..., Result], words: tuple[str, ...], said: str) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert result.stderr == f"UsageError: expected a value {said}, got an empty text. Is a variable not set?\n"
