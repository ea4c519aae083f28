"""Files on disk: JSON read with one kind of error, digests, and free space."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from .errors import ExportError

#: How a Git LFS pointer begins: a clone without Git LFS has these few lines in place of each large file.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_text(path: Path) -> str:
    """The UTF-8 text of a file; an :class:`ExportError` where it is missing or something else."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ExportError(path.name, f"a file in {path.parent}", "no such file") from None
    refuse_pointer(path, content)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ExportError(path.name, "UTF-8 text", error) from None


def read_json(path: Path) -> dict:
    """The object in a JSON file; an :class:`ExportError` where it is missing or something else."""
    text = read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ExportError(path.name, "a JSON file", error) from None
    if not isinstance(content, dict):
        raise ExportError(path.name, "a JSON object", type(content).__name__)
    return content


def refuse_pointer(path: Path, beginning: bytes) -> None:
    """An error if a file begins like a Git LFS pointer."""
    if beginning.startswith(LFS_POINTER):
        hint = "run 'git lfs pull' in the clone"
        raise ExportError(path.name, "the file itself", "a Git LFS pointer to it", hint)


def sha256_of(path: Path, progress: Callable[[int], object] = lambda _: None) -> str:
    """SHA-256 of a file in lower-case hex; ``progress`` gets the length of each block in bytes."""
    digest = hashlib.sha256()
    buffer = bytearray(1 << 22)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
            progress(count)
    return digest.hexdigest()


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write where ``folder`` lies."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def amount(count: int) -> str:
    """Bytes for a reader, to three digits and more."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e10 else f"{count / 1e6:,.1f} MB"
