"""HDF4, read in a process of its own: its library ends the process on damaged files, and other scenes must go on."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast._optional import require
from undercast.errors import SceneError

LARGEST = 4 * 2**30
"""Bytes above which a data set is refused."""
TIMEOUT_S = 300.0
"""Seconds after which reading a data set is given up."""


def read_hdf4(source: str, dataset: str) -> tuple[NDArray[Any], Mapping[str, Any]]:
    """Read a data set with two dimensions.

    Args:
        source: Path of the file.
        dataset: Name in the file; empty: the first with two dimensions.

    Returns:
        The numbers ``(y, x)``, which lie in a file that vanishes with them, and the attributes.

    Raises:
        SceneError: If the file is damaged, or has no such data set.
        MissingDependencyError: If pyhdf is not installed.
    """
    what = f"read {Path(source).name} (HDF4), unless its files are converted to GeoTIFF, NetCDF-4 or HDF5,"
    require("pyhdf", extra="hdf4", purpose=what)
    state = Path(source).stat()
    return _read(source, dataset, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=16)
def _read(source: str, dataset: str, version: tuple[int, int]) -> tuple[NDArray[Any], Mapping[str, Any]]:  # noqa: ARG001
    with tempfile.TemporaryFile() as file:
        # -P: the folder that it runs in must not offer modules.
        command = [sys.executable, "-P", "-m", "undercast.readers.hdf4", source, dataset]
        try:
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            msg = f"{source} cannot be read: the HDF4 library did not come to an end in {TIMEOUT_S:g} s."
            raise SceneError(msg) from error
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").split("\n")
            said = next((line for line in reversed(lines) if line.strip()), f"it ended with status {done.returncode}")
            msg = (
                f"{source} cannot be read; it may be truncated or damaged. The HDF4 library says: {said.strip()[:200]}."
            )
            raise SceneError(msg)
        file.seek(0)
        header = json.loads(file.readline())
        numbers = np.memmap(file, header["dtype"], "r", offset=file.tell(), shape=tuple(header["shape"]))
    return numbers, header["attributes"]


def main(source: str, dataset: str) -> None:
    """Write a data set to standard output: a line of JSON, then the numbers."""
    from pyhdf.error import HDF4Error
    from pyhdf.SD import SD, SDC

    try:
        file = SD(source, SDC.READ)
        shapes = {name: info[1] for name, info in file.datasets().items()}
        name = next((name for name in ([dataset] if dataset else shapes) if np.size(shapes.get(name, ())) == 2), None)
        if name is None:
            sys.exit(f"expected {dataset or 'a data set'} with two dimensions, got {', '.join(shapes) or 'nothing'}")
        if np.prod(shapes[name], dtype=np.float64) * 8 > LARGEST:
            sys.exit(f"expected a data set of at most {LARGEST // 2**30} GiB, got {shapes[name]} numbers")
        selected = file.select(name)
        numbers = np.ascontiguousarray(selected.get())
        attributes = selected.attributes()
    except HDF4Error as error:
        sys.exit(str(error))
    header = {"shape": numbers.shape, "dtype": numbers.dtype.str, "attributes": attributes}
    sys.stdout.buffer.write(json.dumps(header, default=str).encode() + b"\n")
    sys.stdout.buffer.write(numbers.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
