"""Hub files: where a hub folder is, and its weights, which must fit its network to the last tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from undercast._optional import require
from undercast.errors import DownloadError, ModelError
from undercast.models.trust.safetensors_header import check_safetensors
from undercast.training.bigearthnet.hub_config import CONFIG

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
"""Weights of a hub folder."""

LARGEST = 4 * 1024**3
"""Size of the file, at most, in bytes."""


def hub_folder(source: str) -> Path:
    """Give the folder of a model: the source itself, or a copy of what the hub has under this id.

    Raises:
        DownloadError: If there is no such folder, and no such model on the hub.
        MissingDependencyError: If huggingface_hub is not installed.
    """
    if Path(source).is_dir():
        return Path(source)
    hub = require("huggingface_hub", extra="scenes", purpose="fetch models from the hub")
    errors = require("huggingface_hub.errors", extra="scenes", purpose="fetch models from the hub")
    try:
        return Path(hub.snapshot_download(source, allow_patterns=[CONFIG, WEIGHTS]))
    except (errors.HfHubHTTPError, errors.HFValidationError, errors.LocalEntryNotFoundError, OSError) as error:
        msg = f"{source!r} is no folder, and the hub gives no model of this id: {' '.join(str(error).split())[:300]}"
        raise DownloadError(msg) from error


def fill(model: nn.Module, path: Path) -> None:
    """Fill a network with the weights of a file and put it into evaluation mode.

    Raises:
        ModelError: If the file is missing, or its tensors are not those of the network.
        TrustError: If it is no proper safetensors file.
    """
    load = require("safetensors.torch", extra="scenes", purpose="read weights").load
    try:
        if path.stat().st_size > LARGEST:
            msg = f"weights {path}: expected at most {LARGEST:,} bytes, got {path.stat().st_size:,}."
            raise ModelError(msg)
        data = path.read_bytes()
    except OSError as error:
        msg = f"weights {path} cannot be read: {error.strerror}."
        raise ModelError(msg) from error
    check_safetensors(data, origin=str(path))
    tensors: dict[str, Tensor] = load(data)
    _check(model.state_dict(), tensors, path)
    model.load_state_dict(tensors)
    model.eval()


def _check(wanted: dict[str, Tensor], got: dict[str, Tensor], path: Path) -> None:
    for what, names in (("no", set(wanted) - set(got)), ("also", set(got) - set(wanted))):
        if names:
            first = ", ".join(sorted(names)[:3])
            msg = f"weights {path}: expected the tensors of the network in config.json, got {what} {first}"
            raise ModelError(f"{msg} ({len(names)} in all).")
    for name, tensor in got.items():
        if tensor.shape != wanted[name].shape:
            msg = (
                f"weights {path}: {name}: expected shape {tuple(wanted[name].shape)} as config.json says (classes,"
                f" channels, network), got {tuple(tensor.shape)}: weights of another model."
            )
            raise ModelError(msg)
