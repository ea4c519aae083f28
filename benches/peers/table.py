"""Medians, ratios of paired runs, and the page."""

from __future__ import annotations

from statistics import median

from machine import IDLE, kind
from visits import Row

#: What a side is called that is ours.
OURS = "fleming "


def values(found: dict, row: Row, side: str) -> list[float | None]:
    """A row's value of a side in every round; none where it failed or was not measured."""

    def of(visit: str) -> list[float | None]:
        rounds = found["visits"].get(visit, {}).get("rounds", [])
        answers = [one.get(side, {}).get("answer") for one in rounds]
        return [None if answer is None else row.value(answer) for answer in answers]

    if not row.against:
        return of(row.visit)
    pairs = zip(of(row.visit), of(row.against), strict=False)
    return [a / b if a and b else None for a, b in pairs]


def ratios(row: Row, ours: list[float | None], theirs: list[float | None]) -> list[float]:
    """How many times better ours is, by rounds that both have."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a and b]
    return [a / b if row.rate else b / a for a, b in pairs]


def disturbed(found: dict, visit: str, side: str) -> bool:
    """Whether other processes used the machine in the visits of a side, by their median."""
    rounds = found["visits"].get(visit, {}).get("rounds", [])
    used = [one[side]["others"] for one in rounds if side in one]
    return bool(used) and median(used) > IDLE


def page(found: dict, rows: list[Row]) -> str:
    """All tables."""
    measured = [row for row in rows if row.visit in found["visits"]]
    parts = [heading(found), medians(found, measured), paired(found, measured)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def heading(found: dict) -> list[str]:
    """Where it was measured, and with what."""
    machine, versions = found["machine"], found["versions"]
    sets = " ".join(machine["instruction_sets"]) or "none of those listed"
    named = ", ".join(
        f"{name} {version}" for name, version in versions.items() if name != "llama.cpp was built with"
    )
    built = versions.get("llama.cpp was built with")
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads",
        f"kind: {kind(machine)} ({sets})",
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['platform']}, {machine['date']}",
        f"{found['size']} shape; {named}",
    ]
    lines += [f"image embeddings of {pair}, cosines: {told}" for pair, told in found["agreement"].items()]
    return [f"- {line}" for line in lines + ([f"llama.cpp was built with: {built}"] if built else [])]


def medians(found: dict, rows: list[Row]) -> list[str]:
    """The median of each row and side."""
    sides, lines, seen = found["sides"], [], False
    for row in rows:
        cells = []
        for side in sides:
            given = [value for value in values(found, row, side) if value is not None]
            mark = "*" if given and disturbed(found, row.visit, side) else ""
            seen = seen or bool(mark)
            cells.append(f"{median(given):,.{row.digits}f}{mark}" if given else "–")
        lines += line(row.title, *cells)
    note = (
        ["", f"\\* other processes kept more than {IDLE} cores busy in half of the runs or more."]
        if seen
        else []
    )
    return [*line("median", *sides), *line(*["---"] * (len(sides) + 1)), *lines, *note] if lines else []


def paired(found: dict, rows: list[Row]) -> list[str]:
    """How many times better each of ours is than each peer: median, lowest and highest of paired runs."""
    ours = [side for side in found["sides"] if side.startswith(OURS)]
    peers = [side for side in found["sides"] if not side.startswith(OURS)]
    heads = [f"{one.removeprefix(OURS)} : {peer}" for one in ours for peer in peers]
    lines = []
    for row in rows:
        cells = []
        for one in ours:
            for peer in peers:
                found_ = ratios(row, values(found, row, one), values(found, row, peer))
                cells.append(spread(found_))
        lines += line(row.title, *cells)
    return (
        [*line("times better", *heads), *line(*["---"] * (len(heads) + 1)), *lines] if lines and heads else []
    )


def spread(given: list[float]) -> str:
    """Median, lowest and highest."""
    return f"{median(given):.2f} ({min(given):.2f}–{max(given):.2f})" if given else "–"


def line(*cells: str) -> list[str]:
    """A line of a table."""
    return ["| " + " | ".join(cells) + " |"]
