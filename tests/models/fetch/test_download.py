"""Downloads: failures that pass are passed over, lies are refused, and nothing half-fetched is left in place."""

from __future__ import annotations

import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.errors import DownloadError, OutputError, TrustError
from undercast.models.fetch.download import download, fetch_bytes
from undercast.models.fetch.transport import Patience, Wanted
from undercast.models.trust.checksums import multihash

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "server" / "make.py")))

BODY = bytes(range(256)) * 40
QUICK = Patience(attempts=3, timeout_s=0.4, backoff_s=0.01)


@pytest.fixture
def site() -> Iterator[Any]:
    with MAKE.serving() as running:
        running.routes["/w"] = BODY
        yield running


@pytest.fixture
def wanted(site: Any) -> Wanted:
    return Wanted(url=f"{site.url}/w", name="asset w", size=len(BODY), checksum=multihash(BODY))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_and_told_of(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    checksum = download(wanted, tmp_path / "w", QUICK, progress=lambda there, size: told.append((there, size)))
    assert (tmp_path / "w").read_bytes() == BODY
    assert checksum == multihash(BODY)
    assert told[-1] == (len(BODY), len(BODY))
    assert left(tmp_path) == ["w"]


def test_a_file_of_which_nothing_is_declared_is_fetched(site: Any, tmp_path: Path) -> None:
    assert download(Wanted(url=f"{site.url}/w", name="w"), tmp_path / "w", QUICK) == multihash(BODY)


def test_failures_that_pass_are_passed_over(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.in_turn(MAKE.status(500), MAKE.status(429, Retry_After="0"), BODY)
    assert download(wanted, tmp_path / "w", QUICK) == multihash(BODY)
    assert len(site.asked) == 3


def test_failures_that_stay_are_told_in_one_line(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.status(500)
    with pytest.raises(DownloadError, match=r"asset w: http\S+/w failed 3 times, at last: HTTP status 500") as caught:
        download(wanted, tmp_path / "w", QUICK)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []


@pytest.mark.parametrize("break_off", ["cut", "stalled"])
def test_what_broke_off_is_continued(site: Any, wanted: Wanted, tmp_path: Path, break_off: str) -> None:
    site.routes["/w"] = MAKE.in_turn(getattr(MAKE, break_off)(BODY, 4000), BODY)
    assert download(wanted, tmp_path / "w", QUICK) == multihash(BODY)
    assert [headers.get("Range") for _, headers in site.asked] == [None, "bytes=4000-"]


def test_what_another_run_left_is_continued(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(BODY[:100])
    assert download(wanted, tmp_path / "w", QUICK) == multihash(BODY)
    assert site.asked[0][1]["Range"] == "bytes=100-"
    assert left(tmp_path) == ["w"]


@pytest.mark.parametrize("part", [b"other bytes", BODY + b"more", BODY[::-1]])
def test_what_does_not_belong_to_the_file_is_fetched_anew(
    site: Any, wanted: Wanted, tmp_path: Path, part: bytes
) -> None:
    (tmp_path / "w.part").write_bytes(part)
    assert download(wanted, tmp_path / "w", QUICK) == multihash(BODY)
    assert (tmp_path / "w").read_bytes() == BODY


def test_a_server_that_gives_no_parts_gives_the_whole(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.with_headers(BODY)
    (tmp_path / "w.part").write_bytes(BODY[:100])
    assert download(wanted, tmp_path / "w", QUICK) == multihash(BODY)


def test_a_range_that_is_refused_begins_anew(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.in_turn(MAKE.status(416), BODY)
    (tmp_path / "w.part").write_bytes(BODY[:100])
    assert download(replace(wanted, size=None), tmp_path / "w", QUICK) == multihash(BODY)
    assert [headers.get("Range") for _, headers in site.asked] == ["bytes=100-", None]


def test_without_a_checksum_nothing_is_continued(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(BODY[:100])
    assert download(replace(wanted, checksum=None), tmp_path / "w", QUICK) == multihash(BODY)
    assert "Range" not in site.asked[0][1]


def test_a_server_that_stalls_is_given_up(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.stalled(BODY, 100)
    with pytest.raises(DownloadError, match=r"failed 2 times, at last: .*timed out"):
        download(wanted, tmp_path / "w", replace(QUICK, attempts=2))


def test_a_server_that_drips_is_given_up(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.dripping(BODY, 0.02)
    with pytest.raises(DownloadError, match=r"at last: only \d+ bytes in"):
        download(wanted, tmp_path / "w", replace(QUICK, attempts=1))


@pytest.mark.parametrize("length", [len(BODY) - 1, len(BODY) + 1, 10**15])
def test_a_length_that_is_not_the_declared_one_is_refused_at_once(
    site: Any, wanted: Wanted, tmp_path: Path, length: int
) -> None:
    site.routes["/w"] = MAKE.as_if(BODY, length)
    with pytest.raises(TrustError, match=rf"declares {len(BODY)} bytes, but \S+ has {length}"):
        download(wanted, tmp_path / "w", QUICK)
    assert len(site.asked) == 1


def test_a_body_without_end_is_cut_at_what_is_declared(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.endless()
    with pytest.raises(TrustError, match=rf"expected at most {len(BODY)} bytes"):
        download(wanted, tmp_path / "w", QUICK)


def test_a_body_without_end_is_cut_at_the_limit(site: Any, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.endless()
    with pytest.raises(TrustError, match=r"expected at most 1000 bytes"):
        fetch_bytes(Wanted(url=f"{site.url}/w", name="w", limit=1000), QUICK)


def test_a_declared_size_above_the_limit_is_not_begun(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"expected at most 1000 bytes"):
        download(replace(wanted, limit=1000), tmp_path / "w", QUICK)
    assert left(tmp_path) == []


def test_a_short_body_is_never_put_in_place(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.cut(BODY, 10)
    with pytest.raises(DownloadError, match=rf"at last: 10 of {len(BODY)} bytes"):
        download(replace(wanted, checksum=None), tmp_path / "w", QUICK)
    assert not (tmp_path / "w").exists()


def test_other_bytes_than_declared_are_refused_and_removed(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = BODY[::-1]
    with pytest.raises(TrustError, match=rf"asset w: expected checksum {multihash(BODY)}, got {multihash(BODY[::-1])}"):
        download(wanted, tmp_path / "w", QUICK)
    assert left(tmp_path) == []


def test_offline_nothing_is_asked_for(
    site: Any, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERCAST_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"UNDERCAST_OFFLINE forbids the network.*models pull"):
        download(wanted, tmp_path / "w", QUICK)
    assert site.asked == []


def test_a_file_that_cannot_fit_is_not_begun(
    site: Any, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(OutputError, match=rf"{len(BODY)} bytes do not fit in .* \(100 bytes free\)"):
        download(wanted, tmp_path / "w", QUICK)
    assert left(tmp_path) == []


def test_a_disk_that_is_full_in_the_middle_is_told_and_left_empty(site: Any, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    resource = pytest.importorskip("resource")
    body = bytes(3 * 1024**2)
    site.routes["/big"] = body
    code = f"""
import pathlib
from undercast.models.fetch.download import download
from undercast.models.fetch.transport import Wanted
wanted = Wanted(url={f"{site.url}/big"!r}, name="big", checksum={multihash(body)!r})
download(wanted, pathlib.Path({str(tmp_path / "big")!r}))
"""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    ran = subprocess.run([sys.executable, "-c", code], preexec_fn=limit, capture_output=True, text=True, check=False)
    assert "undercast.errors.OutputError: cannot write" in ran.stderr
    assert "Free some space" in ran.stderr
    assert left(tmp_path) == []
