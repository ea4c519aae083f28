"""`results.md`: what is in `results.json`, to be read, and to be put into RESULTS.md as it is."""

from __future__ import annotations

PACKAGES = ("bf16", "int4", "int4-bf16", "bf16-padded", "int4-padded", "tensorrt")


def markdown(found: dict, steps: list[str]) -> str:
    """The whole page."""
    done = {name: row["found"] for name, row in found["steps"].items() if row["status"] == "done"}
    parts = [
        heading(found, done),
        bars(found["bars"]),
        verdicts(done),
        decoding(done),
        first_tokens(done),
        graphs(done),
        parity(done),
        course(found["steps"], steps),
    ]
    return "# Measured on a GPU\n\n" + "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def heading(found: dict, done: dict) -> list[str]:
    """Where it was measured, and with what."""
    machine, library = found["machine"] or {}, found["onnxruntime"] or {}
    versions = machine.get("versions") or {}
    names = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    gpus = "; ".join(", ".join(row.values()) for row in machine.get("gpus", []))
    rounds = next((row["rounds"] for row in done.values() if isinstance(row, dict) and "rounds" in row), None)
    lines = [
        f"The {found['size']} shape with random weights, provider `{found['provider']}`.",
        f"Card: {found['card']['name'] or 'none'}; the bars are stated for {found['bars_are_for']}.",
        f"GPUs (number, name, driver, memory, power limit, clocks, capability): {gpus or 'none'}.",
        f"Machine: {machine.get('platform')}, {machine.get('cores')} cores, Python {machine.get('python')}.",
        f"Versions: fleming {machine.get('fleming')}, {library.get('library')} ({library.get('build')}), "
        f"driver {found['driver']}, CUDA of torch {machine.get('cuda')}, {names}.",
        f"Medians of {rounds} rounds, after one that is not counted.",
    ]
    return [f"- {line}" for line in lines + packages(done)]


def packages(done: dict) -> list[str]:
    """What each package is."""
    lines = []
    for name in PACKAGES:
        export = done.get(f"export-{name}")
        if export:
            size = f"{giga(export['bytes'])} GB, of which a step reads {giga(export['bytes_of_a_step'])}"
            kind = f"{export['precision']} for {export['target']}, activations {export['activations']}"
            heads = (export["padding"] or {}).get("query_heads")
            more = f", query heads {heads['checkpoint']} filled up to {heads['package']}" if heads else ""
            lines.append(f"`{name}`: {kind}{more}; {size}.")
    return lines


def bars(found: dict) -> list[str]:
    """The bars beside what was measured."""
    lines = head("", "bar", "measured", "met", "how")
    for name, bar in found.items():
        value = bar["why"] if bar["measured"] is None else f"{bar['measured']:.2f}"
        lines += row(name, f"{bar['bar']:g}", value, said(bar["met"]), bar["how"])
    return lines


def verdicts(done: dict) -> list[str]:
    """Whether what had to be the same was; the tables below have the numbers."""
    lines = []
    for package in PACKAGES:
        for what, step in (
            ("parity with torch", "parity"),
            ("the same with CUDA graphs and without", "graphs"),
        ):
            found = done.get(f"{step}-{package}")
            lines += [f"- {package}, {what}: {said(found['passed'])}"] if found else []
    return lines


def decoding(done: dict) -> list[str]:
    """Tokens a second by package and streams, with memory."""
    lines = row(
        "decoding", "streams", "tokens/s in all", "lowest", "highest", "GPU memory, GB", "weights, KV, GB"
    )
    lines += ["|---|---|---|---|---|---|---|"]
    for name in [f"{package}{kind}" for package in PACKAGES for kind in ("", "-graphs-off")]:
        bench = done.get(f"bench-{name}")
        export = done.get(f"export-{name.removesuffix('-graphs-off')}")
        for stream in bench["streams"] if bench else []:
            rate = stream["total_decode_tokens_per_s"] or {}
            memory = giga((bench["gpu_memory"] or {}).get("peak_bytes"))
            kept = f"{giga(export['weight_bytes'])}, {giga(bench['memory_bytes']['slots'])}" if export else ""
            rates = (number(rate.get(kind)) for kind in ("median", "min", "max"))
            lines += row(name, stream["streams"], *rates, memory, kept)
    torch = done.get("torch")
    for stream in torch["streams"] if torch else []:
        name = f"transformers, {torch['type']}"
        rates = (number(stream["total_decode_tokens_per_s"][kind]) for kind in ("median", "min", "max"))
        lines += row(name, stream["streams"], *rates, giga(torch["peak_bytes"]), "")
    return lines if len(lines) > 2 else []


def first_tokens(done: dict) -> list[str]:
    """Vision, prefill and the first token, by study."""
    rates = ("vision, ms a tile", "prefill, tokens/s")
    lines = head("first token", "study", "prompt, tokens", *rates, "ms", "lowest", "highest")
    for package in PACKAGES:
        for study, run in (done.get(f"first-token-{package}") or {}).items():
            stream = run["streams"][0]
            medians = (
                number((stream[field] or {}).get("median"))
                for field in ("prompt_tokens", "vision_ms_per_tile", "prefill_tokens_per_s")
            )
            times = (number(stream["ttft_ms"][kind]) for kind in ("median", "min", "max"))
            lines += row(package, study, *medians, *times)
    torch = done.get("torch")
    for study, run in torch["studies"].items() if torch else []:
        rates = (number(run.get(field)) for field in ("vision_ms_per_tile", "prefill_tokens_per_s"))
        times = (number(run["ttft_ms"][kind]) for kind in ("median", "min", "max"))
        lines += row(f"transformers, {torch['type']}", study, run["prompt_tokens"], *rates, *times)
    return lines if len(lines) > 2 else []


def graphs(done: dict) -> list[str]:
    """Ratios of CUDA graphs on to off, and of padded groups to others."""
    lines = []
    for package in PACKAGES:
        on, off, padded = (done.get(f"bench-{package}{kind}") for kind in ("", "-graphs-off", "-padded"))
        for what, one, other in (("CUDA graphs on", on, off), ("padded groups", padded, on)):
            if one and other:
                pairs = zip(one["streams"], other["streams"], strict=False)
                ratios = [f"{a['streams']} streams {_ratio(a, b)}" for a, b in pairs]
                lines.append(
                    f"- {package}, {what}: tokens/s as a multiple of those without: {', '.join(ratios)}"
                )
        equal = done.get(f"graphs-{package}")
        if equal:
            alone, together = equal["at_once_1"], equal["at_once_4"]
            lines.append(
                f"- {package}, replies with CUDA graphs as without: {said(equal['passed'])}; alone "
                f"{alone['equal_ids']} of {alone['replies']}, four at once {together['equal_ids']} of "
                f"{together['replies']}; first logits equal: {said(equal['first_logits_equal'])}"
            )
    return lines


def _ratio(one: dict, other: dict) -> str:
    rates = [stream["total_decode_tokens_per_s"] for stream in (one, other)]
    return f"{rates[0]['median'] / rates[1]['median']:.2f}" if all(rates) else "?"


def parity(done: dict) -> list[str]:
    """Errors by stage, with what was allowed."""
    lines = head("parity", "question", "stage", "error", "of torch", "allowed", "cosine", "passed")
    for package in PACKAGES:
        found = done.get(f"parity-{package}") or {}
        for case, facts in found.get("cases", {}).items():
            lines += _against_torch(package, case, facts)
        for case, facts in found.get("checkpoint", {}).items():
            lines += _against_checkpoint(package, f"{case}, by the checkpoint", facts)
    return lines if len(lines) > 2 else []


def _against_torch(package: str, case: str, facts: dict) -> list[str]:
    lines = []
    for stage, found in facts["stages"].items():
        values = [figure(found.get(field)) for field in ("error", "torch_error", "allowed", "cosine")]
        lines += row(package, case, stage, *values, said(found["passed"]))
    tokens, exact = facts["tokens"], facts["exact"]
    gap = f"at most {tokens['largest_gap']:.3f} below the likeliest"
    allowed = figure(tokens["allowed_gap"])
    lines += row(
        package, case, f"tokens ({_likeliest(tokens)})", gap, "", allowed, "", said(tokens["passed"])
    )
    words = [f"{name} {said(exact[name]) or 'not compared'}" for name in ("ids", "pixels")]
    return lines + row(package, case, "exact", ", ".join(words), "", "", "", "")


def _against_checkpoint(package: str, case: str, facts: dict) -> list[str]:
    lines = []
    for stage, found in facts["stages"].items():
        cells = (figure(found["error"]), "", f"cosine {found['least_cosine']}", figure(found["cosine"]))
        lines += row(package, case, stage, *cells, said(found["passed"]))
    return lines + row(package, case, f"tokens ({_likeliest(facts['tokens'])})", "", "", "", "", "")


def _likeliest(tokens: dict) -> str:
    return f"{100 * tokens['likeliest_of_reference']:.0f} % the reference's likeliest"


def course(outcomes: dict, steps: list[str]) -> list[str]:
    """What became of each step."""
    lines = head("step", "came to", "seconds", "")
    for step in steps:
        outcome = outcomes.get(step, {"status": "not begun"})
        told = str(outcome.get("reason") or outcome.get("error") or "")
        told = " ".join(told.split())[:300].replace("|", "\\|")
        lines += row(step, outcome["status"], outcome.get("seconds", ""), told)
    return lines


def head(*cells: str) -> list[str]:
    """The first lines of a table."""
    return [*row(*cells), "|" + "---|" * len(cells)]


def row(*cells: object) -> list[str]:
    """A line of a table."""
    return ["| " + " | ".join(map(str, cells)) + " |"]


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def giga(value: float | None) -> str:
    return "" if value is None else f"{value / 1e9:.2f}"


def said(met: bool | None) -> str:  # noqa: FBT001
    """A verdict as a word."""
    return {True: "yes", False: "no", None: ""}[met]
