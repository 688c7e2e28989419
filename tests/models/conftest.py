"""The published schemas of STAC and MLM, where a folder beside the real imagery holds them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

Validate: TypeAlias = Callable[[dict[str, Any]], list[str]]

CORE = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"


@pytest.fixture(scope="session")
def schemas(real_data: Path) -> Path:
    folder = real_data.parent / "mlm"
    if not folder.is_dir():
        pytest.skip(f"no folder with STAC schemas at {folder}")
    return folder


@pytest.fixture(scope="session")
def validate(schemas: Path) -> Validate:
    """Give a function that holds an item against the core schema and those of all its extensions."""
    resources = []
    for path in (*schemas.glob("stac/**/*.json"), *schemas.glob("ext/*/v*.json"), *schemas.glob("v*/schema.json")):
        schema = json.loads(path.read_text("utf-8"))
        name = schema["$id"].rstrip("#")
        # The published common.json misses a dot in its own name.
        name = name.removesuffix("json") + ".json" if name.endswith("/commonjson") else name
        resources.append((name, Resource.from_contents(schema | {"$id": name}, default_specification=DRAFT7)))
    registry: Registry[Any] = Registry().with_resources(resources)
    known = {name for name, _ in resources}

    def errors(item: dict[str, Any]) -> list[str]:
        found = []
        for name in (CORE, *(url for url in item["stac_extensions"] if url in known)):
            validator = jsonschema.Draft7Validator({"$ref": name}, registry=registry)
            found += [f"{name}: {list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(item)]
        return found

    return errors
