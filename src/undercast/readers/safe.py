"""SAFE: the files and the metadata of a Sentinel-2 product, as folder, zip or single granule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from undercast.errors import SceneError
from undercast.readers.containers import Container, is_archive, open_container
from undercast.readers.xml import optional_text, read_xml, text

_PRODUCT = re.compile(r"^(MTD_MSIL(1C|2A)|S2[A-Z]_\w{4}_MTD_SAFL(1C|2A)_.*)\.xml$")
_GRANULE = re.compile(r"^(MTD_TL|S2[A-Z]_\w{4}_MTD_L(1C|2A)_TL_.*)\.xml$")
_OTHER = re.compile(r"^(S1[A-Z]_|S3[A-Z]_|S2[A-Z]_(MSIL0|MSIL1A|MSIL1B|OPER_PRD_L0|OPER_PRD_L1[AB]))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """Metadata of a product and of its one granule."""

    files: Container
    """Where the files are."""
    product: Element | None
    """Product metadata; None where there is a granule alone."""
    granule: Element
    """Granule metadata."""
    folder: str
    """Folder of the granule inside the container, with ``/`` at its end; empty: the container itself."""
    origin: str
    """What it is, for messages."""

    def error(self, message: str) -> SceneError:
        """Make the error for what is wrong with it."""
        return SceneError(f"{self.origin}: {message}")


def is_safe(source: str) -> bool:
    """Tell whether a source is a SAFE folder or zip, a metadata file or a granule of Sentinel-2."""
    path = Path(source)
    if path.name.upper().endswith((".SAFE", ".SAFE.ZIP")):
        return True
    if path.is_dir():
        return any(_PRODUCT.match(entry.name) or _GRANULE.match(entry.name) for entry in path.glob("*.xml"))
    if _PRODUCT.match(path.name) or _GRANULE.match(path.name):
        return path.is_file()
    return bool(is_archive(path) and path.name.startswith("S2") and path.is_file())


def find_safe(source: str) -> Safe:
    """Find the metadata of a source: the product's, and those of its one granule.

    Raises:
        SceneError: If it is missing, damaged, of another kind, or holds several granules.
    """
    path = Path(source)
    if _OTHER.match(path.name):
        msg = f"{source}: expected a Sentinel-2 L1C or L2A product, got another kind (by its name)."
        raise SceneError(msg)
    if not path.exists():
        msg = f"{source} does not exist. Check the path."
        raise SceneError(msg)
    if path.is_file() and not is_archive(path):
        path = path.parent
    if (
        path.is_dir()
        and path.parent.name == "GRANULE"
        and any(_is_product(entry) for entry in path.parents[1].glob("*"))
    ):
        inside = f"GRANULE/{path.name}/"
        return _read(open_container(path.parents[1]), source, inside)
    return _read(open_container(path), source, None)


def _is_product(path: Path) -> bool:
    return bool(_PRODUCT.match(path.name))


def _read(files: Container, source: str, inside: str | None) -> Safe:
    products = [name for name in files.names if _PRODUCT.match(PurePosixPath(name).name)]
    granules = [name for name in files.names if _GRANULE.match(PurePosixPath(name).name)]
    if inside is not None:
        granules = [name for name in granules if name.startswith(inside)]
    if not granules:
        what = "nothing of it" if not products else "no granule metadata (MTD_TL.xml)"
        msg = f"{source}: expected a Sentinel-2 L1C or L2A product, got {what}. Is it complete?"
        raise SceneError(msg)
    if len(granules) > 1:
        named = ", ".join(sorted(PurePosixPath(name).parent.name for name in granules)[:3])
        msg = f"{source} holds {len(granules)} granules ({named}, ...). Give one of their folders in GRANULE."
        raise SceneError(msg)
    granule = granules[0]
    folder = granule.rpartition("/")[0]
    return Safe(
        files=files,
        product=read_xml(files.read(products[0]), origin=f"{source}: {products[0]}") if products else None,
        granule=read_xml(files.read(granule), origin=f"{source}: {granule}"),
        folder=f"{folder}/" if folder else "",
        origin=source,
    )


def baseline_text(product: Safe) -> str:
    """Give the processing baseline as it is written, such as ``05.10``; a granule alone has it in its name."""
    if product.product is not None:
        return text(product.product, ".//PROCESSING_BASELINE", origin=product.origin)
    tile = text(product.granule, ".//TILE_ID", origin=product.origin)
    return tile.rpartition("_N")[2]


def baseline_of(product: Safe) -> float:
    """Give the processing baseline as a number.

    Raises:
        SceneError: If it is none.
    """
    written = baseline_text(product)
    if not re.fullmatch(r"\d\d\.\d\d", written):
        raise product.error(f"expected a processing baseline such as 05.10, got {written[:20]!r}.")
    return float(written)


def name_of(product: Safe) -> str:
    """Give the product's name, or the granule's where it is alone."""
    uri = None if product.product is None else optional_text(product.product, ".//PRODUCT_URI")
    name = PurePosixPath(uri or product.folder.rstrip("/") or product.files.path.name).name
    return re.sub(r"(\.SAFE|\.zip)+$", "", name, flags=re.IGNORECASE) or "scene"
