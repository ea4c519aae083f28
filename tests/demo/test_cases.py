"""Cases that the exporter's demo draws are read and asked by `fleming eval`."""

import json
import subprocess
import sys
from pathlib import Path

from program import FLEMING, SYNTHETIC


def test_every_kind_of_case_can_be_asked(tmp_path: Path) -> None:
    draw = ["-m", "fleming_export.demo", "cases", tmp_path, "--seed", "1", "--per-kind", "1"]
    subprocess.run([sys.executable, *map(str, draw)], check=True, capture_output=True)
    ask = ["eval", tmp_path / "cases.jsonl", "--model", SYNTHETIC, "--json"]
    options = ["--max-new-tokens", "1", "--output", tmp_path / "results.jsonl"]
    result = subprocess.run([FLEMING, *map(str, ask + options)], check=True, capture_output=True, text=True)
    kinds = json.loads(result.stdout)["kinds"]
    assert set(kinds) == {"image", "volume", "video", "compare", "follow_up"}
    assert all(kind["count"] == 1 and kind["errors"] == 0 for kind in kinds.values())
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == len(kinds)
