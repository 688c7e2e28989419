"""Push: a model package goes to a Hugging Face hub, after everything in it has been verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undercast import __version__
from undercast._optional import require
from undercast.errors import DownloadError, ModelError, UsageError
from undercast.models.documents import load_json
from undercast.models.fetch.references import hub, repo_of_hub
from undercast.models.fetch.transport import OFFLINE_VARIABLE, is_offline
from undercast.models.members import read_members
from undercast.models.package import find_package, is_classifier, read_package
from undercast.models.table import Table
from undercast.models.trust.checksums import file_multihash
from undercast.models.trust.paths import confined_path
from undercast.models.trust.scan import scanned_bytes
from undercast.models.trust.weights import MemberWeights

LONGEST_REASON = 200
"""Characters of what the hub says that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """What goes where."""

    root: Path
    """Folder of the package."""
    files: tuple[str, ...]
    """Files that go, relative to the folder; the item first."""
    sizes: tuple[int, ...]
    """Their sizes, in bytes."""
    repo: str
    """Repository on the hub, ``owner/name``."""
    path: str
    """Folder in the repository; empty: its root."""
    revision: str
    """Branch."""
    endpoint: str
    """Address of the hub."""
    title: str
    """The model and its version."""


def plan_push(folder: str | Path, reference: str) -> PushPlan:
    """Choose what goes to the hub: the item and the files that it names, nothing else that lies in the folder.

    Args:
        folder: A package's folder.
        reference: ``hf:owner/name[/folder][@branch]``.

    Raises:
        UsageError: If the reference is none of a hub.
        ModelError: If the package is wrong, or a file is missing.
        TrustError: If a file differs from its checksum, has none, or weights could run code.
    """
    if not reference.startswith("hf:"):
        msg = f"expected hf:owner/name[/folder][@branch], got {reference[:120]!r}."
        raise UsageError(msg)
    repo, path, revision = repo_of_hub(reference)
    item = find_package(folder)
    members, title = _weights(item)
    for member in members:
        scanned_bytes(member)
    root = item if item.is_dir() else item.parent
    files = (item.name, *_assets(item, root))
    return PushPlan(
        root=root,
        files=files,
        sizes=tuple((root / name).stat().st_size for name in files),
        repo=repo,
        path=path or "",
        revision=revision,
        endpoint=hub(),
        title=title,
    )


def _weights(item: Path) -> tuple[tuple[MemberWeights, ...], str]:
    """Give the weights of a cloud model's or a classifier's package, and its name and version."""
    if item.is_file() and is_classifier(item):
        table = Table(values=load_json(item), origin=str(item))
        properties = table.table("properties")
        return read_members(table, item.parent), f"{properties.text('mlm:name')} {properties.text('undercast:version')}"
    package = read_package(item)
    return package.members, f"{package.spec.id} {package.spec.version}"


def push(plan: PushPlan) -> str:
    """Send a package, in one commit; the repository is made where there is none.

    Returns:
        The URL of the commit.

    Raises:
        MissingDependencyError: If huggingface_hub is not installed.
        DownloadError: If the network is forbidden, or the hub refuses.
    """
    if is_offline():
        msg = f"{OFFLINE_VARIABLE} forbids the network; unset it to push to {plan.endpoint}."
        raise DownloadError(msg)
    library, errors, utils = (
        require(name, extra="hub", purpose="push to a Hugging Face hub")
        for name in ("huggingface_hub", "huggingface_hub.errors", "huggingface_hub.utils")
    )
    utils.disable_progress_bars()
    api = library.HfApi(endpoint=plan.endpoint, library_name="undercast", library_version=__version__)
    try:
        api.create_repo(plan.repo, exist_ok=True)
        commit: Any = api.create_commit(
            plan.repo,
            [
                library.CommitOperationAdd(
                    path_in_repo=f"{plan.path}/{name}".lstrip("/"), path_or_fileobj=plan.root / name
                )
                for name in plan.files
            ],
            commit_message=f"{plan.title}, packed by undercast",
            revision=plan.revision,
        )
    except (errors.HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        msg = f"{plan.endpoint} refuses {plan.repo}: {reason}. Is there a login (hf auth login, or HF_TOKEN)?"
        raise DownloadError(msg) from error
    return str(commit.commit_url)


def _assets(item: Path, root: Path) -> list[str]:
    """Name the files of the folder that an item refers to, each compared with its checksum."""
    assets = Table(values=load_json(item), origin=str(item)).table("assets")
    names: dict[str, None] = {}
    for key in assets.values:
        asset = assets.table(key)
        href = asset.text("href")
        if "://" in href:
            continue
        path = confined_path(href, root, origin=f"{asset.origin}: href")
        checksum = asset.text("file:checksum")
        if not path.is_file() or file_multihash(path) != checksum.lower():
            expected = f"a file with the checksum {checksum}"
            raise asset.wrong(key="href", expected=expected, got=f"{href}, which is missing or another")
        names[path.relative_to(root.resolve()).as_posix()] = None
    if not names:
        msg = f"{item}: expected files beside the item, got none. Push the folder that `undercast models pack` wrote."
        raise ModelError(msg)
    return list(names)
