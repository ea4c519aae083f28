"""Files in parts that are small enough to be carried one by one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

PART = 55 << 20


def split(files: list[str], out: Path) -> None:
    """Cuts files into parts, with a list of them and the digest of the whole."""
    out.mkdir(parents=True, exist_ok=True)
    for name in map(Path, files):
        digest, parts = hashlib.sha256(), []
        with name.open("rb") as file:
            while block := file.read(PART):
                digest.update(block)
                parts.append(f"{name.name}.{len(parts):03}")
                (out / parts[-1]).write_bytes(block)
        listing = {"file": name.name, "sha256": digest.hexdigest(), "parts": parts}
        listing["executable"] = os.access(name, os.X_OK)
        (out / f"{name.name}.parts.json").write_text(json.dumps(listing), encoding="utf-8")


def join(folder: Path, out: Path) -> None:
    """Puts together the files whose parts are all there, checks them and drops the parts."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.parts.json")):
        listing = json.loads(path.read_text(encoding="utf-8"))
        missing = [part for part in listing["parts"] if not (folder / part).is_file()]
        if missing and (out / listing["file"]).is_file():
            continue
        if missing:
            print(f"{listing['file']}: {len(missing)} parts are still to come: {missing[0]}")
            continue
        digest, aside = hashlib.sha256(), out / f"{listing['file']}.partial"
        with aside.open("wb") as file:
            for part in listing["parts"]:
                block = (folder / part).read_bytes()
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != listing["sha256"]:
            raise SystemExit(f"{listing['file']}: the parts are not of one file")
        aside.chmod(0o755 if listing["executable"] else 0o644)
        os.replace(aside, out / listing["file"])
        for part in listing["parts"]:
            (folder / part).unlink()
        print(out / listing["file"])
