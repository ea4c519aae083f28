"""What of the kit needs no GPU: files in parts, steps that go on where they were, the bars."""

import json

import kit
import pytest
import report


def test_files_go_in_parts_and_come_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(kit, "PART", 1000)
    file, parts, out = tmp_path / "wheel.whl", tmp_path / "parts", tmp_path / "out"
    file.write_bytes(bytes(range(256)) * 10)
    kit.main(["split", str(file), "--out", str(parts)])
    assert sorted(path.stat().st_size for path in parts.glob("wheel.whl.0*")) == [560, 1000, 1000]
    last = parts / "wheel.whl.002"
    kept = last.read_bytes()
    last.unlink()
    kit.main(["join", str(parts), "--out", str(out)])
    assert not (out / "wheel.whl").exists()
    last.write_bytes(kept[::-1])
    with pytest.raises(SystemExit):
        kit.main(["join", str(parts), "--out", str(out)])
    last.write_bytes(kept)
    kit.main(["join", str(parts), "--out", str(out)])
    assert (out / "wheel.whl").read_bytes() == file.read_bytes()


def test_steps_are_not_repeated(tmp_path, monkeypatch):
    done = []
    steps = {name: lambda _kit, name=name: done.append(name) or {"name": name} for name in ("one", "two")}
    monkeypatch.setattr(kit, "STEPS", steps)
    assert kit.main(["all", "--work", str(tmp_path), "--only", "one"]) == 0
    assert kit.main(["all", "--work", str(tmp_path)]) == 0
    assert done == ["one", "two"]
    assert json.loads((tmp_path / "two.json").read_text()) == {"name": "two"}
    monkeypatch.setitem(kit.LONGEST, "three", 5)
    monkeypatch.setitem(steps, "three", steps["one"])
    assert kit.main(["all", "--work", str(tmp_path), "--minutes", "1"]) == 0, "a step may need what there is"
    assert done == ["one", "two", "one"]


def rates(value: float) -> dict:
    return {"median": value, "min": value, "max": value}


def test_bars():
    row = {"vision_ms_per_tile": rates(2.0), "prefill_tokens_per_s": rates(9000.0)}
    streams = [
        {"streams": 1, "total_decode_tokens_per_s": rates(240.0), **row},
        {"streams": 32, "total_decode_tokens_per_s": rates(2400.0), **row},
    ]
    found = {
        "export-bf16": {"bytes_of_a_step": 16_000_000_000},
        "bench-bf16": {"streams": streams},
        "torch": {
            "decode_tokens_per_s": 60.0,
            "vision_ms_per_tile": 4.0,
            "prefill_tokens_per_s": 5000.0,
        },
        "first-token-bf16": {"image": {"ttft_ms": rates(70.0)}, "volume": {"ttft_ms": rates(200.0)}},
        "parity": {"image": {"first_logits": 0.01, "passed": True}},
    }
    judged = report.bars(found)
    assert [bar["met"] for bar in judged.values()] == [True, True, False, False, True]
    assert [round(bar["measured"], 2) for bar in judged.values()] == [0.8, 4.0, 10.0, 70.0, 200.0]
    table = report.table({**found, "bars": judged})
    assert "| bf16 | 32 | 2.0 | 9000.0 | 2400.0 |" in table
    assert "parity, image: yes" in table
    nothing = report.bars({})
    assert all(bar["met"] is None for bar in nothing.values())
    assert "not measured" in report.table({"bars": nothing})
