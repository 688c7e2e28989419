"""Downloads: failures that pass are passed over, lies are refused, and nothing half-fetched is left in place."""

from __future__ import annotations

import runpy
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.errors import DownloadError, OutputError, TrustError
from undercast.models import download as module
from undercast.models.download import Patience, Wanted, download, fetch_bytes
from undercast.models.trust import multihash

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "server" / "make.py")))

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


@pytest.mark.parametrize(
    ("code", "told"), [(404, "there is no .*404"), (403, "status 403. It asks for a login"), (400, "status 400")]
)
def test_a_refusal_is_not_asked_again(site: Any, wanted: Wanted, tmp_path: Path, code: int, told: str) -> None:
    site.routes["/w"] = MAKE.status(code)
    with pytest.raises(DownloadError, match=told):
        download(wanted, tmp_path / "w", QUICK)
    assert len(site.asked) == 1


def test_nobody_there_is_told(wanted: Wanted, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"failed 2 times, at last: .*refused"):
        download(replace(wanted, url="http://127.0.0.1:9/w"), tmp_path / "w", replace(QUICK, attempts=2))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a b\n", "http://127.0.0.1:x/"])
def test_an_unusable_url_is_told(wanted: Wanted, tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=r"is no usable URL|failed"):
        download(replace(wanted, url=url), tmp_path / "w", replace(QUICK, attempts=1))


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


def test_an_encoding_that_was_not_asked_for_is_refused(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.with_headers(BODY, Content_Encoding="gzip")
    with pytest.raises(TrustError, match=r"encoding 'gzip'"):
        download(wanted, tmp_path / "w", QUICK)


def test_a_redirect_within_http_is_followed(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/moved"] = MAKE.status(302, Location="/w")
    assert download(replace(wanted, url=f"{site.url}/moved"), tmp_path / "w", QUICK) == multihash(BODY)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/w", "data:,x", "gopher://x/", ""])
def test_a_redirect_elsewhere_is_refused(site: Any, wanted: Wanted, tmp_path: Path, place: str) -> None:
    site.routes["/w"] = MAKE.status(302, Location=place)
    with pytest.raises(TrustError, match=r"redirects to") as caught:
        download(wanted, tmp_path / "w", QUICK)
    assert place[:20] in str(caught.value)
    assert left(tmp_path) == []


def test_a_redirect_in_a_circle_is_refused(site: Any, wanted: Wanted, tmp_path: Path) -> None:
    site.routes["/w"] = MAKE.status(302, Location="/w")
    with pytest.raises(TrustError, match=r"redirects to"):
        download(wanted, tmp_path / "w", QUICK)


def test_https_never_becomes_http() -> None:
    redirects = module._Redirects()
    request = urllib.request.Request("https://a.example/w")
    answer: Any = None
    assert redirects.redirect_request(request, answer, 302, "", {}, "http://a.example/w") is None
    followed = redirects.redirect_request(request, answer, 302, "", {}, "https://b.example/w")
    assert followed is not None


def test_a_token_goes_to_the_hub_and_to_nobody_else(
    site: Any, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    with MAKE.serving() as other:
        other.routes["/w"] = BODY
        site.routes["/w"] = MAKE.status(302, Location=f"{other.url}/w")
        download(wanted, tmp_path / "w", QUICK)
        download(replace(wanted, url=f"{other.url}/w"), tmp_path / "v", QUICK)
        assert site.asked[0][1]["Authorization"] == "Bearer secret"
        assert all("Authorization" not in headers for _, headers in other.asked)


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
from undercast.models.download import Wanted, download
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
