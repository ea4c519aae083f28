"""What a package says of itself, as text."""

from __future__ import annotations

import json
from pathlib import Path

from .contract import MANIFEST_FILE
from .files import read_json
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
        if part == "apart":
            lines += [f"  {name}: {_scheme(other)}" for name, other in scheme.items()]
        elif part == "activations":
            lines += [f"  activations of the {graph}: {kind}" for graph, kind in scheme.items()]
        else:
            lines.append(f"  {part}: {_scheme(scheme)}")
    for name, facts in manifest["files"].items():
        lines.append(f"  {facts['bytes'] / 1e6:12.1f} MB  {name}")
    for context in CONTEXTS:
        if context <= manifest["max_positions"]:
            parts = needed(manifest, context)
            shown = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items())
            lines.append(f"  memory at {context} tokens: {sum(parts.values()) / 1e9:.2f} GB ({shown})")
    lines.append(f"  self-test: {_self_test(manifest.get('self_test'))}")
    parity, quality = manifest.get("parity"), manifest.get("quality")
    lines.append(f"  parity: {'not measured' if parity is None else json.dumps(parity)}")
    lines += _quality(quality) if quality else ["  quality: not measured"]
    return "\n".join(lines)


def _self_test(test: dict | None) -> str:
    if not test:
        return "none"
    return f"{len(test['cases'])} questions, answered by {', '.join(run['by'] for run in test['runs'])}"


def _quality(report: dict) -> list[str]:
    """The report of the quality gate."""
    bar, passed = report["bar"]["top1_agreement"], report["passed"]
    lines = ["  quality, beside the f32 package: " + ("passed" if passed else "below its bars")]
    wanted = "" if bar is None else f" (bar {100 * bar:.1f} %)"
    lines.append(f"    same likeliest token at {_agreement(report)}{wanted}")
    lines += [f"      {name}: {_agreement(part)}" for name, part in report["parts"].items()]
    if "embedding_cosine" in report:
        lines.append(f"    cosine of an image embedding at least {report['embedding_cosine']['min']:.5f}")
    for kind, facts in report["answers"].items():
        shares = f"{100 * facts['package']:.1f} %, f32 {100 * facts['reference']:.1f} %"
        lines.append(f"    {kind}: {shares} of {facts['cases']} answers right")
    return lines


def _agreement(part: dict) -> str:
    if not part["positions"]:
        return "no position"
    divergence, ratio = part["kl_divergence"]["mean"], part["perplexity_ratio"]
    found = f"{100 * part['top1_agreement']:.2f} % of {part['positions']} positions"
    return f"{found}, mean KL divergence {divergence:.2g}, perplexity {ratio:.4f} times"


def _scheme(scheme: dict | int | None) -> str:
    if not isinstance(scheme, dict):
        return "not quantised" if scheme is None else str(scheme)
    kind = "with zero points" if scheme["zero_points"] else "symmetric"
    return f"{scheme['bits']} bits in blocks of {scheme['block']}, {kind}"
