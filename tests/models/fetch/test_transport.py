"""Servers that refuse, redirect and are not there."""

from __future__ import annotations

import runpy
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.errors import DownloadError, TrustError
from undercast.models.fetch import transport as module
from undercast.models.fetch.download import download
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
