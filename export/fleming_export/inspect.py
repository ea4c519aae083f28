"""What a package says of itself, as text."""

from __future__ import annotations

import json
from pathlib import Path

from .checkpoint import read_json
from .contract import MANIFEST_FILE
from .memory import CONTEXTS, needed


def describe(package: Path) -> str:
    """Several lines about a package; an error if it is none."""
    manifest = read_json(package / MANIFEST_FILE)
    lines = [
        f"{manifest['name']}: {manifest['precision']} for {manifest['target']}",
        f"  from {manifest['source']['checkpoint']} by fleming_export {manifest['exporter']['version']}",
        f"  context up to {manifest['max_positions']} tokens, keys and values in {manifest['kv']['dtype']}",
    ]
    for part, scheme in (manifest.get("quantization") or {}).items():
        lines.append(f"  {part}: {_scheme(scheme)}")
    for name, facts in manifest["files"].items():
        lines.append(f"  {facts['bytes'] / 1e6:12.1f} MB  {name}")
    for context in CONTEXTS:
        if context <= manifest["max_positions"]:
            parts = needed(manifest, context)
            shown = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items())
            lines.append(f"  memory at {context} tokens: {sum(parts.values()) / 1e9:.2f} GB ({shown})")
    for check in ("parity", "quality"):
        found = manifest.get(check)
        lines.append(f"  {check}: {'not measured' if found is None else json.dumps(found)}")
    return "\n".join(lines)


def _scheme(scheme: dict | int | None) -> str:
    if not isinstance(scheme, dict):
        return "not quantised" if scheme is None else str(scheme)
    kind = "with zero points" if scheme["zero_points"] else "symmetric"
    return f"{scheme['bits']} bits in blocks of {scheme['block']}, {kind}"
