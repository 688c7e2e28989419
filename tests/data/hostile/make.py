"""Make hostile model packages: what a stranger could publish to run code or to fill a machine."""

from __future__ import annotations

import io
import json
import pickle
import runpy
import stat
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

MODELS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "models" / "make.py")))
ROOT = "model"


class Hostile(NamedTuple):
    """A hostile package."""

    make: Callable[[Path, Path], None]
    """Writes it to a folder; what it would run creates the second path."""
    refusal: str
    """Expression that its refusal matches."""


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (code(self.marker),)


def code(marker: Path) -> str:
    """Give an expression of Python that creates a file."""
    return f"open({str(marker)!r}, 'w').close()"


class Pointwise(torch.nn.Module):
    """One convolution and a sigmoid, with a constant beside the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 1, 1)
        self.shift = torch.ones(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give probabilities."""
        return torch.sigmoid(self.convolution(x) + self.shift)


@cache
def program() -> torch.export.ExportedProgram:
    """Export the network, with a free batch and free sides."""
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1, max=8)
    rows, cols = (torch.export.Dim(name, min=1, max=64) for name in ("rows", "cols"))
    shapes = {"x": {0: batch, 2: 8 * rows, 3: 8 * cols}}
    return torch.export.export(Pointwise().eval(), (torch.zeros(2, 3, 16, 24),), dynamic_shapes=shapes)


@cache
def exported() -> bytes:
    """Give the network as torch 2.13 writes it."""
    stored = io.BytesIO()
    torch.export.save(program(), stored, pickle_protocol=2)
    return stored.getvalue()


def flat(state: Any = None) -> bytes:
    """Give the network in the layout of torch 2.7 and before."""
    from torch._export.serde.schema import SCHEMA_VERSION
    from torch._export.serde.serialize import serialize

    artifact = serialize(program())
    records = {
        "version": ".".join(map(str, SCHEMA_VERSION)).encode(),
        "serialized_exported_program.json": artifact.exported_program,
        "serialized_state_dict.pt": artifact.state_dict if state is None else saved(state),
        "serialized_constants.pt": artifact.constants,
        "serialized_example_inputs.pt": artifact.example_inputs,
    }
    return zipped(records)


def saved(value: Any) -> bytes:
    """Give what ``torch.save`` writes."""
    stored = io.BytesIO()
    torch.save(value, stored)
    return stored.getvalue()


def records() -> dict[str, bytes]:
    """Give the records of the network by their names in the archive."""
    with zipfile.ZipFile(io.BytesIO(exported())) as archive:
        root = archive.namelist()[0].split("/")[0]
        return {name.replace(root, ROOT, 1): archive.read(name) for name in archive.namelist()}


def zipped(contents: dict[str, bytes], *, compressed: bool = False) -> bytes:
    """Write an archive."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return stored.getvalue()


def package(folder: Path, data: bytes, kind: str) -> None:
    """Write a package of one member; its checksum is right."""
    spec = MODELS.tiny_spec(classes=("cloud",))
    details = MODELS.tiny_details(kinds={} if kind == "onnx" else {"member_1": kind}, architecture="hrnet_w18")
    MODELS.write_package(folder, spec, {"member_1": data}, details)


def change_item(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an item in place."""
    path = folder / "item.json"
    item = json.loads(path.read_text("utf-8"))
    change(item)
    path.write_text(json.dumps(item), "utf-8")


def _pt2(change: Callable[[dict[str, bytes], Path], None]) -> Callable[[Path, Path], None]:
    """Make a package whose `.pt2` archive was changed."""

    def make(folder: Path, marker: Path) -> None:
        contents = records()
        change(contents, marker)
        package(folder, zipped(contents), "pt2")

    return make


def _graph(change: Callable[[dict[str, Any], Path], None]) -> Callable[[Path, Path], None]:
    """Make a package whose graph was changed."""

    def make(contents: dict[str, bytes], marker: Path) -> None:
        name = f"{ROOT}/models/model.json"
        graph = json.loads(contents[name])
        change(graph, marker)
        contents[name] = json.dumps(graph).encode()

    return _pt2(make)


def _config(contents: dict[str, bytes], kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    name = f"{ROOT}/data/{kind}/model_{kind}_config.json"
    table = json.loads(contents[name])
    change(next(iter(table["config"].values())))
    contents[name] = json.dumps(table).encode()


def _pickled_weight(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/data/weights/weight_0"] = saved(Payload(marker))
    _config(contents, "weights", lambda row: row.update(use_pickle=True))


def _opaque_constant(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/data/constants/opaque_obj_0"] = pickle.dumps(Payload(marker))
    _config(contents, "constants", lambda row: row.update(path_name="opaque_obj_0", use_pickle=True))


def _custom_object(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/data/constants/custom_obj_0"] = pickle.dumps(Payload(marker))
    _config(contents, "constants", lambda row: row.update(path_name="custom_obj_0"))


def _example_inputs(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/data/sample_inputs/model.pt"] = saved(((Payload(marker),), {}))


def _old_weights(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/data/weights/model.pt"] = saved({"convolution.weight": Payload(marker)})


def _compiled(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/data/aotinductor/model/model.so"] = b"\x7fELF"


def _traversal(contents: dict[str, bytes], marker: Path) -> None:
    contents[f"{ROOT}/extra/../../../{marker.name}"] = b"x"


def _two_cases(contents: dict[str, bytes], marker: Path) -> None:
    hidden = dict(contents)
    _pickled_weight(hidden, marker)
    name = f"{ROOT}/data/weights/model_weights_config.json"
    contents[name.replace("/model_", "/MODEL_")] = hidden[name]


def _short_numbers(contents: dict[str, bytes], marker: Path) -> None:
    """Let the pickle of the example inputs name more numbers than its record holds."""
    name = f"{ROOT}/data/sample_inputs/model.pt"
    with zipfile.ZipFile(io.BytesIO(contents[name])) as archive:
        inner = {entry: archive.read(entry) for entry in archive.namelist()}
    numbers = next(entry for entry in inner if entry.endswith("data/0"))
    inner[numbers] = inner[numbers][:8]
    contents[name] = zipped(inner)


def _guards(graph: dict[str, Any], marker: Path) -> None:
    graph["guards_code"] = [code(marker)]


def _shape(graph: dict[str, Any], marker: Path) -> None:
    for meta in graph["graph_module"]["graph"]["tensor_values"].values():
        if meta["sizes"] and "as_expr" in meta["sizes"][0]:
            meta["sizes"][0]["as_expr"]["expr_str"] = code(marker)


def _hidden_shape(graph: dict[str, Any], marker: Path) -> None:
    """Hide code below a name that is elsewhere one of notes."""
    values = graph["graph_module"]["graph"]["tensor_values"]
    values["metadata"] = json.loads(json.dumps(values["x"]))
    values["metadata"]["sizes"] = [{"as_expr": {"expr_str": code(marker), "hint": None}}]


def _operation(target: str) -> Callable[[dict[str, Any], Path], None]:
    def change(graph: dict[str, Any], marker: Path) -> None:
        node = graph["graph_module"]["graph"]["nodes"][0]
        node["target"] = target
        node["inputs"] = [{"name": "filename", "arg": {"as_string": "none"}, "kind": 1}]

    return change


def _name(graph: dict[str, Any], marker: Path) -> None:
    text = json.dumps(graph["graph_module"]).replace('"name": "x"', json.dumps({"name": f"x=[{code(marker)}]"})[1:-1])
    graph["graph_module"] = json.loads(text)


def _tree(graph: dict[str, Any], marker: Path) -> None:
    context = {"default_factory_module": "antigravity", "default_factory_name": "geohash", "dict_context": []}
    leaf = {"type": "collections.defaultdict", "context": context, "children_spec": []}
    graph["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, leaf])


def _enumeration(graph: dict[str, Any], marker: Path) -> None:
    context = json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "y"})
    leaf = {"type": "builtins.dict", "context": context, "children_spec": []}
    graph["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, leaf])


def _power(graph: dict[str, Any], marker: Path) -> None:
    graph["guards_code"] = ["9**9**9**9 == 1"]


def _long_text(graph: dict[str, Any], marker: Path) -> None:
    graph["guards_code"] = ["'a' * 99999999999 == 1"]


def _long_number(graph: dict[str, Any], marker: Path) -> None:
    graph["guards_code"] = ["TruncToInt(Float('1e9999999999')) == 1"]


def _bomb(folder: Path, marker: Path) -> None:
    contents = records()
    contents[f"{ROOT}/extra/zeros"] = bytes(64 * 1024**2)
    package(folder, zipped(contents, compressed=True), "pt2")


def _link(folder: Path, marker: Path) -> None:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for name, data in records().items():
            archive.writestr(name, data)
        info = zipfile.ZipInfo(f"{ROOT}/extra/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    package(folder, stored.getvalue(), "pt2")


def _two_directories(folder: Path, marker: Path) -> None:
    """Put a hostile archive before a harmless one: readers of zip files differ in which one they see."""
    contents = records()
    _pickled_weight(contents, marker)
    package(folder, zipped(contents) + zipped(records()), "pt2")


def _lying_record(folder: Path, marker: Path) -> None:
    """Say in the directory that the last record unpacks to something else than it does."""
    data = bytearray(zipped(records()))
    entry = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, entry + 24, 12)
    package(folder, bytes(data), "pt2")


def _torchscript(folder: Path, marker: Path) -> None:
    contents = {
        f"{ROOT}/data.pkl": pickle.dumps(Payload(marker)),
        f"{ROOT}/constants.pkl": pickle.dumps(()),
        f"{ROOT}/code/__torch__.py": b"class Network(Module): ...",
        f"{ROOT}/version": b"3\n",
    }
    package(folder, zipped(contents), "pt2")


def _flat_pickle(folder: Path, marker: Path) -> None:
    package(folder, flat({"convolution.weight": Payload(marker)}), "pt2")


def _pickle_as(kind: str) -> Callable[[Path, Path], None]:
    return lambda folder, marker: package(folder, pickle.dumps(Payload(marker)), kind)


def _saved_as(kind: str) -> Callable[[Path, Path], None]:
    return lambda folder, marker: package(folder, saved(Payload(marker)), kind)


def safetensors_file(header: bytes, numbers: bytes = b"", length: int | None = None) -> bytes:
    """Write a safetensors file, with a length of its header that may be wrong."""
    return struct.pack("<Q", len(header) if length is None else length) + header + numbers


def _tensor(begin: int, end: int, count: int = 1, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [count], "data_offsets": [begin, end]}


def _safetensors(header: Any, numbers: int, length: int | None = None) -> Callable[[Path, Path], None]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda folder, _: package(folder, safetensors_file(text, bytes(numbers), length), "safetensors")


def _external_numbers(folder: Path, marker: Path) -> None:
    import onnx

    network = onnx.load_from_string(MODELS.network_bytes(3, 1, end="Sigmoid"))
    tensor = network.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    package(folder, network.SerializeToString(), "onnx")


def _cut_short(folder: Path, marker: Path) -> None:
    package(folder, MODELS.network_bytes(3, 1, end="Sigmoid")[:-20], "onnx")


def _item(change: Callable[[Path, dict[str, Any]], None]) -> Callable[[Path, Path], None]:
    """Make a package of two harmless members, and change its item."""

    def make(folder: Path, marker: Path) -> None:
        MODELS.tiny_package(folder, members=2)
        change_item(folder, lambda item: change(folder, item))

    return make


def _member(**changes: Any) -> Callable[[Path, Path], None]:
    return _item(lambda _, item: item["assets"]["member_1"].update(changes))


def _other_bytes(folder: Path, item: dict[str, Any]) -> None:
    path = folder / "member_1.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def _link_out(folder: Path, item: dict[str, Any]) -> None:
    path = folder / "member_1.onnx"
    path.rename(folder.parent / "outside.onnx")
    path.symlink_to(folder.parent / "outside.onnx")


def _gone(folder: Path, item: dict[str, Any]) -> None:
    (folder / "member_1.onnx").unlink()


def _foreign(item: dict[str, Any]) -> dict[str, Any]:
    """Make an item one that undercast did not write, which is read tolerantly."""
    for key in ("undercast:package_version", "undercast:version"):
        del item["properties"][key]
    return item


def _no_checksum(folder: Path, item: dict[str, Any]) -> None:
    del _foreign(item)["assets"]["member_1"]["file:checksum"]


def _other_classes(folder: Path, item: dict[str, Any]) -> None:
    item["assets"]["member_2"]["undercast:member"] = {"undercast:layers": ["cloud"]}


def _no_members(folder: Path, item: dict[str, Any]) -> None:
    item["assets"] = {}


def _deep_item(folder: Path, marker: Path) -> None:
    MODELS.tiny_package(folder)
    (folder / "item.json").write_text("[" * 100_000 + "]" * 100_000, "utf-8")


TENSOR = _tensor(0, 4)

HOSTILE: dict[str, Hostile] = {
    "a pickled weight in a pt2": Hostile(_pt2(_pickled_weight), r"a pickled tensor"),
    "an opaque constant in a pt2": Hostile(_pt2(_opaque_constant), r"a pickled object"),
    "a custom object in a pt2": Hostile(_pt2(_custom_object), r"a pickled object"),
    "a pickle among the example inputs of a pt2": Hostile(_pt2(_example_inputs), r"names (__builtin__|builtins).exec"),
    "a pickle of all weights in a pt2": Hostile(_pt2(_old_weights), r"names (__builtin__|builtins).exec"),
    "a pickle in the old layout of a pt2": Hostile(_flat_pickle, r"names (__builtin__|builtins).exec"),
    "example inputs of which numbers are missing": Hostile(_pt2(_short_numbers), r"numbers are not all there"),
    "code as a guard of a pt2": Hostile(_graph(_guards), r"the expression .open"),
    "code as a shape in a pt2": Hostile(_graph(_shape), r"the expression .open"),
    "code as a shape below notes in a pt2": Hostile(_graph(_hidden_shape), r"the expression .open"),
    "a guard that fills the memory": Hostile(_graph(_power), r"the expression '9\*\*9"),
    "a text that fills the memory": Hostile(_graph(_long_text), r"the expression .'a' \* 9"),
    "a number that fills the memory": Hostile(_graph(_long_number), r"the expression .TruncToInt"),
    "code as a name in a pt2": Hostile(_graph(_name), r".x=\[open.* as name"),
    "a system call as an operation of a pt2": Hostile(
        _graph(_operation("torch.os.system")), r"the operation 'torch.os.system'"
    ),
    "a file as an operation's input": Hostile(
        _graph(_operation("torch.ops.aten.from_file.default")), r"the operation 'torch.ops.aten.from_file"
    ),
    "a tree specification that imports": Hostile(_graph(_tree), r"a tree specification"),
    "an enumeration that imports": Hostile(_graph(_enumeration), r"a tree specification"),
    "a compiled library in a pt2": Hostile(_pt2(_compiled), r"compiled code"),
    "a path out of a pt2": Hostile(_pt2(_traversal), r"a record with the name"),
    "names that differ in case in a pt2": Hostile(_pt2(_two_cases), r"two records of one name"),
    "a pt2 that unpacks to far more": Hostile(_bomb, r"would unpack to"),
    "a link in a pt2": Hostile(_link, r"a link"),
    "two archives in one pt2": Hostile(_two_directories, r"a zip archive|a directory"),
    "a record that lies about its size": Hostile(_lying_record, r"lies about its size"),
    "TorchScript as pt2": Hostile(_torchscript, r"TorchScript or a pickle"),
    "a pickle as pt2": Hostile(_pickle_as("pt2"), r"no zip archive"),
    "a checkpoint as pt2": Hostile(_saved_as("pt2"), r"TorchScript or a pickle"),
    "a pickle as safetensors": Hostile(_pickle_as("safetensors"), r"no safetensors header"),
    "a checkpoint as safetensors": Hostile(_saved_as("safetensors"), r"no safetensors header"),
    "a safetensors header of 2**60 bytes": Hostile(_safetensors({"w": TENSOR}, 4, 2**60), r"no safetensors header"),
    "a safetensors header as deep as it is long": Hostile(_safetensors(b"[" * 10**6, 0), r"damaged or names"),
    "a safetensors tensor twice": Hostile(
        _safetensors(b'{"w": %(t)s, "w": %(t)s}' % {b"t": json.dumps(TENSOR).encode()}, 4), r"names a tensor twice"
    ),
    "safetensors that overlap": Hostile(_safetensors({"v": TENSOR, "w": TENSOR}, 4), r"overlap or leave a gap"),
    "safetensors with a gap": Hostile(_safetensors({"v": TENSOR, "w": _tensor(8, 12)}, 12), r"overlap or leave a gap"),
    "safetensors beyond the file": Hostile(_safetensors({"w": _tensor(0, 400, 100)}, 4), r"tensors of 400 bytes"),
    "safetensors whose shape lies": Hostile(
        _safetensors({"w": _tensor(0, 4, 2**40)}, 4), r"shape and offsets disagree"
    ),
    "safetensors of an unknown type": Hostile(_safetensors({"w": _tensor(0, 4, 1, "OBJ")}, 4), r"of the type 'OBJ'"),
    "a pickle as ONNX": Hostile(_pickle_as("onnx"), r"no ONNX network"),
    "ONNX with numbers of other files": Hostile(_external_numbers, r"external data"),
    "ONNX that is cut short": Hostile(_cut_short, r"no ONNX network, or a damaged one"),
    "a member of other bytes": Hostile(_item(_other_bytes), r"expected checksum"),
    "a member of another size": Hostile(_member(**{"file:size": 7}), r"expected 7 bytes"),
    "a size beyond the limit": Hostile(_member(**{"file:size": 2**40}), r"at most \d+ bytes"),
    "a member that is a link out of the folder": Hostile(_item(_link_out), r"a link that leads out"),
    "a member above the folder": Hostile(_member(href="../../etc/passwd"), r"inside the package folder"),
    "a member at an absolute path": Hostile(_member(href="/etc/passwd"), r"inside the package folder"),
    "a member at a file URL": Hostile(_member(href="file:///etc/passwd"), r"inside the package folder"),
    "a member that is missing": Hostile(_item(_gone), r"are missing"),
    "a member without a checksum": Hostile(_item(_no_checksum), r"declares no checksum"),
    "a member that torch.save wrote": Hostile(_member(**{"mlm:artifact_type": "torch.save"}), r"a pickle, which runs"),
    "a member that is TorchScript": Hostile(_member(**{"mlm:artifact_type": "torch.jit.save"}), r"TorchScript"),
    "members of other classes": Hostile(_item(_other_classes), r"name, version and classes"),
    "an item without members": Hostile(_item(_no_members), r"at least one asset"),
    "an item as deep as it is long": Hostile(_deep_item, r"not JSON|nests at most"),
}
"""What it is -> how it is made, and how it is refused."""
