"""`undercast readers`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from undercast.readers import READERS

if TYPE_CHECKING:
    from click.testing import Result


def test_every_format_is_listed_with_what_it_is(cli: Callable[..., Result]) -> None:
    rows = json.loads(cli("readers", "--json").stdout)
    assert [row["format"] for row in rows] == list(READERS)
    assert all(row["reads"] for row in rows)


def test_people_get_a_table(cli: Callable[..., Result]) -> None:
    words = cli("readers").stdout
    assert "sentinel2" in words
    assert "L1C and L2A products (SAFE)" in words
