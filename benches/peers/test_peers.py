"""What of the comparison needs no peer: files, turns, numbers and the table."""

import json
import sys

import building
import compare
import large
import machine
import numpy as np
import onnx
import pytest
import table
import visits
from building import Failed, Workshop

MACHINE = {
    "cpu": "A processor",
    "instruction_sets": ["avx2", "avx512_vnni"],
    "cores": 2,
    "threads": 2,
    "memory_bytes": 2**33,
    "platform": "Linux",
    "date": "2026-01-01",
}
OURS, THEIRS = "fleming int4", "llama.cpp Q4_0/f16"


def answer(**fields):
    """What a side says of one stream and of eight."""
    first = {"ms": fields.pop("first", 900.0), "prompt_tokens": 26}
    streams = [
        {name: {"median": value, "min": value, "max": value} for name, value in fields.items()}
        for _ in range(2)
    ]
    return {"streams": streams, "first_token": first, "peak_memory_bytes": 1.2e9}


def visit(*rounds, others=0.0):
    """A visit of the file of results; each round has ours and theirs."""

    def outcome(given):
        return {"others": others, "seconds": 1.0, **({"answer": given} if given else {"error": "x"})}

    pairs = [{OURS: outcome(ours), THEIRS: outcome(theirs)} for ours, theirs in rounds]
    return {"date": "2026-01-01T00:00", "rounds": pairs}


def results(**visits_):
    """The file of results."""
    fixed = {"machine": MACHINE, "versions": {"fleming": "0.1.0"}, "size": "1b", "agreement": {}}
    return {**fixed, "sides": [OURS, THEIRS], "visits": visits_}


def cells(page, title):
    """The cells of the rows of a title, in both tables."""
    lines = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
    return [[cell.strip() for cell in line.strip("| ").split("|")[1:]] for line in lines]


def test_medians_and_ratios_of_the_same_rounds():
    fast, slow = (
        answer(vision_ms_per_tile=1000.0, ttft_ms=2000.0),
        answer(vision_ms_per_tile=3000.0, ttft_ms=2000.0),
    )
    slower = answer(vision_ms_per_tile=4000.0, ttft_ms=1000.0, first=450.0)
    found = results(image=visit((fast, slow), (fast, slower), (fast, slow)))
    page = table.page(found, visits.rows([512]))
    assert cells(page, "vision, s a tile") == [["1.00", "3.00"], ["3.00 (3.00–4.00)"]]
    # a time and not a rate: ours is worse where theirs is shorter
    assert cells(page, "first token about an image, s") == [["2.00", "2.00"], ["1.00 (0.50–1.00)"]]
    assert cells(page, "load to first token, s") == [["0.90", "0.90"], ["1.00 (0.50–1.00)"]]
    assert cells(page, "peak memory, an image, MB") == [["1,200", "1,200"], ["1.00 (1.00–1.00)"]]
    assert "kind: AVX-512 VNNI" in page
    assert not cells(page, "prefill of 512, tokens/s")
    assert "*" not in page


def test_rates_are_better_where_they_are_higher():
    rates = {"prefill_tokens_per_s": 300.0, "decode_tokens_per_s": 50.0}
    text = visit((answer(**rates), answer(**{name: value / 2 for name, value in rates.items()})))
    busy = visit((answer(decode_tokens_per_s=40.0), answer(decode_tokens_per_s=5.0)), others=0.4)
    page = table.page(results(**{"text-512": text, "busy": busy}), visits.rows([512]))
    assert cells(page, "decoding at 512, tokens/s") == [["50.0", "25.0"], ["2.00 (2.00–2.00)"]]
    shared = "decoding at 512 beside a busy process"
    assert cells(page, f"{shared}, tokens/s") == [["40.0*", "5.0*"], ["8.00 (8.00–8.00)"]]
    assert cells(page, f"{shared}, times alone") == [["0.80*", "0.20*"], ["4.00 (4.00–4.00)"]]
    assert "other processes kept more than" in page


def test_what_failed_is_not_compared():
    good = answer(vision_ms_per_tile=1000.0, ttft_ms=1000.0)
    found = results(image=visit((good, None), (None, good)))
    assert cells(table.page(found, visits.rows([512])), "vision, s a tile") == [["1.00", "1.00"], ["–"]]


def test_eight_streams_are_compared_with_one():
    given = answer(total_decode_tokens_per_s=50.0)
    given["streams"][1]["total_decode_tokens_per_s"]["median"] = 225.0
    assert visits.times_one(given) == 4.5


@pytest.mark.parametrize("name", visits.visits([512, 8000]))
def test_a_context_holds_its_tiles_its_text_and_the_reply(name):
    one = visits.visits([512, 8000])[name]
    assert one.context >= one.tiles * 258 + one.prompt_tokens + one.new_tokens
    assert one.context % 256 == 0


def test_every_row_has_its_visit():
    contexts = [512, 4000]
    for row in visits.rows(contexts):
        assert {row.visit, row.against or row.visit} <= set(visits.visits(contexts)), row.title


def test_what_others_compute_is_what_the_machine_did_and_we_did_not():
    assert machine.others(busy_s=3.0, own_s=2.0, wall_s=2.0) == 0.5
    # clocks of different grain
    assert machine.others(busy_s=1.99, own_s=2.0, wall_s=1.0) == 0.0
    clock = machine.Clock()
    with machine.busy_process():
        pass
    assert clock.others() < 64
    assert machine.facts(3)["threads"] == 3
    assert machine.kind({"instruction_sets": ["avx2"]}) == "avx2"
    assert machine.kind({"instruction_sets": []}) == "none of those listed"


def test_what_is_built_is_kept_until_what_it_is_made_of_changes(tmp_path):
    workshop, made = Workshop(tmp_path / "work"), []
    result = tmp_path / "result"

    def act():
        made.append(1)
        result.write_text("made", encoding="utf-8")

    for wanted in (["a"], ["a"], ["b"], ["b"]):
        workshop._once("step", wanted, result, act)
    assert len(made) == 2
    result.unlink()
    workshop._once("step", ["b"], result, act)
    assert len(made) == 3


def test_a_program_that_fails_is_quoted():
    assert building.run([sys.executable, "-c", "import os; print(os.environ['A'])"], A="b") == "b\n"
    with pytest.raises(Failed, match=r"ended with 3: out\s+why"):
        program = "import sys; print('out', flush=True); print('why', file=sys.stderr); sys.exit(3)"
        building.run([sys.executable, "-c", program])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command with sides of the test's own; nothing is built."""
    monkeypatch.setattr(compare, "build", lambda *_: None)
    turns = []

    def side(_, kind, one, options):
        turns.append(kind)
        if kind == "int8":
            raise Failed("no memory")
        scale = 2 if kind == "f32" else 1
        return answer(decode_tokens_per_s=10.0 * scale, prefill_tokens_per_s=float(options["threads"]))

    monkeypatch.setattr(compare, "ASK", dict.fromkeys(compare.ASK, side))
    program = tmp_path / "fleming"
    program.touch()
    fixed = ["--work", str(tmp_path / "work"), "--json", str(tmp_path / "out/results.json")]
    fixed += ["--fleming", str(program), "--patience", "0", "--attempts", "1", "--contexts", "512"]

    def call(*words, code=0):
        turns.clear()
        assert compare.main([*fixed, *words]) == code
        return list(turns)

    call.json = tmp_path / "out/results.json"
    return call


def test_sides_are_measured_in_turn_and_results_are_added_to(run, capsys):
    sides = ["--ours", "f32", "int8", "--peers", "Q4_0/f16"]
    assert run("--only", "decode", *sides, "--rounds", "3", code=1) == ["f32", "int8", "Q4_0/f16"] * 3
    printed = capsys.readouterr()
    assert cells(printed.out, "decoding at 512, tokens/s") == [
        ["20.0", "–", "10.0"],
        ["2.00 (2.00–2.00)", "–"],
    ]
    assert "no memory" in printed.err
    assert run("--only", "busy", *sides, "--rounds", "1", code=1) == ["f32", "int8", "Q4_0/f16"] * 2
    assert set(json.loads(run.json.read_text(encoding="utf-8"))["visits"]) == {"text-512", "busy"}
    capsys.readouterr()
    assert run("--table") == []
    assert cells(capsys.readouterr().out, "decoding at 512, tokens/s")


def test_what_is_interrupted_in_its_first_round_replaces_nothing(run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    sides = ["--only", "decode", "--ours", "f32", "--rounds", "2"]
    run(*sides)
    kept = run.json.read_text(encoding="utf-8")
    monkeypatch.setitem(compare.ASK, compare.LLAMA, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(*sides)
    assert run.json.read_text(encoding="utf-8") == kept
    # where there is nothing, half a round is something
    run.json.unlink()
    with pytest.raises(KeyboardInterrupt):
        run(*sides)
    (found,) = json.loads(run.json.read_text(encoding="utf-8"))["visits"]["text-512"]["rounds"]
    assert set(found) == {"fleming f32"}


def test_a_run_that_others_disturbed_is_repeated_and_the_quietest_counts(monkeypatch):
    others = iter([0.9, 0.3, 0.5, 0.7, 0.0])
    monkeypatch.setattr(compare, "attempt", lambda *_: {"answer": {}, "others": next(others)})
    options = compare.parser().parse_args(["--patience", "0", "--attempts", "3"])
    assert compare.run_visit(None, OURS, visits.Visit(64), options)["others"] == 0.3
    assert compare.run_visit(None, OURS, visits.Visit(64), options)["others"] == 0.0
    failed = iter(
        [{"error": "x", "others": 0.2}, {"answer": {}, "others": 0.4}, {"error": "x", "others": 0.3}]
    )
    monkeypatch.setattr(compare, "attempt", lambda *_: next(failed))
    assert "answer" in compare.run_visit(None, OURS, visits.Visit(64), options)


def test_results_of_another_machine_are_not_mixed_in(run, capsys):
    run("--only", "decode", "--ours", "f32", "--rounds", "1", "--threads", "1")
    with pytest.raises(SystemExit, match="another machine"):
        run("--only", "decode", "--threads", "2")
    run("--table", "--threads", "2")
    with pytest.raises(SystemExit):
        run("--peers", "Q4_0")
    assert "wanted TEXT/PROJECTOR" in capsys.readouterr().err


# ── the GGUF file, where PyPI's `gguf` is installed


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny one."""
    from fleming_export.source import open_checkpoint
    from fleming_export.synthetic.checkpoint import write_checkpoint
    from fleming_export.synthetic.drawn import Options

    folder = tmp_path_factory.mktemp("peers") / "checkpoint"
    write_checkpoint("tiny", folder, Options())
    return open_checkpoint(str(folder))


@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0"])
def test_the_projector_reads_back(kind, checkpoint, tmp_path):
    gguf = pytest.importorskip("gguf")
    from projector import write_projector

    path = tmp_path / "projector.gguf"
    write_projector(checkpoint, path, kind)
    reader = gguf.GGUFReader(path)
    found = {tensor.name: tensor for tensor in reader.tensors}
    values = {name: gguf.quants.dequantize(one.data, one.tensor_type) for name, one in found.items()}

    def given(name):
        tensor = checkpoint.tensors[name]
        return np.concatenate(list(checkpoint.blocks(name))).reshape(tensor.shape)

    def near(name, wanted):
        bound = {"f32": 0, "f16": 1e-3, "q8_0": 1e-2}[kind] * np.abs(wanted).max()
        assert np.abs(values[name] - wanted).max() <= bound, name

    positions = given("vision_model.embeddings.position_embedding")[0]
    near("v.position_embd.weight", np.concatenate([positions[1:], positions[:1]]))
    layer = "vision_model.encoder.layers.0"
    q, k, v = np.split(given(f"{layer}.attn.qkv.weight"), 3)
    for name, wanted in (("q", q), ("k", k), ("v", v)):
        near(f"v.blk.0.attn_{name}.weight", wanted)
    near("v.blk.0.ffn_up.weight", given(f"{layer}.mlp.fc1.weight"))
    near("v.blk.0.ls1.weight", given(f"{layer}.ls1"))
    near("mm.model.mlp.3.bias", given("mlp1.3.bias"))
    near("v.patch_embd.weight", given("vision_model.embeddings.patch_embedding.weight"))
    # every tensor of the tower and the projector, q, k and v apart
    ours = [name for name in checkpoint.tensors if not name.startswith("language_model.")]
    assert len(found) == len(ours) + 2 * sum(".qkv." in name for name in ours)
    types = {name: tensor.tensor_type.name for name, tensor in found.items()}
    assert types["v.position_embd.weight"] == types["v.blk.0.ln1.weight"] == "F32"
    assert types["v.blk.0.attn_out.weight"] == kind.upper()
    assert types["v.patch_embd.weight"] == ("F16" if kind == "f16" else "F32")
    facts = {name: field.contents() for name, field in reader.fields.items()}
    assert facts["clip.projector_type"] == "internvl"
    assert facts["clip.vision.projector.scale_factor"] == 2
    assert facts["clip.vision.projection_dim"] == given("mlp1.3.bias").size


def test_a_few_layers_stand_for_all(tmp_path):
    large.make("tiny", tmp_path / "package", "f32", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
    weights = onnx.load(tmp_path / "package/decoder.onnx").graph.initializer
    first = {tensor.name: tensor.raw_data for tensor in weights if ".layers.0." in tensor.name}
    second = {tensor.name: tensor.raw_data for tensor in weights if ".layers.1." in tensor.name}
    assert len(first) == 8
    assert {name.replace(".layers.0.", ".layers.1."): data for name, data in first.items()} == second
