"""Transport: http(s) answers, bounded, timed, asked for again after failures that pass, redirected to http(s) only."""

from __future__ import annotations

import http.client
import logging
import os
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from undercast import __version__
from undercast.errors import DownloadError, TrustError, UndercastError
from undercast.models.fetch.references import hub
from undercast.models.trust.weights import LARGEST_WEIGHTS

log = logging.getLogger(__name__)

OFFLINE_VARIABLE = "UNDERCAST_OFFLINE"
"""Environment variable that forbids the network where it is set to other than 0."""

TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 (the variable's name)
"""Environment variable with a person's token for the Hugging Face hub; it is sent to the hub only."""

CHUNK = 1024**2
"""Bytes that are read at once, at most."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP status codes that a later attempt may not meet."""

PARTIAL, RANGE_REFUSED = 206, 416
"""HTTP status codes of an answer to a request for a part."""

LONGEST_WAIT_S = 60.0
"""Longest wait between two attempts, in seconds, whatever the server asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server is waited for."""

    attempts: int = 5
    """How often a file is asked for."""
    timeout_s: float = 30.0
    """Seconds without a byte, or below ``slowest`` bytes per second, after which an attempt has failed."""
    slowest: int = 1024
    """Bytes per second."""
    backoff_s: float = 1.0
    """Seconds before the second attempt; doubled before each further one, and varied by half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to fetch."""

    url: str
    """Where it is; http or https."""
    name: str
    """What it is, for messages."""
    size: int | None = None
    """Declared size, in bytes."""
    checksum: str | None = None
    """Declared SHA-256 multihash."""
    limit: int = LARGEST_WEIGHTS
    """Largest size that is fetched, in bytes, whatever is declared."""


class NotThereError(DownloadError):
    """The server says that it has no such file."""


class PassingError(Exception):
    """A failure that a later attempt may not meet."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class RangeError(PassingError):
    """The server has not the part that is left; the file changed."""


def is_offline() -> bool:
    """Tell whether the network is forbidden."""
    return os.environ.get(OFFLINE_VARIABLE, "0") not in {"", "0"}


def repeated(wanted: Wanted, patience: Patience, transfer: Callable[[], None]) -> None:
    """Try until it works, something fails for good, or patience ends."""
    if is_offline():
        msg = (
            f"{wanted.name}: {OFFLINE_VARIABLE} forbids the network, and the cache does not hold {wanted.url}."
            " Fetch it elsewhere (undercast models pull) and copy the cache folder, or unset the variable."
        )
        raise DownloadError(msg)
    why = ""
    for attempt in range(patience.attempts):
        try:
            transfer()
        except PassingError as error:
            why = str(error)
            log.info("%s: attempt %d of %d: %s", wanted.url, attempt + 1, patience.attempts, why)
            if attempt + 1 < patience.attempts:
                pause = patience.backoff_s * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 (spreads requests)
                time.sleep(min(max(pause, error.wait_s), LONGEST_WAIT_S))
        else:
            return
    msg = f"{wanted.name}: {wanted.url} failed {patience.attempts} times, at last: {why}. Try again later."
    raise DownloadError(msg)


def continues(answer: http.client.HTTPResponse, there: int) -> bool:
    """Tell whether an answer begins at the byte that was asked for."""
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {there}-")


@contextmanager
def answered(wanted: Wanted, there: int, patience: Patience) -> Iterator[http.client.HTTPResponse]:
    """Ask for a file from a byte on, and sort what goes wrong while it is read."""
    request = urllib.request.Request(wanted.url, headers=_headers(there))  # noqa: S310 (the opener knows http(s) only)
    token = os.environ.get(TOKEN_VARIABLE)
    if token and wanted.url.startswith(f"{hub()}/"):
        # Unredirected: another host that the hub refers to does not get it.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with _opener().open(request, timeout=patience.timeout_s) as answer:
            yield answer
    except (UndercastError, PassingError):
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _status_error(wanted, error) from error
    except urllib.error.URLError as error:
        raise _network_error(wanted, error.reason) from error
    except (http.client.InvalidURL, ValueError) as error:
        msg = f"{wanted.name}: {wanted.url[:200]!r} is no usable URL: {error}."
        raise DownloadError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        raise _network_error(wanted, error) from error


def _headers(there: int) -> dict[str, str]:
    headers = {"User-Agent": f"undercast/{__version__}", "Accept-Encoding": "identity"}
    return {**headers, "Range": f"bytes={there}-"} if there else headers


def _status_error(wanted: Wanted, error: urllib.error.HTTPError) -> Exception:
    code = error.code
    if 300 <= code < 400:
        place = error.headers.get("Location", "")[:120]
        return TrustError(f"{wanted.name}: {wanted.url} redirects to {place!r}, not to another https URL.")
    if code == RANGE_REFUSED:
        return RangeError(f"HTTP status {code}")
    if code in PASSING:
        wait = error.headers.get("Retry-After", "")
        return PassingError(f"HTTP status {code}", float(wait) if wait.isdecimal() else 0.0)
    if code in {404, 410}:
        return NotThereError(f"{wanted.name}: there is no {wanted.url} (HTTP status {code}). Check the reference.")
    if code in {401, 403}:
        way_out = f"It asks for a login; for the Hugging Face hub set {TOKEN_VARIABLE}."
    else:
        way_out = "Check the reference."
    return DownloadError(f"{wanted.name}: {wanted.url} answered HTTP status {code}. {way_out}")


def _network_error(wanted: Wanted, reason: object) -> Exception:
    told = str(reason) or type(reason).__name__
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(f"{wanted.name}: {wanted.url} cannot prove who it is: {told}.")
    return PassingError(told)


def body(answer: http.client.HTTPResponse, wanted: Wanted, there: int, patience: Patience) -> Iterator[bytes]:
    """Give a body in parts, and refuse one that is too large, too slow or cut short."""
    expected = _expected_size(answer, wanted, there)
    began, since = time.monotonic(), 0
    while chunk := answer.read1(CHUNK):
        there += len(chunk)
        if there > min(wanted.limit, expected if expected is not None else wanted.limit):
            raise _too_large(wanted, there)
        yield chunk
        since += len(chunk)
        seconds = time.monotonic() - began
        if seconds > patience.timeout_s:
            if since < patience.slowest * seconds:
                raise PassingError(f"only {since} bytes in {seconds:.0f} s")
            began, since = time.monotonic(), 0
    if expected is not None and there != expected:
        raise PassingError(f"{there} of {expected} bytes")


def _expected_size(answer: http.client.HTTPResponse, wanted: Wanted, there: int) -> int | None:
    """Give the size of the whole file that server and item agree on; None where neither says one."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        msg = f"{wanted.name}: {wanted.url} answers with the encoding {encoding[:40]!r}, which was not asked for."
        raise TrustError(msg)
    length = answer.headers.get("Content-Length", "")
    told = there + int(length) if length.isdecimal() else None
    if told is not None and wanted.size is not None and told != wanted.size:
        msg = f"{wanted.name}: the item declares {wanted.size} bytes, but {wanted.url} has {told}. Tell its publisher."
        raise TrustError(msg)
    expected = wanted.size if wanted.size is not None else told
    if expected is not None and expected > wanted.limit:
        raise _too_large(wanted, expected)
    return expected


def _too_large(wanted: Wanted, size: int) -> TrustError:
    allowed = wanted.limit if wanted.size is None else min(wanted.size, wanted.limit)
    return TrustError(f"{wanted.name}: expected at most {allowed} bytes, got {size} or more from {wanted.url}.")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s) only, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Follow, or give nothing, which makes an error of the answer."""
        if not newurl.startswith("https://") and not (req.type == "http" and newurl.startswith("http://")):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Make what knows http and https, and no file, ftp or data URLs."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener
