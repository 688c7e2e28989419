"""STAC documents: items and what leads to them (collections, catalogs, item collections), from files, http(s), S3."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from undercast._optional import require
from undercast.errors import SceneError
from undercast.readers.base import is_remote, is_unsigned

LARGEST_ITEM = 16 * 2**20
"""Bytes of JSON above which a file is not taken for a STAC document."""
LARGEST_COLLECTION = 10_000
"""Items above which a collection is refused as a whole."""
LARGEST_COLLECTION_DOCUMENTS = 1000
"""Documents (catalogs inside each other, pages of an API) above which a collection is refused as a whole."""
MEMBER_KINDS = ("FeatureCollection", "Collection", "Catalog")
"""Documents that lead to items."""

_TIMEOUT_S = 30.0
_ADDRESS = re.compile(r"/(items|collections)/[^/]+/?$|/(items|search)/?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A STAC document and where it was found."""

    href: str
    """Address in the end, after redirections."""
    content: Mapping[str, Any]
    """The JSON object."""

    @property
    def kind(self) -> str:
        """Its type: ``Feature``, ``FeatureCollection``, ``Collection`` or ``Catalog``; empty where it says none."""
        return " ".join(str(self.content.get("type") or "").split())


def is_address(source: str) -> bool:
    """Tell whether a source is named like a STAC document: JSON, or a page of an API. A part may follow after ``#``."""
    if source.startswith("/vsi"):
        return False
    bare = source.partition("#")[0]
    path = urlsplit(bare).path if is_remote(bare) else bare
    if path.lower().endswith("_mtl.json"):  # Landsat's own metadata
        return False
    return path.lower().endswith((".json", ".geojson")) or (is_remote(bare) and _ADDRESS.search(path) is not None)


def list_items(source: str) -> list[str]:
    """List the items that a document leads to, each as a source of its own; the source itself where it is an item.

    What cannot be followed (a link that is refused, a catalog that cannot be read) stands in the list under an address
    that says why when it is opened: one broken member does not hide the others.

    Raises:
        SceneError: If the document cannot be read, or leads to more items than one run should.
    """
    if "#" in source:
        return [source]
    document = read_document(source)
    if document.kind not in MEMBER_KINDS:
        return [source]
    found: dict[str, None] = {}
    followed = {source if is_remote(source) else os.path.normpath(source)}
    waiting = [(document, source)]
    while waiting:
        for address, leads_on in _members(*waiting.pop(0)):
            child = _try_document(address) if leads_on and address not in followed else None
            if child is not None:
                waiting.append((child, address))
            elif address not in followed:
                found[address] = None
            if leads_on:
                followed.add(address)
            if len(found) > LARGEST_COLLECTION or len(followed) > LARGEST_COLLECTION_DOCUMENTS:
                msg = f"{source}: expected at most {LARGEST_COLLECTION} items, got more. Narrow the search."
                raise SceneError(msg)
    if not found:
        msg = f"{source}: expected items in this {document.kind}, got none."
        raise SceneError(msg)
    return list(found)


def _members(document: Document, address: str) -> Iterator[tuple[str, bool]]:
    """List what a document leads to, and whether that leads on to items itself."""
    for place, feature in enumerate(_features(document)):
        identity = feature.get("id") if isinstance(feature, dict) else None
        known = isinstance(identity, str) and identity.isprintable()
        yield f"{address}#{identity if known else place}", False
    for relation, href in _links(document):
        if relation not in {"item", "child", "items", "next"}:
            continue
        try:
            absolute = resolve(href, document.href)
        except SceneError:
            yield f"{address}#{' '.join(href.split())}", False
            continue
        # A local address grows with each turn of a circle unless its dots are taken out.
        yield absolute if is_remote(absolute) else os.path.normpath(absolute), relation != "item"


def _try_document(address: str) -> Document | None:
    """Read a document; None where it cannot be read, which is told when its address is opened."""
    try:
        return read_document(address)
    except SceneError:
        return None


def _features(document: Document) -> list[Any]:
    features = document.content.get("features")
    return features if isinstance(features, list) else []


def _links(document: Document) -> Iterator[tuple[str, str]]:
    links = document.content.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and isinstance(link.get("href"), str) and link.get("method", "GET") == "GET":
            yield str(link.get("rel")), link["href"]


def read_item(source: str) -> Document:
    """Read an item; after ``#`` may stand which one of a document.

    Raises:
        SceneError: If it cannot be read, is none, or the document has no such item.
    """
    address, _, part = source.partition("#")
    document = read_document(address)
    if part:
        document = _part(document, part)
    if document.kind != "Feature" or not isinstance(document.content.get("assets"), dict):
        msg = f"{source}: expected a STAC item (a Feature with assets), got {document.kind or 'JSON without a type'}."
        if document.kind in MEMBER_KINDS:
            msg += " Give one of its items, or mask them all: undercast mask takes it."
        raise SceneError(msg)
    return document


def _part(document: Document, part: str) -> Document:
    """Find a member of a document by its id, its place, or the link to it."""
    for place, feature in enumerate(_features(document)):
        if isinstance(feature, dict) and part in {str(feature.get("id")), str(place)}:
            return Document(href=document.href, content=feature)
    if any(href == part for _, href in _links(document)):
        return read_document(resolve(part, document.href))
    msg = f"{document.href}: expected an item {part[:80]!r} in it, got none of that id."
    raise SceneError(msg)


def read_document(source: str) -> Document:
    """Read a STAC document.

    Raises:
        SceneError: If it is missing, too large, or not a JSON object.
        MissingDependencyError: If it lies on S3 and s3fs is not installed.
    """
    data, href = _fetch(source) if is_remote(source) else (_read_bytes(Path(source)), source)
    if len(data) > LARGEST_ITEM:
        msg = f"{source}: expected a STAC item, got more than {LARGEST_ITEM // 2**20} MiB."
        raise SceneError(msg)
    try:
        content = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        msg = f"{source}: expected a STAC item, got what is not text (UTF-8)."
        raise SceneError(msg) from error
    # RecursionError: brackets inside each other without end.
    except (ValueError, RecursionError) as error:
        msg = f"{source}: expected a STAC item, got text that is not JSON ({' '.join(str(error).split())})."
        raise SceneError(msg) from error
    if not isinstance(content, dict):
        msg = f"{source}: expected a STAC item (a Feature with assets), got {type(content).__name__}."
        raise SceneError(msg)
    return Document(href=href, content=content)


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_ITEM + 1)
    except FileNotFoundError as error:
        msg = f"{path} does not exist. Check the path."
        raise SceneError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise SceneError(msg) from error


def _fetch(source: str) -> tuple[bytes, str]:
    """Read bytes over http(s) or from S3, and say where they were found in the end."""
    scheme = urlsplit(source).scheme
    if scheme == "s3":
        return _fetch_s3(source), source
    if scheme not in {"http", "https"}:
        msg = f"{source}: STAC documents are read from files, http(s) and s3. Give its https address, or download it."
        raise SceneError(msg)
    try:
        with urllib.request.urlopen(source, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (scheme checked above)
            return answer.read(LARGEST_ITEM + 1), answer.geturl()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        msg = f"{source} cannot be read: {' '.join(str(reason).split())}."
        raise SceneError(msg) from error


def _fetch_s3(source: str) -> bytes:
    s3fs = require("s3fs", extra="s3", purpose=f"read {source}")
    failures = require("botocore.exceptions", extra="s3", purpose=f"read {source}").BotoCoreError
    try:
        with s3fs.S3FileSystem(anon=is_unsigned(), skip_instance_cache=True).open(source, "rb") as file:
            return bytes(file.read(LARGEST_ITEM + 1))
    except (OSError, ValueError, failures) as error:
        msg = (
            f"{source} cannot be read: {' '.join(str(error).split()).rstrip('.')}."
            " Set AWS credentials, or AWS_NO_SIGN_REQUEST=YES for a public bucket."
        )
        raise SceneError(msg) from error


def resolve(href: str, base: str) -> str:
    """Make an address absolute.

    A document from the network leads to the network only, never to a file of this machine.

    Raises:
        SceneError: If it would lead elsewhere.
    """
    if not href.isprintable():
        msg = f"{base}: expected an address, got {href[:80]!r}."
        raise SceneError(msg)
    try:
        parts = urlsplit(href)
    except ValueError as error:
        msg = f"{base}: expected an address, got {href[:80]!r} ({error})."
        raise SceneError(msg) from error
    if is_remote(base):
        absolute = href if parts.scheme else _joined(base, href)
        if not is_remote(absolute):
            msg = f"{base}: {href} leads from the network to {parts.scheme}:, which is refused."
            raise SceneError(msg)
        return absolute
    if parts.scheme == "file":
        return url2pathname(parts.path)
    return href if is_remote(href) or href.startswith("/vsi") else str(Path(base).parent / href)


def _joined(base: str, href: str) -> str:
    """Join addresses of any scheme; urljoin knows those of the web only."""
    scheme, _, rest = base.partition("://")
    return scheme + urljoin(f"http://{rest}", href).removeprefix("http")
