"""What the kit reckons: bounds of cards, operations of a tile, bars, tolerances, the page."""

import sys

import cards
import pytest
import report
import tables
import tolerances
from fleming_export import export, make_recipe
from fleming_export.config import read_config
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options
from fleming_export.synthetic.sizes import config_json


def test_operations_of_a_tile_by_hand():
    # 1,024 patches of 588 values; 1,025 tokens through 24 layers of width 1,024; 256 tokens of 4,096 to 3,584
    patching = 1024 * 588 * 1024
    layer = 1025 * (3 * 1024 * 1024 + 1024 * 1024 + 1024 * 4096 + 4096 * 1024)
    attention = 1025 * 1025 * 64 * 16 * 2
    projector = 256 * (4096 * 3584 + 3584 * 3584)
    wanted = 2 * (patching + 24 * (layer + attention) + projector)
    assert wanted == 737_685_897_216
    assert cards.tile_flops(read_config(config_json("8b", 151674))) == wanted
    # the 6B tower: 45 layers of width 3,200, heads do not matter
    layer = 1025 * (4 * 3200 * 3200 + 2 * 3200 * 12800) + 2 * 1025 * 1025 * 3200
    wanted = 2 * (1024 * 588 * 3200 + 45 * layer + 256 * (12800 * 5120 + 5120 * 5120))
    assert cards.tile_flops(read_config(config_json("38b", 151674))) == wanted


def test_cards_that_are_known_and_that_are_not():
    assert cards.card("NVIDIA H200") == {
        "name": "NVIDIA H200", "flops": 989.5e12, "bandwidth": 4.8e12, "why": None
    }  # fmt: skip
    assert cards.card("NVIDIA H100 PCIe")["bandwidth"] == 2.0e12
    assert cards.card("NVIDIA H100 80GB HBM3")["bandwidth"] == 3.35e12
    unknown = cards.card("NVIDIA H300")
    assert unknown["flops"] is None and "H300" in unknown["why"]
    assert cards.card(None)["why"] == "no GPU was found"
    assert cards.OF_THE_BARS in cards.CARDS


@pytest.mark.parametrize("precision", ["bf16", "int4"])
def test_bytes_of_a_step(tmp_path, precision):
    write_checkpoint("tiny", tmp_path / "checkpoint", Options(vocabulary=2000))
    recipe = make_recipe("cuda", precision)
    export(str(tmp_path / "checkpoint"), tmp_path / "package", recipe=recipe)
    facts = cards.package_facts(tmp_path / "package")
    assert facts["weight_bytes"] <= facts["bytes"]
    assert facts["activations"] == {"bf16": "bfloat16", "int4": "float16"}[precision]
    products = 2 * (64 * 64 * 2 + 2 * 32 * 64 + 3 * 192 * 64)
    biases_and_norms = 2 * (64 + 2 * 32 + 2 * 64) + 64
    # rows in blocks are a multiple of 64
    head = 64 * {"bf16": 2000, "int4": 2048}[precision]
    if precision == "bf16":
        assert facts["bytes_of_a_step"] == 2 * (products + biases_and_norms + head)
    else:
        # 4 bits but for queries, keys, values and head in 8; a scale of two bytes for 32 values
        sensitive = 2 * (64 + 2 * 32) * 64
        levels = (products - sensitive) // 2 + sensitive + head
        scales = 2 * (products + head) // 32
        assert facts["bytes_of_a_step"] == levels + scales + 2 * biases_and_norms


def spread(value: float) -> dict:
    return {"median": value, "min": value, "max": value}


def bench(rates: dict, slots: int = 10**9, peak: int | None = None, **fields: float) -> dict:
    rows = [
        {"streams": n, "total_decode_tokens_per_s": spread(rate), "prompt_tokens": spread(64.0)}
        for n, rate in rates.items()
    ]
    wanted = ("vision_ms_per_tile", "prefill_tokens_per_s", "ttft_ms")
    for row in rows:
        row |= {name: spread(fields[name]) if name in fields else None for name in wanted}
    memory = peak and {"peak_bytes": peak, "before_bytes": 0}
    return {"streams": rows, "rounds": 5, "memory_bytes": {"slots": slots}, "gpu_memory": memory}


def measured() -> dict:
    """What the steps of a run might have found."""
    export = {"bytes_of_a_step": 16 * 10**9, "weight_bytes": 17 * 10**9, "tile_flops": 800 * 10**9}
    export |= {"bytes": 17 * 10**9, "precision": "bf16", "target": "cuda", "activations": "bfloat16"}
    studies = {
        "image": bench({1: 99.0}, peak=19 * 10**9, vision_ms_per_tile=3.0, ttft_ms=70.0),
        "volume": bench({1: 99.0}, peak=20 * 10**9, vision_ms_per_tile=2.0, ttft_ms=200.0),
    }
    rows = [{"streams": 1, "total_decode_tokens_per_s": spread(60.0)}]
    studied = {"image": {"prompt_tokens": 322, "prefill_tokens_per_s": 9.0, "ttft_ms": spread(90.0)}}
    torch = {"streams": rows, "studies": studied, "type": "bf16", "peak_bytes": None, "rounds": 5}
    return {
        "export-bf16": {**export, "padding": None},
        "bench-bf16": bench({1: 240.0, 32: 2400.0}, 10 * 10**9, 28 * 10**9),
        "bench-bf16-graphs-off": bench({1: 120.0, 32: 2400.0}),
        "first-token-bf16": studies,
        "torch": torch,
    }


def test_bars():
    judged = report.bars(measured(), cards.card("NVIDIA H200"))
    assert {name: round(bar["measured"], 3) for name, bar in judged.items()} == {
        report.BOUND: 0.8,
        report.TRANSFORMERS: 4.0,
        report.MANY: 10.0,
        report.IMAGE: 70.0,
        report.VOLUME: 200.0,
        report.VISION: 0.404,  # 800e9 / 2 ms / 989.5e12
        report.MEMORY: 2.0,  # 20 - 1 - 17 with the volume, 28 - 10 - 17 with the streams
    }
    assert [bar["met"] for bar in judged.values()] == [True, True, False, False, True, False, False]
    # a slower card has a lower bound
    slower = report.bars(measured(), cards.card("NVIDIA H100 PCIe"))
    assert slower[report.BOUND]["measured"] == pytest.approx(240 * 16e9 / 2.0e12)
    unknown = report.bars(measured(), cards.card("NVIDIA Something"))
    assert unknown[report.BOUND]["met"] is None and "Something" in unknown[report.BOUND]["why"]
    assert unknown[report.VISION]["met"] is None and unknown[report.IMAGE]["met"] is False
    nothing = report.bars({}, cards.card(None))
    assert all(bar["met"] is None and bar["why"] for bar in nothing.values())
    other = report.for_the_shape(judged, "2b")
    assert all(bar["met"] is None and bar["measured"] for bar in other.values())


def test_the_card_is_that_of_the_provider():
    found = {"doctor": {"gpus": [{"name": "NVIDIA L4"}, {"name": "NVIDIA H200"}]}}
    assert report.of_gpu(found, "cuda") == "NVIDIA L4"
    assert report.of_gpu(found, "cuda:1") == "NVIDIA H200"
    assert report.of_gpu(found, "cpu") is None
    assert report.of_gpu({"machine": {"gpus": [{"name": "NVIDIA A30"}]}}, "cuda:0") == "NVIDIA A30"
    assert report.of_gpu({"machine": {"gpus": [], "gpu": "NVIDIA A10"}}, "cuda:0") == "NVIDIA A10"


def case(error: float, of_torch: float | None, gap: float = 0.0, **exact: bool | None) -> dict:
    stage = {"error": error, "torch_error": of_torch, "cosine": 1 - error, "scale": 2.0}
    names = ("image_embeds", "first_logits", "logprobs")
    tokens = {"largest_gap": gap, "likeliest_of_reference": 1.0}
    return {"stages": dict.fromkeys(names, stage), "tokens": tokens, "exact": {"ids": None, **exact}}


def test_tolerances():
    least = tolerances.least({"kv": {"dtype": "bfloat16"}, "quantization": {"accuracy_level": 0}})
    assert least == tolerances.LEAST["bfloat16"]
    summed = tolerances.least({"kv": {"dtype": "float16"}, "quantization": {"accuracy_level": 0}})
    assert summed == tolerances.LEAST_SUMMED
    assert tolerances.least({"kv": {"dtype": "float16"}, "quantization": None}) == tolerances.LEAST["float16"]
    rounded = tolerances.least({"kv": {"dtype": "float32"}, "quantization": {"accuracy_level": 4}})
    assert rounded == tolerances.LEAST_ROUNDED
    assert tolerances.judged(case(0.019, 0.01), least)["passed"]
    assert not tolerances.judged(case(0.021, 0.01), least)["passed"]
    assert not tolerances.judged(case(sys.float_info.max, 0.01), least)["passed"], "not finite"
    assert tolerances.judged(case(0.04, None), least)["passed"], "without room for float32"
    assert not tolerances.judged(case(0.06, None), least)["passed"]
    assert not tolerances.judged(case(0.001, 0.01, ids=False), least)["passed"]
    # 6 x 2 x 0.01 x 2 logits
    assert tolerances.judged(case(0.001, 0.01, gap=0.23), least)["passed"]
    assert not tolerances.judged(case(0.001, 0.01, gap=0.25), least)["passed"]
    assert tolerances.judged_rounded(case(0.005, None))["passed"]
    assert not tolerances.judged_rounded(case(0.2, None))["passed"]


def test_the_page():
    found = measured()
    facts = cards.card("NVIDIA H200")
    parity = {"cases": {"image": tolerances.judged(case(0.01, 0.01, ids=True, pixels=None), 1e-3)}}
    parity["passed"] = False
    parity["checkpoint"] = {"image": tolerances.judged_rounded(case(0.2, None))}
    found["parity-int4"] = parity
    found["graphs-bf16"] = {
        "at_once_1": {"replies": 8, "equal_ids": 8},
        "at_once_4": {"replies": 8, "equal_ids": 7},
        "first_logits_equal": True,
        "passed": True,
    }
    outcomes = {name: {"status": "done", "seconds": 1.0, "found": part} for name, part in found.items()}
    outcomes["warm-tensorrt"] = {"status": "skipped", "reason": "no libnvinfer.so.10 on this machine"}
    outcomes["bench-int4"] = {"status": "failed", "error": "a | b\nc"}
    whole = {
        "size": "8b", "provider": "cuda", "card": facts, "bars_are_for": "H200, 8b", "machine": None,
        "onnxruntime": None, "driver": "580", "bars": report.bars(found, facts), "steps": outcomes,
    }  # fmt: skip
    page = tables.markdown(whole, [*outcomes, "bench-tensorrt"])
    for line in [
        "| one stream, bf16, against the bandwidth bound | 0.75 | 0.80 | yes |",
        "| bf16 | 32 | 2400.0 | 2400.0 | 2400.0 | 28.00 | 17.00, 10.00 |",
        "| transformers, bf16 | 1 | 60.0 |",
        "| bf16 | volume | 64.0 | 2.0 |  | 200.0 | 200.0 | 200.0 |",
        "1 streams 2.00, 32 streams 1.00",
        "replies with CUDA graphs as without: yes; alone 8 of 8, four at once 7 of 8",
        "| int4 | image | first_logits | 0.01 | 0.01 | 0.02 | 0.99 | yes |",
        "- int4, parity with torch: no",
        "- bf16, the same with CUDA graphs and without: yes",
        "| int4 | image | exact | ids yes, pixels not compared |",
        "| int4 | image, by the checkpoint | first_logits | 0.2 |  | cosine 0.9 | 0.8 | no |",
        "| warm-tensorrt | skipped |  | no libnvinfer.so.10 on this machine |",
        "| bench-int4 | failed |  | a \\| b c |",
        "| bench-tensorrt | not begun |",
        "`bf16`: bf16 for cuda, activations bfloat16; 17.00 GB, of which a step reads 16.00.",
    ]:
        assert line in page, line
    empty = {**whole, "steps": {}, "bars": report.bars({}, cards.card(None)), "card": cards.card(None)}
    assert "no GPU was found" in tables.markdown(empty, ["python"])
