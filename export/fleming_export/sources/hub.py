"""A checkpoint on the Hugging Face hub, downloaded into the hub's own cache: small files first, and weights
when they are needed."""

from __future__ import annotations

import fnmatch
from functools import cached_property
from pathlib import Path

from ..errors import ExportError, notice, to_install
from ..files import amount, free_bytes
from .folder import ADAPTER, CONTAINERS, SMALL_FILES, find_shards, refuse_adapters

#: Looked at for a hint alone.
OTHERS = ("*.gguf", "*.pth", "*.pt")


class Hub:
    """One model repository."""

    def __init__(self, given: str) -> None:
        self._given = given
        self._folder: Path | None = None

    def small_files(self) -> Path:
        """Fetches all files but the weights; the folder that they are in."""
        self._folder = self._download([*SMALL_FILES, ADAPTER], None)
        return self._folder

    def missing(self) -> dict[str, int]:
        """Files of the weights that are not in the cache, and their bytes."""
        wanted, sizes = self._wanted()
        return {name: sizes.get(name, 0) for name in wanted if not (self._folder / name).is_file()}

    def fetch(self) -> None:
        """Fetches the weights of the same revision, after their size was named and found to fit."""
        missing = self.missing()
        if not missing:
            return
        total = sum(missing.values())
        notice(f"fetching {len(missing)} files of {self._given}, {amount(total)}, into {self._folder}")
        free = free_bytes(self._folder)
        if total > free:
            raise ExportError(str(self._folder), f"{amount(total)} of free space", amount(free))
        self._download(list(missing), self._folder.name)

    def _wanted(self) -> tuple[list[str], dict[str, int]]:
        """Names of the weights, and the sizes of files, which are unknown where the hub is out of reach."""
        refuse_adapters(self._folder)
        sizes = self._sizes
        for container in CONTAINERS:
            if (self._folder / container.index).is_file():
                return find_shards(self._folder, container), sizes
            if container.single in sizes or (self._folder / container.single).is_file():
                return [container.single], sizes
        there = [name for name in sizes for pattern in OTHERS if fnmatch.fnmatch(name, pattern)]
        got = f"none of them, but {there[0]}" if there else "none of them"
        wanted = " or ".join(container.single for container in CONTAINERS)
        raise ExportError(self._given, f"{wanted}, or an index of several, at the top of the repository", got)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Bytes of the files at the top of the repository."""
        try:
            hub, revision = self._client().HfApi(), self._folder.name
            info = hub.model_info(self._given, revision=revision, files_metadata=True)
        except Exception:  # out of reach: what is in the cache may be enough
            return {}
        return {each.rfilename: each.size or 0 for each in info.siblings if "/" not in each.rfilename}

    def _download(self, names: list[str], revision: str | None) -> Path:
        client = self._client()
        try:
            # by their whole names: a pattern would match in subfolders too
            return Path(client.snapshot_download(self._given, revision=revision, allow_patterns=names))
        except Exception as error:  # the hub client has dozens of error types: a reader needs its one line
            got = f"{type(error).__name__}: {' '.join(str(error).split())}"
            hint = "no local folder has this name either" if revision is None else ""
            raise ExportError(self._given, "a checkpoint on the hub", got, hint) from None

    def _client(self):
        try:
            import huggingface_hub
        except ImportError:
            hint = f"{to_install('hub')}, or give a local folder"
            wanted = "huggingface_hub to download a checkpoint"
            raise ExportError(self._given, wanted, "not installed", hint) from None
        return huggingface_hub
