"""Fetch: a package that lies elsewhere becomes a folder in the cache: whole, pinned, and never fetched twice."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from undercast.errors import DownloadError, OutputError, TrustError, UsageError
from undercast.models.documents import LARGEST_ITEM, parse_json
from undercast.models.fetch.cache import cache_folder
from undercast.models.fetch.download import download, fetch_bytes, part_of
from undercast.models.fetch.locks import locked
from undercast.models.fetch.pins import Pin, changed_error, changed_files, is_complete, read_pins, write_pin
from undercast.models.fetch.references import Reference, below, https_of, parse_reference
from undercast.models.fetch.transport import NotThereError, Patience, Wanted
from undercast.models.members import MODEL_ROLE, local_name
from undercast.models.package import DEFAULT_MODEL, ITEM, ModelPackage, find_package, read_package
from undercast.models.table import Table
from undercast.models.trust.checksums import check_multihash, file_multihash, multihash
from undercast.models.trust.paths import confined_path
from undercast.models.trust.weights import measured

log = logging.getLogger(__name__)

PACKAGES = "packages"
"""Folder of the cache that holds packages."""

NEVER_FETCHED = frozenset({"code", "mlm:source_code", "mlm:container", "mlm:training"})
"""Roles of assets that undercast has no use for; code of a package is never executed."""

MOST_ASSETS = 256
"""Assets that are fetched, at most."""

LARGEST_PACKAGE = 16 * 1024**3
"""Largest package that is fetched, in bytes."""

Told = Callable[[str, int, int], None]
"""Is told which file is fetched, how many bytes of it are there, and how many there will be (0: not known)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """How a package is fetched."""

    update: bool = False
    """Whether a package that changed since it was first fetched is taken."""
    allow_unverified: bool = False
    """Whether weights without a checksum are taken."""
    patience: Patience = field(default_factory=Patience)
    """How long a server is waited for."""
    progress: Told | None = None
    """Is told how the download goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A package in the cache."""

    item: Path
    """Its item."""
    url: str
    """Where the item came from."""
    fetched: tuple[str, ...]
    """Files that were fetched now; the others were there."""
    left: tuple[str, ...] = ()
    """Assets that were not fetched, because undercast has no use for them or could not get them."""


def local_item(name: str | Path = DEFAULT_MODEL, options: PullOptions | None = None) -> tuple[Path, str | None]:
    """Find a package's item on this machine; fetch it where it is a reference that the cache does not hold.

    A reference that the cache holds is not asked for again: what was first fetched is what is used.

    Args:
        name: As ``find_package`` takes it, or a reference (``https://``, ``s3://``, ``hf:``).
        options: How it is fetched.

    Returns:
        The item's path, and the URL that it came from; None where it is no reference.

    Raises:
        UndercastError: As ``find_package`` and ``pull`` do.
    """
    reference = parse_reference(name) if isinstance(name, str) else None
    if reference is None:
        return find_package(name), None
    pin = read_pins(cache_folder()).get(reference.text)
    if pin is not None and is_complete(cache_folder(), pin):
        # Weights are compared with the item's checksums when they are opened; without these, with the lock file here.
        unverified = options is not None and options.allow_unverified
        if changed := changed_files(cache_folder(), pin, None if unverified else (ITEM,)):
            raise changed_error(reference.text, pin, f"{changed[0]} in the cache")
        return cache_folder() / pin.folder / ITEM, pin.url
    pulled = pull(reference.text, options)
    return pulled.item, pulled.url


def open_package(name: str | Path = DEFAULT_MODEL, options: PullOptions | None = None) -> ModelPackage:
    """Read a package of this machine, or of a reference; its weights are not opened.

    Args:
        name: As ``local_item`` takes it.
        options: How it is fetched, and whether weights without a checksum are taken: those get the checksum that
            their files have, and the package says that it is not verified.

    Raises:
        UndercastError: As ``local_item`` and ``read_package`` do.
    """
    item, source = local_item(name, options)
    # What follows "?" may be a key to the file, and the source is written into outputs.
    package = replace(read_package(item), source=None if source is None else source.partition("?")[0])
    if options is None or not options.allow_unverified:
        return package
    return replace(package, members=tuple(measured(member) for member in package.members))


def pull(text: str, options: PullOptions | None = None) -> Pulled:
    """Fetch a package to the cache, or compare the one that is there with its source.

    Args:
        text: Reference.
        options: How.

    Raises:
        UsageError: If it is no reference.
        DownloadError: If a server does not give it, or the network is forbidden.
        TrustError: If it changed since it was first fetched, contradicts itself, has no checksums, or leads elsewhere.
        OutputError: If the cache cannot be written.
    """
    chosen = options or PullOptions()
    reference = parse_reference(text)
    if reference is None:
        msg = f"expected a reference such as https://.../item.json or hf:owner/name, got {text!r}."
        raise UsageError(msg)
    cache = cache_folder()
    key = hashlib.sha256(reference.items[0].encode()).hexdigest()[:16]
    try:
        with locked(cache / "locks" / f"{key}.lock"):
            return _pull(reference, cache, key, chosen)
    except OSError as error:
        if isinstance(error, DownloadError | OutputError):
            raise
        msg = f"cannot write to the cache {cache}: {error.strerror or error}. Name another folder with UNDERCAST_CACHE."
        raise OutputError(msg) from error


def _pull(reference: Reference, cache: Path, key: str, options: PullOptions) -> Pulled:
    pin = read_pins(cache).get(reference.text)
    url, item = _fetch_item(reference, options.patience)
    held = None if pin is None or options.update else pin
    if held is not None and held.files.get(ITEM) != multihash(item):
        raise changed_error(reference.text, held, "its item")
    wanted, left = _plan(item, url, options)
    folder = f"{PACKAGES}/{_name(url, item)}"
    told_by_item = all(file.checksum is not None for file, _ in wanted.values())
    if (held or told_by_item) and pin is not None and pin.folder == folder and not changed_files(cache, pin):
        return Pulled(item=cache / folder / ITEM, url=url, fetched=(), left=left)
    stage = cache / PACKAGES / f".{key}-{multihash(url.encode() + item)[-16:]}"
    for old in (cache / PACKAGES).glob(f".{key}-*"):
        if old != stage:
            shutil.rmtree(old, ignore_errors=True)
    stage.mkdir(parents=True, exist_ok=True)
    (stage / ITEM).write_bytes(item)
    files, missing = _fetch_files(wanted, stage, cache, options)
    if held is not None:
        _compare(reference, held, files)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    new = Pin(url=url, folder=folder, fetched=now, files={ITEM: multihash(item), **files})
    with locked(cache / "locks" / "packages.lock"):  # two references may name one package
        if changed_files(cache, new):
            shutil.rmtree(cache / folder, ignore_errors=True)
            stage.rename(cache / folder)
    shutil.rmtree(stage, ignore_errors=True)
    write_pin(cache, reference.text, new)
    return Pulled(item=cache / folder / ITEM, url=url, fetched=(ITEM, *files), left=(*left, *missing))


def _fetch_item(reference: Reference, patience: Patience) -> tuple[str, bytes]:
    """Fetch the item from the first place that has it."""
    name = f"model {reference.text}"
    for url in reference.items[:-1]:
        with suppress(NotThereError):
            return url, fetch_bytes(Wanted(url=url, name=name, limit=LARGEST_ITEM), patience)
    url = reference.items[-1]
    return url, fetch_bytes(Wanted(url=url, name=name, limit=LARGEST_ITEM), patience)


def _plan(item: bytes, url: str, options: PullOptions) -> tuple[dict[str, tuple[Wanted, bool]], tuple[str, ...]]:
    """Choose what to fetch, before anything is.

    Returns:
        File in the package's folder -> what to fetch, and whether the package is nothing without it; and the assets
        that are left.
    """
    table = Table(values=parse_json(item, origin=url), origin=url)
    assets = table.table("assets")
    wanted: dict[str, tuple[Wanted, bool]] = {}
    left, unknown = [], 0
    for key in assets.values:
        asset = assets.table(key)
        roles = set(asset.texts("roles", default=()))
        needed = MODEL_ROLE in roles
        if roles & NEVER_FETCHED and not needed:
            left.append(key)
            continue
        name, file = _wanted(asset, key, url)
        if name.casefold() == ITEM and not needed:  # another item of the same package; this one has its name
            left.append(key)
            continue
        if name.casefold() in {ITEM, *map(str.casefold, wanted)}:
            raise asset.wrong(key="href", expected="a file of its own for each asset", got=f"{name} twice")
        wanted[name] = file, needed
        unknown += needed and file.checksum is None
    total = sum(file.size or 0 for file, _ in wanted.values())
    members = sum(needed for _, needed in wanted.values())
    if not members or len(wanted) > MOST_ASSETS or total > LARGEST_PACKAGE:
        expected = f"assets with the role {MODEL_ROLE}, {MOST_ASSETS} files or less, {LARGEST_PACKAGE} bytes or less"
        raise table.wrong(key="assets", expected=expected, got=f"{members} of {len(wanted)} files, {total} bytes")
    if unknown and not options.allow_unverified:
        msg = (
            f"{url}: {unknown} assets with weights declare no checksum (file:checksum), so nothing can be verified."
            " If you trust where they come from, say so with --allow-unverified."
        )
        raise TrustError(msg)
    return wanted, tuple(left)


def _wanted(asset: Table, key: str, url: str) -> tuple[str, Wanted]:
    """Give the file of an asset in the package's folder, and where it is fetched from."""
    href, origin = asset.text("href"), f"{asset.origin}: href"
    checksum = asset.optional_text("file:checksum")
    if "://" in href:
        name = local_name(href, origin=origin)
        try:
            source = https_of(href, origin=origin)
        except UsageError as error:
            raise TrustError(str(error)) from error
    else:
        source, name = below(url, href, origin=origin), href
    if url.startswith("https:") and not source.startswith("https:"):
        msg = f"{origin}: expected an https URL, as the item's own, got {href[:120]!r}."
        raise TrustError(msg)
    confined_path(name, cache_folder(), origin=origin)
    return PurePosixPath(name).as_posix(), Wanted(
        url=source,
        name=f"asset {key}",
        size=None if asset.values.get("file:size") is None else asset.integer("file:size"),
        checksum=None if checksum is None else check_multihash(checksum, origin=asset.origin),
    )


def _fetch_files(
    wanted: Mapping[str, tuple[Wanted, bool]], stage: Path, cache: Path, options: PullOptions
) -> tuple[dict[str, str], list[str]]:
    """Fetch files that are not there yet.

    Returns:
        File -> its checksum; and the names of assets that could not be fetched and are not needed.
    """
    there = _known_files(cache)
    files, missing, left = {}, [], LARGEST_PACKAGE
    for name, (file, needed) in wanted.items():
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.checksum is not None and _is_there(target, file.checksum, there):
            files[name] = file.checksum
            left -= target.stat().st_size
            continue
        bounded = replace(file, limit=min(file.limit, left))
        try:
            files[name] = download(bounded, target, options.patience, progress=_telling(options.progress, name))
            there[files[name]] = target
            left -= target.stat().st_size
        except DownloadError as error:
            if needed:
                raise
            log.warning("%s is left out: %s", name, error)
            part_of(target).unlink(missing_ok=True)
            missing.append(name)
    return files, missing


def _telling(told: Told | None, name: str) -> Callable[[int, int], None] | None:
    return None if told is None else lambda there, size: told(name, there, size)


def _known_files(cache: Path) -> dict[str, Path]:
    """Give the files of all pinned packages by their checksums."""
    return {
        checksum: cache / pin.folder / name for pin in read_pins(cache).values() for name, checksum in pin.files.items()
    }


def _is_there(target: Path, checksum: str, known: Mapping[str, Path]) -> bool:
    """Tell whether a file was fetched before; one of another package in the cache is taken if it is what it was."""
    if target.is_file() and file_multihash(target) == checksum:
        return True
    source = known.get(checksum)
    if source is None or not source.is_file() or file_multihash(source) != checksum:
        return False
    target.unlink(missing_ok=True)
    with suppress(OSError):  # no links on this file system
        os.link(source, target)
        return True
    shutil.copyfile(source, target)
    return True


def _compare(reference: Reference, pin: Pin, files: Mapping[str, str]) -> None:
    """Hold what was fetched again against what was fetched first."""
    for name, checksum in files.items():
        if pin.files.get(name, checksum) != checksum:
            raise changed_error(reference.text, pin, name)


def _name(url: str, item: bytes) -> str:
    """Name a package's folder: for a person, and by what it is and where it came from."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", url.partition("://")[2].partition("?")[0]).strip("-")[-60:]
    return f"{words}-{multihash(url.encode() + item)[-16:]}"
