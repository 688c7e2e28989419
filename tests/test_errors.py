"""Errors have one root, a built-in beside it, and tell their whole text."""

from __future__ import annotations

import inspect

import pytest

from undercast import errors
from undercast.errors import UndercastError

ALL = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, UndercastError) and value is not UndercastError
]
BUILT_IN = (ValueError, KeyError, OSError, RuntimeError, ImportError)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_error_is_an_undercast_error_and_a_built_in_one(error: type[UndercastError]) -> None:
    assert issubclass(error, BUILT_IN)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_error_prints_what_it_was_given_without_quotes_around_it(error: type[UndercastError]) -> None:
    assert str(error("it's gone.")) == "it's gone."


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_the_exit_status_is_two_for_wrong_usage_and_one_for_failures(error: type[UndercastError]) -> None:
    wrong_usage = {
        "UsageError",
        "BandError",
        "SensorError",
        "SchemeError",
        "UnknownModelError",
        "OutputExistsError",
    }
    assert error.exit_status == (2 if error.__name__ in wrong_usage else 1)
