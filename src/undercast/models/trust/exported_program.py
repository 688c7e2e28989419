"""Exported programs (`.pt2`): whether one is a graph of ATen operations and tensors and nothing that runs code.

`torch.export.load` runs code of the file in more places than its pickles: it evaluates shapes (sympy) and executes
guards as Python, writes names into Python code, imports what tree specifications name, and loads compiled libraries.
All of that is looked at here first. Layouts: one folder per archive (since torch 2.8), and flat (up to 2.7); read in
torch 2.13, `torch/export/pt2_archive/_package.py` and `torch/_export/serde/serialize.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from undercast.models.trust.archive import Archive, open_archive, refusal
from undercast.models.trust.expressions import check_expression
from undercast.models.trust.pickles import check_saved

LARGEST_JSON = 64 * 1024**2
"""Largest graph or table of weights that is read, in bytes."""

FOLDER_RECORDS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)|\.format_version"
    r"|\.storage_alignment|models/\w+\.json|data/(weights/weight|constants/tensor)_\d+"
    r"|data/weights/\w+_weights_config\.json|data/constants/\w+_constants_config\.json"
    r"|data/(weights|constants|sample_inputs)/\w+\.pt|extra/.*",
    re.ASCII,
)
"""Records of an archive since torch 2.8, below its folder. Not there: pickled objects (custom_obj_, opaque_obj_),
compiled libraries (data/aotinductor), TorchScript (code/)."""

FLAT_RECORDS = re.compile(
    r"version|serialized_exported_program\.json|serialized_(state_dict|constants|example_inputs)\.pt|extra_files/[^/]*"
)
"""Records of an archive up to torch 2.7."""

GRAPH = re.compile(r"models/\w+\.json|serialized_exported_program\.json", re.ASCII)
"""Records that hold a graph."""

CONFIG = re.compile(r"data/(weights|constants)/\w+_config\.json", re.ASCII)
"""Records that say where each tensor lies."""

OPERATIONS = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)|math\.trunc"
    r"|torch\.sym_(not|int|float|ite|max|min|sqrt)"
    r"|_operator\.(eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|mod|pow|truediv|and_|or_|getitem)",
    re.ASCII,
)
"""Operations that a graph may name."""

FORBIDDEN = ("torch.ops.aten.from_file.", "torch.ops.aten.save.")
"""Beginnings of ATen operations that open files."""

WORDS = frozenset(
    (
        *("none", "tanh", "constant", "reflect", "replicate", "circular", "zeros", "border", "same", "valid"),
        *("nearest", "linear", "bilinear", "bicubic", "trilinear", "floor", "trunc", "left", "right"),
        *("sum", "prod", "mean", "amax", "amin", "ij", "xy", "lower", "higher", "midpoint"),
    )
)
"""Words that operations take as options."""

TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
"""Containers of a network's inputs and outputs; of others torch imports what they name."""

NAME = re.compile(r"[A-Za-z0-9_.@+-]{0,500}")
"""Names; torch writes them into the Python code that it makes of a graph."""

EQUATION = re.compile(r"[A-Za-z, ]+->[A-Za-z ]*")
"""Equation of ``einsum``."""

NOTES = "metadata"
"""Field of a graph and of its nodes that holds notes of the one who made it; they are texts that nothing evaluates."""

MESSAGES = ("assert_msg", "msg")
"""Inputs of operations that are messages for people."""


def check_exported_program(data: bytes, *, origin: str) -> None:
    """Refuse a `.pt2` file that could run code when PyTorch opens it, or that is none.

    Raises:
        TrustError: If it holds more than a graph of ATen operations, tensors, and example inputs.
    """
    archive = open_archive(data, origin=origin)
    names = _names(archive)
    if not any(GRAPH.fullmatch(inner) for inner in names.values()):
        raise refusal(origin, "no exported program")
    for name, inner in names.items():
        where = f"{origin}: {inner}"
        if GRAPH.fullmatch(inner):
            _check_graph(_json(archive, name, where), where)
        elif CONFIG.fullmatch(inner):
            _check_config(_json(archive, name, where), set(names.values()), inner, where)
        elif inner.endswith(".pt") and not inner.startswith("extra"):
            check_saved(archive.read(name), origin=where)


def _names(archive: Archive) -> dict[str, str]:
    """Give each record's name below the archive's folder.

    Raises:
        TrustError: If a record is none of an exported program.
    """
    names = list(archive.records)
    root = names[0].split("/")[0] + "/"
    flat = "serialized_exported_program.json" in names
    known = FLAT_RECORDS if flat else FOLDER_RECORDS
    inner = {name: name if flat else name.removeprefix(root) for name in names}
    for name, short in inner.items():
        if not known.fullmatch(short) or not (flat or name.startswith(root)):
            raise refusal(archive.origin, f"{_described(short)} ({name[:80]})")
    return inner


def _described(inner: str) -> str:
    """Say what a record is that an exported program must not have."""
    if inner.startswith("code/") or inner in {"constants.pkl", "data.pkl"}:
        return "TorchScript or a pickle instead of an exported program"
    if "aotinductor" in inner:
        return "compiled code"
    if "custom_obj_" in inner or "opaque_obj_" in inner:
        return "a pickled object"
    return "a record that is not known"


def _json(archive: Archive, name: str, origin: str) -> Any:
    if archive.records[name].file_size > LARGEST_JSON:
        raise refusal(origin, f"more than {LARGEST_JSON} bytes of JSON")
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise refusal(origin, "damaged JSON") from error


def _check_config(config: Any, names: set[str], inner: str, origin: str) -> None:
    """Check where tensors lie: as plain bytes, in records of their own."""
    folder = inner.rsplit("/", 1)[0]
    rows = config.get("config") if isinstance(config, dict) and set(config) == {"config"} else None
    if not isinstance(rows, dict):
        raise refusal(origin, "a table of weights that is none")
    for key, row in rows.items():
        if not isinstance(row, dict) or row.get("use_pickle") is not False:
            raise refusal(origin, f"a pickled tensor (use_pickle of {key[:80]!r})")
        if f"{folder}/{row.get('path_name')}" not in names:
            raise refusal(origin, f"a tensor that is not there ({row.get('path_name')!r})")
    _check_values(config, origin)


def _check_graph(program: Any, origin: str) -> None:
    if not isinstance(program, dict):
        raise refusal(origin, "a graph that is none")
    # The keys of the ranges are shapes in words; they are only compared.
    _check_values({key: value for key, value in program.items() if key != "range_constraints"}, origin)


def _check_values(value: Any, origin: str) -> None:
    """Check every text of a graph by the key that it stands under."""
    for key, text in _texts(value):
        if key in {"expr_str", "guards_code"}:
            check_expression(text, origin=origin)
        elif key in {"in_spec", "out_spec"}:
            _check_tree(text, origin)
        elif key in {"target", "as_operator"}:
            if not OPERATIONS.fullmatch(text) or text.startswith(FORBIDDEN):
                raise refusal(origin, f"the operation {text[:80]!r}")
        elif key in {"as_string", "as_strings"}:
            if text not in WORDS and not EQUATION.fullmatch(text):
                raise refusal(origin, f"the text {text[:80]!r} as an operation's input")
        elif key in {"custom_obj_name", "class_fqn", "as_custom_obj"} or not NAME.fullmatch(text):
            raise refusal(origin, f"{text[:80]!r} as {key}")


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Give each text with the key above it; names of fields count as texts of the key ``name``."""
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        key, value = left.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, list):
            left.extend((key, inner) for inner in value)
        elif isinstance(value, Mapping):
            yield from (("name", inner) for inner in value)
            left.extend((inner, entry) for inner, entry in value.items() if not _is_free(value, inner))


def _is_free(holder: Mapping[str, Any], key: str) -> bool:
    """Tell whether what stands under a key is texts for people, and nothing else."""
    value = holder[key]
    if key == NOTES:
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    message = key == "arg" and holder.get("name") in MESSAGES
    return message and isinstance(value, dict) and set(value) == {"as_string"} and isinstance(value["as_string"], str)


def _check_tree(text: str, origin: str) -> None:
    """Check the structure of a network's inputs or outputs."""
    try:
        version, tree = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise refusal(origin, "a damaged tree specification") from error
    left = [tree]
    while left:
        node = left.pop()
        fine = isinstance(node, dict) and node.get("type") in TREES and version == 1
        context = node.get("context") if fine else None
        # A context is JSON in a text: nothing, or the keys of a dictionary.
        if not fine or not re.fullmatch(r'null|\[("[A-Za-z0-9_]*"(, )?)*\]', context or "null"):
            raise refusal(origin, "a tree specification of other than tuples, lists and dictionaries")
        left.extend(node.get("children_spec", []))
