"""Where a checkpoint comes from: why a hub refuses it, and which commit or folder it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
import huggingface_hub.errors as hub

from pytest_quantcheck.errors import with_causes

if TYPE_CHECKING:
    from pytest_quantcheck.measure.protocols import ModelSource

_ENDS_BYTES = 2**20
_SHOWN_DIGITS = 16


def revision_of(source: ModelSource) -> str | None:
    """Return the commit a hub id was resolved to when it was loaded, or a digest of a folder.

    Notes
    -----
    The digest covers config.json and name, size, first and last MiB of each weight file: another
    training, quantization or architecture changes it, and a model of many gigabytes takes no time.
    """
    folder = _present(source)
    if folder is None:
        return None
    if not Path(source.model).is_absolute():
        return folder.name
    content = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        content.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            content.update(file.read(_ENDS_BYTES))
            file.seek(max(0, size - _ENDS_BYTES))
            content.update(file.read())
    return f"sha256:{content.hexdigest()[:_SHOWN_DIGITS]}"


def disk_bytes_of(source: ModelSource) -> int | None:
    """Return what the weight files of a model take; None where they are not on this machine."""
    folder = _present(source)
    return None if folder is None else weight_files_bytes(folder)


def weight_files_bytes(folder: Path) -> int:
    """Return what the weight files in a folder take."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def commit_of(repository: str, file: str, *, revision: str | None = None) -> str | None:
    """Return the commit of a hub id as of now, or, without a network, as this machine knows it.

    Parameters
    ----------
    repository : str
        Hub id.
    file : str
        One that it has.
    revision : str, optional
        Branch, tag or commit.

    Returns
    -------
    str or None
        None if neither the hub nor this machine knows it.
    """
    found = _downloaded(repository, file, revision)
    return None if found is None else found.parent.name


def snapshot_of(source: ModelSource) -> Path | None:
    """Return the folder that a checkpoint's files are in; None if a hub id has none here yet."""
    folder = Path(source.model)
    if folder.is_absolute():
        return folder
    found = _downloaded(source.model, "config.json", source.revision)
    return None if found is None else found.parent


def _present(source: ModelSource) -> Path | None:
    """Return the folder of a checkpoint, without asking the hub; None where none is known."""
    folder = Path(source.model)
    if folder.is_absolute():
        return folder
    cached = huggingface_hub.try_to_load_from_cache(
        source.model, "config.json", revision=source.revision
    )
    return Path(cached).parent if isinstance(cached, str) else None


def _downloaded(repository: str, file: str, revision: str | None) -> Path | None:
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except (OSError, ValueError, hub.HfHubHTTPError):
        return None


def advice(error: BaseException) -> str:
    """Return what to do about a hub's refusal; empty where it is none."""
    for link in with_causes(error):
        status = getattr(getattr(link, "response", None), "status_code", None)
        if isinstance(link, hub.RevisionNotFoundError):
            return "the hub has no such branch, tag or commit: correct the revision"
        if isinstance(link, hub.GatedRepoError | hub.DisabledRepoError) or status in {401, 403}:
            return (
                "the hub wants to know who asks: accept the model's terms on its page, then log "
                "in with `hf auth login` or set HF_TOKEN"
            )
        if isinstance(link, hub.RepositoryNotFoundError):
            return (
                "the hub shows no such model to you: correct the id, or, if it is private, log in "
                "with `hf auth login` or set HF_TOKEN"
            )
        if isinstance(link, hub.OfflineModeIsEnabled | hub.LocalEntryNotFoundError):
            return (
                "it is not in this machine's cache and the hub was not reached: run "
                "`hf download` once where there is a network, or name a folder"
            )
    return ""
