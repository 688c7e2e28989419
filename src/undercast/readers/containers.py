"""Containers: the files of a product, in a folder, a zip or a tar, read where they are; nothing is unpacked."""

from __future__ import annotations

import itertools
import os
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from undercast.errors import SceneError
from undercast.readers.xml import LARGEST_XML

MOST_FILES = 20_000
"""Files above which a container is not taken for a product."""

_ARCHIVES: dict[str, Literal["zip", "tar"]] = {
    ".zip": "zip",
    ".tar": "tar",
    ".tgz": "tar",
    ".tar.gz": "tar",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Where the files of a product are."""

    path: Path
    """Folder or archive."""
    kind: Literal["folder", "zip", "tar"]
    """What it is."""
    names: tuple[str, ...]
    """Files in it, relative, with ``/``, sorted."""

    def gdal(self, name: str) -> str:
        """Give GDAL's name of a file."""
        if self.kind == "folder":
            return str(self.path / name)
        return f"/vsi{self.kind}/{self.path.absolute().as_posix()}/{name}"

    def read(self, name: str) -> bytes:
        """Read a metadata file.

        Raises:
            SceneError: If it cannot be read, or is too large for metadata.
        """
        origin = f"{self.path}: {name}"
        try:
            data = b"".join(_pieces(self, name))
        except (OSError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
            msg = f"{origin} cannot be read: {' '.join(str(error).split())}. Is the product complete?"
            raise SceneError(msg) from error
        # zlib's own error has no base that says so; NotImplementedError: a compression that Python lacks.
        except Exception as error:
            msg = f"{origin} cannot be unpacked: {type(error).__name__} {' '.join(str(error).split())}."
            raise SceneError(msg) from error
        if len(data) > LARGEST_XML:
            msg = f"{origin}: expected metadata, got more than {LARGEST_XML // 2**20} MiB."
            raise SceneError(msg)
        return data


def _pieces(container: Container, name: str) -> Iterator[bytes]:
    if container.kind == "folder":
        with (container.path / name).open("rb") as opened:
            yield opened.read(LARGEST_XML + 1)
    elif container.kind == "zip":
        with zipfile.ZipFile(container.path) as archive, archive.open(name) as member:
            yield member.read(LARGEST_XML + 1)
    else:
        with tarfile.open(container.path) as tar:
            file = tar.extractfile(name if name in tar.getnames() else f"./{name}")
            yield file.read(LARGEST_XML + 1) if file is not None else b""


def is_archive(path: Path) -> bool:
    """Tell from its name whether a file is an archive that can be looked into."""
    return _archive_kind(path) is not None


def _archive_kind(path: Path) -> Literal["zip", "tar"] | None:
    name = path.name.lower()
    return next((kind for suffix, kind in _ARCHIVES.items() if name.endswith(suffix)), None)


def open_container(path: Path) -> Container:
    """List the files of a folder or an archive; links and names that lead out are left out.

    Raises:
        SceneError: If it cannot be read, is damaged, or holds far too many files.
    """
    kind = "folder" if path.is_dir() else _archive_kind(path)
    if kind is None:
        msg = f"{path}: expected a folder, a .zip or a .tar, got another file."
        raise SceneError(msg)
    try:
        listed = {"folder": _walk, "zip": _zip_names, "tar": _tar_names}[kind](path)
        names = list(itertools.islice(listed, MOST_FILES + 1))
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, ValueError) as error:
        msg = f"{path} cannot be read as a {kind}: {' '.join(str(error).split())}. Was it downloaded whole?"
        raise SceneError(msg) from error
    except Exception as error:  # zlib.error
        msg = f"{path} is damaged: {type(error).__name__} {' '.join(str(error).split())}. Download it again."
        raise SceneError(msg) from error
    if len(names) > MOST_FILES:
        msg = f"{path}: expected a product, got more than {MOST_FILES} files."
        raise SceneError(msg)
    return Container(path=path, kind=kind, names=tuple(sorted(name for name in names if _inside(name))))


def _walk(folder: Path) -> Iterator[str]:
    for root, _, files in os.walk(folder, followlinks=False):
        for name in files:
            yield (Path(root) / name).relative_to(folder).as_posix()


def _zip_names(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        yield from (info.filename for info in archive.infolist() if not info.is_dir())


def _tar_names(path: Path) -> Iterator[str]:
    with tarfile.open(path) as archive:
        yield from (member.name.removeprefix("./") for member in archive if member.isfile())


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
