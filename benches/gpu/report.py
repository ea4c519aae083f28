"""What the steps came to: the bars beside what was measured, and everything in one object."""

from __future__ import annotations

from cards import OF_THE_BARS, card
from runner import Kit, write_json
from tables import markdown
from tolerances import AGAINST_ITS_TYPE, COSINES, FACTORS, LEAST, LEAST_ROUNDED, LEAST_SUMMED, NEAR

BOUND = "one stream, bf16, against the bandwidth bound"
TRANSFORMERS = "one stream, bf16, against transformers"
MANY = "32 streams against one"
IMAGE, VOLUME = "one image, ms to the first token", "volume of 11 slices, ms to the first token"
VISION = "vision, against the bf16 matrix peak"
MEMORY = "most GPU memory beyond weights and KV, GB"
#: Of an H200, for the 8B shape.
BARS = {BOUND: 0.75, TRANSFORMERS: 2.0, MANY: 12.0, IMAGE: 60.0, VOLUME: 250.0, VISION: 0.5, MEMORY: 1.5}
SHAPE = "8b"
LESS_IS_MORE = (IMAGE, VOLUME, MEMORY)
HOW = {
    BOUND: "tokens/s x bytes of weights that a step reads / the card's published bandwidth; KV is left out",
    TRANSFORMERS: "tokens/s of `fleming bench` / of transformers in bf16 with SDPA on the same card",
    MANY: "tokens/s of 32 streams together / of one",
    IMAGE: "one tile and about 64 tokens of text; from the request, prepared pixels, to the first logits",
    VOLUME: "11 tiles and about 64 tokens of text",
    VISION: "operations of a tile's products / time of a tile among 11 / the card's published dense peak",
    MEMORY: "GPU memory in use meanwhile, less that before, less both data files and the KV of all slots",
}


def median(found: dict | None, streams: int, field: str) -> float | None:
    """A median of a bench for a number of streams."""
    for row in (found or {}).get("streams", []):
        if row["streams"] == streams and row.get(field):
            value = row[field]
            return value["median"] if isinstance(value, dict) else value
    return None


def bars(found: dict, facts: dict) -> dict:
    """Each bar with what was measured and whether it is met; null, and why, where it was not measured."""
    bench, export = found.get("bench-bf16"), found.get("export-bf16")
    times = found.get("first-token-bf16") or {}
    one, many = (median(bench, count, "total_decode_tokens_per_s") for count in (1, 32))
    theirs = median(found.get("torch"), 1, "total_decode_tokens_per_s")
    step, tile = (export[name] if export else None for name in ("bytes_of_a_step", "tile_flops"))
    bound = ratio(facts["bandwidth"], step)
    seen = median(times.get("volume"), 1, "vision_ms_per_tile")
    rate = ratio(1e3 * tile, seen) if tile and seen else None
    values = {
        BOUND: ratio(one, bound),
        TRANSFORMERS: ratio(one, theirs),
        MANY: ratio(many, one),
        IMAGE: median(times.get("image"), 1, "ttft_ms"),
        VOLUME: median(times.get("volume"), 1, "ttft_ms"),
        VISION: ratio(rate, facts["flops"]),
        MEMORY: beyond(found, "bf16"),
    }
    return {name: judged(name, value, facts) for name, value in values.items()}


def for_the_shape(found: dict, size: str) -> dict:
    """Bars of another shape than they are stated for are neither met nor missed."""
    if size == SHAPE:
        return found
    return {name: {**bar, "met": None} for name, bar in found.items()}


def beyond(found: dict, package: str) -> float | None:
    """The most gigabytes that any watched run of a package took beside its weights, keys and values."""
    export = found.get(f"export-{package}")
    runs = [found.get(f"bench-{package}"), *(found.get(f"first-token-{package}") or {}).values()]
    watched = [run for run in runs if run and run.get("gpu_memory")]
    if not export or not watched:
        return None
    taken = (run["gpu_memory"]["peak_bytes"] - run["memory_bytes"]["slots"] for run in watched)
    return (max(taken) - export["weight_bytes"]) / 1e9


def ratio(of: float | None, to: float | None) -> float | None:
    """A quotient of what was measured."""
    return of / to if of and to else None


def judged(name: str, value: float | None, facts: dict) -> dict:
    """A value beside its bar."""
    bar = BARS[name]
    met = None if value is None else bool(value <= bar if name in LESS_IS_MORE else value >= bar)
    why = None
    if value is None:
        why = facts["why"] if name in (BOUND, VISION) and facts["why"] else "a step that it needs was not run"
    return {"bar": bar, "measured": value, "met": met, "how": HOW[name], "why": why}


def of_gpu(found: dict, provider: str) -> str | None:
    """The name of the card that was measured, as the driver tells it."""
    number = int(provider.partition(":")[2] or 0)
    if not provider.startswith(("cuda", "tensorrt")):
        return None
    gpus = (found.get("doctor") or {}).get("gpus") or (found.get("machine") or {}).get("gpus") or []
    if number < len(gpus):
        return gpus[number]["name"]
    return (found.get("machine") or {}).get("gpu")


def gather(kit: Kit, steps: list[str]) -> dict:
    """One object of everything."""
    outcomes = {step: outcome for step in steps if (outcome := kit.outcome(step))}
    found = {step: kit.done(step) for step in outcomes}
    facts = card(of_gpu(found, kit.options.provider))
    tolerances = {
        "factors": FACTORS,
        "least": LEAST,
        "least_where_activations_are_rounded": LEAST_ROUNDED,
        "least_where_products_add_up_in_float16": LEAST_SUMMED,
        "without_float32": AGAINST_ITS_TYPE,
        "cosines_with_the_checkpoint": COSINES,
        "near": NEAR,
    }
    return {
        "size": kit.options.size,
        "provider": kit.options.provider,
        "card": facts,
        "bars_are_for": f"{OF_THE_BARS}, {SHAPE}",
        "machine": found.get("machine"),
        "onnxruntime": (found.get("doctor") or {}).get("onnxruntime"),
        "driver": (found.get("doctor") or {}).get("driver"),
        "bars": for_the_shape(bars(found, facts), kit.options.size),
        "tolerances": tolerances,
        "steps": outcomes,
    }


def write_report(kit: Kit, steps: list[str]) -> None:
    """`results.json` and `results.md` of what has been done so far."""
    found = gather(kit, steps)
    write_json(kit.work / "results.json", found)
    text = markdown(found, steps)
    (kit.work / "results.md").write_text(text, encoding="utf-8")
    print(text)
