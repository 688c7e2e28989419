"""References: what a person writes for a package that lies elsewhere, and the URLs that it stands for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from undercast.errors import TrustError, UsageError

HUB_VARIABLE = "HF_ENDPOINT"
"""Environment variable that names another Hugging Face hub, as huggingface_hub reads it."""

HUB = "https://huggingface.co"
"""The Hugging Face hub."""

S3_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Environment variables that name another S3 service, as AWS's own tools read them."""

ITEMS = ("item.json", "mlm.json")
"""Names under which a folder holds its item."""

SHAPES = "https://.../item.json, s3://bucket/key/item.json or hf:owner/name[/path/item.json][@revision]"
"""What references look like, for messages."""

_HUB_REFERENCE = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<path>[^@]+))?(?:@(?P<revision>[\w./-]+))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A package that lies elsewhere."""

    text: str
    """As it was written."""
    items: tuple[str, ...]
    """URLs at which its item may be, the likeliest first."""


def parse_reference(text: str) -> Reference | None:
    """Read a reference; None where the text is a name or a path of this machine.

    Raises:
        UsageError: If it is a URL of another kind, or holds a password.
    """
    if text.startswith("hf:"):
        return Reference(text=text, items=_items_of_hub(text))
    if "://" not in text:
        return None
    parts = urlsplit(text)
    if parts.username or parts.password:
        msg = "expected a URL without user and password: it is kept in the cache's lock file."
        raise UsageError(msg)
    return Reference(text=text, items=_with_items(https_of(text, origin="reference")))


def https_of(url: str, *, origin: str) -> str:
    """Give the URL to fetch from: ``http`` and ``https`` as they are, ``s3`` as its public address.

    Raises:
        UsageError: If it has another scheme, or names nothing.
    """
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.hostname:
        return url
    if parts.scheme == "s3" and parts.hostname:
        endpoint = next((os.environ[name] for name in S3_VARIABLES if os.environ.get(name)), None)
        key = quote(parts.path.lstrip("/"))
        return (
            f"{endpoint.rstrip('/')}/{parts.netloc}/{key}"
            if endpoint
            else f"https://{parts.netloc}.s3.amazonaws.com/{key}"
        )
    msg = f"{origin}: expected {SHAPES}, got {url[:120]!r}."
    raise UsageError(msg)


def repo_of_hub(text: str) -> tuple[str, str | None, str]:
    """Split ``hf:owner/name[/path][@revision]``.

    Returns:
        ``owner/name``, the path or None, and the revision, ``main`` unless given.

    Raises:
        UsageError: If it is not of this form.
    """
    match = _HUB_REFERENCE.fullmatch(text)
    if match is None or {"", ".", ".."} & {*match["repo"].split("/"), *(match["path"] or "x").split("/")}:
        msg = f"expected hf:owner/name[/path/item.json][@revision], got {text[:120]!r}."
        raise UsageError(msg)
    return match["repo"], match["path"], match["revision"] or "main"


def hub() -> str:
    """Give the address of the Hugging Face hub."""
    return (os.environ.get(HUB_VARIABLE) or HUB).rstrip("/")


def _items_of_hub(text: str) -> tuple[str, ...]:
    repo, path, revision = repo_of_hub(text)
    base = f"{hub()}/{repo}/resolve/{quote(revision, safe='')}/"
    return _with_items(base + quote(path or ""))


def _with_items(url: str) -> tuple[str, ...]:
    """Give a URL that names an item as it is; of a folder, the items that it may hold."""
    parts = urlsplit(url)
    if parts.path.lower().endswith(".json"):
        return (url,)
    return tuple(parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl() for name in ITEMS)


def below(item: str, href: str, *, origin: str) -> str:
    """Give the URL of a file that an item names relative to itself.

    Raises:
        TrustError: If it leads out of the item's folder.
    """
    plain = unquote(unquote(href))
    if not href or plain.startswith("/") or ".." in plain.split("/") or set(plain) & set("\\:?#\0"):
        msg = f"{origin}: expected a file below the item's folder, got {href[:120]!r}."
        raise TrustError(msg)
    parts = urlsplit(item)
    folder = parts.path.rsplit("/", 1)[0]
    return parts._replace(path=f"{folder}/{quote(unquote(href.removeprefix('./')))}").geturl()
