"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine fails no test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def cache_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what is cached apart from the person's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERCAST_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder with real imagery, or skip where it is not set."""
    folder = os.environ.get("UNDERCAST_REAL_DATA")
    if not folder:
        pytest.skip("UNDERCAST_REAL_DATA is not set: it names the folder with real imagery (train/, val/, products/)")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"UNDERCAST_REAL_DATA={folder} is not a folder")
    return path
