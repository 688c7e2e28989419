"""Pickles: whether one rebuilds tensors and plain values and nothing else, found out without running it."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

from undercast.errors import TrustError
from undercast.models.trust.archive import open_archive, refusal

ITEM_BYTES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
"""Storage class of torch -> bytes of an element."""

ALLOWED = frozenset(
    {
        ("collections", "OrderedDict"),
        ("torch", "Size"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        *(("torch", name) for name in ITEM_BYTES),
    }
)
"""Globals, module and name, that a file of plain tensors needs; torch makes tensors of them and runs nothing else."""

OPCODES = frozenset(
    (
        *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID"),
        *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    )
)
"""Operations of a pickle of protocol 2, which torch writes, that plain values need."""

LARGEST_PICKLE = 64 * 1024**2
"""Largest pickle that is looked at, in bytes; the numbers of tensors lie outside it."""

STORAGE_FIELDS = 5
"""Fields of a reference to a storage: the word, class, key, place, number of elements."""


class _Inert:
    """Stands for everything that a pickle names: can be called and filled, and does nothing."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __call__(self, *_: object) -> _Inert:
        return _Inert()

    def __setitem__(self, key: object, value: object) -> None:
        """Take an entry and forget it."""

    def __setstate__(self, state: object) -> None:
        """Take a state and forget it."""


class _Reader(pickle.Unpickler):
    """Follows a pickle without importing or calling what it names."""

    def __init__(self, file: io.BytesIO, storage: Callable[[object], None], origin: str) -> None:
        super().__init__(file)
        self._storage = storage
        self._origin = origin

    def find_class(self, module: str, name: str) -> Any:
        """Give a stand-in for a global of the list, and refuse every other."""
        if (module, name) not in ALLOWED:
            raise refusal(self._origin, f"a pickle that names {module}.{name}, which could run code")
        return _Inert(name)

    def persistent_load(self, pid: object) -> _Inert:
        """Check a reference to the numbers of a tensor."""
        self._storage(pid)
        return _Inert()


def check_saved(data: bytes, *, origin: str) -> None:
    """Check what ``torch.save`` wrote: tensors and plain values only, whose numbers are there.

    ``torch.export.load`` opens such records with pickle (weights_only=False after a first failure).

    Args:
        data: The record; empty where nothing was saved.
        origin: File and record, for messages.

    Raises:
        TrustError: If it holds anything else.
    """
    if not data:
        return
    archive = open_archive(data, origin=origin)
    root = next(iter(archive.records)).split("/")[0]
    places = {name: info.file_size for name, info in archive.records.items()}
    for name in places:
        if not _is_saved_name(name, root):
            raise refusal(origin, f"a record {name}, as TorchScript or another program would")
    pickled = f"{root}/data.pkl"
    if pickled not in places or places[pickled] > LARGEST_PICKLE:
        raise refusal(origin, "no data.pkl, or one that is too large")
    check_pickle(archive.read(pickled), lambda pid: _check_storage(pid, places, root, origin), origin=origin)


def check_pickle(data: bytes, storage: Callable[[object], None], *, origin: str) -> None:
    """Check a pickle: plain values, and globals of ``ALLOWED``.

    Args:
        data: The pickle.
        storage: Is given each reference to data outside the pickle; raises where it does not like it.
        origin: File and record, for messages.

    Raises:
        TrustError: If it holds anything else, or is damaged.
    """
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name not in OPCODES:
                raise refusal(origin, f"a pickle with the operation {opcode.name}")
            if opcode.name == "LONG_BINPUT" and int(argument or 0) > len(data):
                raise refusal(origin, "a pickle that would fill the memory")
        _Reader(io.BytesIO(data), storage, origin).load()
    except TrustError:
        raise
    except (ValueError, pickle.UnpicklingError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise refusal(origin, f"a damaged pickle ({error})") from error
    except (MemoryError, RecursionError, OverflowError) as error:
        raise refusal(origin, "a pickle that would fill the memory") from error


def _is_saved_name(name: str, root: str) -> bool:
    """Tell whether ``torch.save`` writes a record of this name."""
    if not name.startswith(f"{root}/"):
        return False
    inner = name.removeprefix(f"{root}/")
    known = {"data.pkl", "byteorder", "version", ".format_version", ".storage_alignment", ".data/serialization_id"}
    return inner in known or (inner.startswith("data/") and inner.removeprefix("data/").isdecimal())


def _check_storage(pid: object, places: dict[str, int], root: str, origin: str) -> None:
    """Compare the number of elements of a tensor's numbers with the record; torch itself would read beyond its end."""
    if not isinstance(pid, tuple) or len(pid) != STORAGE_FIELDS:
        raise refusal(origin, "a pickle with a reference that is none to numbers")
    kind, key, count = getattr(pid[1], "name", ""), f"{root}/data/{pid[2]}", pid[4]
    size = ITEM_BYTES.get(str(kind), math.inf) * count if type(count) is int and count >= 0 else math.inf
    if size > places.get(key, -1):
        raise refusal(origin, f"a tensor whose numbers are not all there ({key})")
