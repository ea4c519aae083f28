"""What the steps of the kit found, as a table with the bars beside it."""

from __future__ import annotations

#: Of an H200, for the 8B shape: name -> (what is wanted, how it is found)
BARS = {
    "one stream, bf16, against the bandwidth bound": 0.75,
    "one stream, bf16, against transformers": 2.0,
    "32 streams against one": 12.0,
    "one image, ms to the first token": 60.0,
    "volume, ms to the first token": 250.0,
}
#: Bytes a second that an H200 reads.
BANDWIDTH = 4.8e12
LESS_IS_MORE = ("ms to",)


def median(found: dict | None, streams: int, field: str) -> float | None:
    """A median of a bench for a number of streams."""
    for row in (found or {}).get("streams", []):
        if row["streams"] == streams and row.get(field):
            return row[field]["median"]
    return None


def bars(found: dict) -> dict:
    """Each bar with what was measured and whether it is met; null where it was not measured."""
    bench, export = found.get("bench-bf16"), found.get("export-bf16") or {}
    one, many = (median(bench, count, "total_decode_tokens_per_s") for count in (1, 32))
    torch = (found.get("torch") or {}).get("decode_tokens_per_s")
    bound = BANDWIDTH / export["bytes_of_a_step"] if export else None
    times = found.get("first-token-bf16") or {}
    first = {name: row["ttft_ms"]["median"] for name, row in times.items()}
    values = [ratio(one, bound), ratio(one, torch), ratio(many, one), first.get("image"), first.get("volume")]
    return {name: judged(name, bar, value) for (name, bar), value in zip(BARS.items(), values, strict=True)}


def ratio(of: float | None, to: float | None) -> float | None:
    """A quotient of what was measured."""
    return of / to if of and to else None


def judged(name: str, bar: float, value: float | None) -> dict:
    """A value beside its bar."""
    less = any(word in name for word in LESS_IS_MORE)
    met = None if value is None else (value <= bar if less else value >= bar)
    return {"bar": bar, "measured": value, "met": met}


def table(found: dict) -> str:
    """Markdown."""
    lines = ["| | bar | measured | met |", "|---|---|---|---|"]
    for name, bar in found["bars"].items():
        value = "not measured" if bar["measured"] is None else f"{bar['measured']:.2f}"
        lines.append(f"| {name} | {bar['bar']:g} | {value} | {said(bar['met'])} |")
    lines += ["", "| package | streams | vision, ms a tile | prefill, tokens/s | decoding, tokens/s in all |"]
    lines.append("|---|---|---|---|---|")
    for package in ("bf16", "int4"):
        for row in (found.get(f"bench-{package}") or {}).get("streams", []):
            fields = ("vision_ms_per_tile", "prefill_tokens_per_s", "total_decode_tokens_per_s")
            values = [f"{row[field]['median']:.1f}" if row.get(field) else "" for field in fields]
            lines.append(f"| {package} | {row['streams']} | {' | '.join(values)} |")
    torch = found.get("torch") or {}
    if torch:
        fields = ("vision_ms_per_tile", "prefill_tokens_per_s", "decode_tokens_per_s")
        lines.append(f"| transformers, bf16 | 1 | {' | '.join(f'{torch[field]:.1f}' for field in fields)} |")
    for case, parity in (found.get("parity") or {}).items():
        values = ", ".join(f"{name} {value:.4g}" for name, value in parity.items() if name != "passed")
        lines.append(f"\nparity, {case}: {said(parity['passed'])} ({values})")
    return "\n".join(lines) + "\n"


def said(met: bool | None) -> str:  # noqa: FBT001
    """A verdict as a word."""
    return {True: "yes", False: "no", None: ""}[met]
