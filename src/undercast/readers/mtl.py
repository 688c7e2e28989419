"""MTL: the metadata of Landsat products, as text, XML or JSON, read to groups of keys and values.

Products of level 2 of Collection 1 have metadata of their own (ESPA), which are read to the same groups.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from undercast.errors import SceneError
from undercast.readers.xml import optional_text, read_xml, to_number

SURFACE = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
"""Group with the coefficients of level 2."""
FILL = "FILL_VALUE"
"""Key, in that group, of the digital number of fill, where it is not 0."""
MOST_LINES = 20_000
"""Lines above which a text is not taken for metadata."""


_SURFACE_BAND = re.compile(r"sr_band(\d)")
_ESPA_KEYS = {
    "SPACECRAFT_ID": "satellite",
    "SENSOR_ID": "instrument",
    "DATE_ACQUIRED": "acquisition_date",
    "SCENE_CENTER_TIME": "scene_center_time",
}
"""Key of an MTL -> element of ESPA's metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mtl:
    """Metadata of a Landsat product."""

    groups: Mapping[str, Mapping[str, str]]
    """Group -> key -> value, all as texts."""
    origin: str
    """What it is, for messages."""

    def find(self, key: str, *groups: str) -> str | None:
        """Find a value: in these groups, in their order, or in any where none is named; None where there is none."""
        for group in groups or self.groups:
            if key in self.groups.get(group, {}):
                return self.groups[group][key]
        return None

    def text(self, key: str, *groups: str) -> str:
        """Read a value.

        Raises:
            SceneError: If there is none.
        """
        found = self.find(key, *groups)
        if found is None:
            where = f" in {' or '.join(groups)}" if groups else ""
            msg = f"{self.origin}: expected {key}{where}, got none. Is it the MTL file of a Landsat product?"
            raise SceneError(msg)
        return found

    def number(self, key: str, *groups: str) -> float:
        """Read a finite number.

        Raises:
            SceneError: If there is none.
        """
        return to_number(self.text(key, *groups), key, origin=self.origin)


def read_mtl(data: bytes, *, suffix: str, origin: str) -> Mtl:
    """Read metadata.

    Args:
        data: The file.
        suffix: ``.txt``, ``.xml`` or ``.json``.
        origin: What it is, for messages.

    Raises:
        SceneError: If it is damaged or of another kind.
    """
    groups = {".xml": _from_xml, ".json": _from_json}.get(suffix.lower(), _from_text)(data, origin)
    if not groups:
        msg = f"{origin}: expected groups of metadata (GROUP = ...), got none. Is it truncated?"
        raise SceneError(msg)
    return Mtl(groups=groups, origin=origin)


def _from_text(data: bytes, origin: str) -> dict[str, dict[str, str]]:
    lines = data.decode("utf-8", "replace").splitlines()
    if len(lines) > MOST_LINES:
        msg = f"{origin}: expected metadata, got more than {MOST_LINES} lines."
        raise SceneError(msg)
    groups: dict[str, dict[str, str]] = {}
    name, ended = "", False
    for line in lines:
        key, separator, value = (part.strip() for part in line.partition("="))
        if key == "END":
            ended = True
            break
        if separator and key == "GROUP":
            name = value
        elif separator and key != "END_GROUP":
            groups.setdefault(name, {})[key] = value.strip('"')
    if not ended:
        msg = f"{origin}: expected metadata up to END, got a file that stops before. Download it again."
        raise SceneError(msg)
    return groups


def _from_xml(data: bytes, origin: str) -> dict[str, dict[str, str]]:
    root = read_xml(data, origin=origin)
    if root.tag == "espa_metadata":
        return _from_espa(root, origin)
    return {group.tag: {row.tag: (row.text or "").strip() for row in group} for group in root}


def _from_espa(root: Element, origin: str) -> dict[str, dict[str, str]]:
    """Give what ESPA's metadata say in the words of an MTL.

    Source: ESPA internal metadata schema, versions 1.2 and 2.0; Landsat 4-7 and 8 Collection 1 surface reflectance
    product guides.
    """
    files, surface = {"COLLECTION_NUMBER": "01"}, {}
    for row in root.iter("band"):
        name, file = row.get("name", ""), optional_text(row, "file_name")
        number = _SURFACE_BAND.fullmatch(name)
        if file is not None and name == "pixel_qa":
            files["FILE_NAME_BAND_QUALITY"] = file
        elif file is not None and number is not None:
            files[f"FILE_NAME_BAND_{number[1]}"] = file
            surface[f"REFLECTANCE_MULT_BAND_{number[1]}"] = row.get("scale_factor", "")
            surface[f"REFLECTANCE_ADD_BAND_{number[1]}"] = row.get("add_offset", "0")
            surface[FILL] = row.get("fill_value", "")
    sun = root.find(".//solar_angles")
    zenith, azimuth = ("", "") if sun is None else (sun.get("zenith", ""), sun.get("azimuth", ""))
    files |= {
        key: found
        for key, path in _ESPA_KEYS.items()
        if (found := optional_text(root, f"global_metadata/{path}")) is not None
    }
    elevation = 90.0 - to_number(zenith, "solar zenith", origin=origin)
    return {
        "PRODUCT_METADATA": files,
        "IMAGE_ATTRIBUTES": {"SUN_ELEVATION": str(elevation), "SUN_AZIMUTH": azimuth},
        SURFACE: surface,
    }


def _from_json(data: bytes, origin: str) -> dict[str, dict[str, str]]:
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"{origin}: expected JSON, got what is truncated or none ({str(error)[:60]})."
        raise SceneError(msg) from error
    while isinstance(document, dict) and len(document) == 1:
        (document,) = document.values()
    if not isinstance(document, dict):
        msg = f"{origin}: expected a JSON object of groups, got {type(document).__name__}."
        raise SceneError(msg)
    return {
        str(name): {str(key): str(value) for key, value in rows.items()}
        for name, rows in document.items()
        if isinstance(rows, dict)
    }
