"""The quality report tells a good package from a bad one; inspect and the memory formula are right."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from checkpoints import edit_json
from PIL import Image

from fleming_export import ExportError, export, make_recipe
from fleming_export.__main__ import main
from fleming_export.config import read_config
from fleming_export.memory import data_bytes, needed, packing_bytes
from fleming_export.parity.runtime import PackageRunner
from fleming_export.quality import BARS, STEPS, Asked, Tally, compare, tower, verify
from fleming_export.quality.__main__ import main as quality_main
from fleming_export.quality.answers import accuracy
from fleming_export.quality.sequences import Writer, traced
from fleming_export.recipe import TARGETS
from fleming_export.synthetic.inputs import chest


@pytest.fixture(scope="module")
def eight(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("quality") / "package"
    return export(str(tiny.checkpoint), out, recipe=make_recipe("cpu", "int8"))


def questions(package, count: int = 2) -> list:
    manifest = json.loads((package / "fleming.json").read_text())
    return list(Writer(package, manifest).questions(count))


def test_tally():
    tally = Tally()
    tally.add(np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 1.0, 2.0]]), np.array([1]))
    tally.add(np.array([[0.0, 0.0]]), np.array([[np.log(3.0), 0.0]]), np.array([1]))
    report = tally.report()
    assert (report["positions"], report["top1_agreement"]) == (2, 1.0)
    divergence = (
        np.log(0.5) - np.log(0.75) / 2 - np.log(0.25) / 2
    )  # of the second position; none at the first
    assert report["kl_divergence"]["mean"] == pytest.approx(divergence / 2)
    assert report["perplexity_ratio"] == pytest.approx(np.sqrt(2))


def test_the_f32_package_is_itself(tiny):
    report = compare(tiny.package, tiny.package, questions(tiny.package))
    assert report["top1_agreement"] == 1
    assert abs(report["kl_divergence"]["mean"]) < 1e-12
    assert report["perplexity_ratio"] == pytest.approx(1)
    text, reply = report["parts"]["text"], report["parts"]["reply"]
    assert report["positions"] == text["positions"] + reply["positions"] > 64
    assert min(text["positions"], reply["positions"]) > 2


def test_verify_records_the_report_and_fails_below_the_bar(tiny, eight, monkeypatch, capsys):
    """A tiny model of random weights is near ties everywhere; the bar is for models that have learned."""
    passed = verify(str(tiny.checkpoint), eight)
    report = json.loads((eight / "fleming.json").read_text())["quality"]
    assert json.loads(capsys.readouterr().out) == report
    assert report["passed"] == passed == (report["top1_agreement"] >= BARS["int8"])
    assert report["embedding_cosine"]["min"] > 0.995
    assert 0 < report["kl_divergence"]["mean"] < 0.05
    assert not [path for path in eight.parent.iterdir() if "reference" in path.name]
    monkeypatch.setitem(BARS, "int8", 1.01)
    assert not verify(str(tiny.checkpoint), eight, tiny.package)


def test_logits_of_a_whole_sequence_are_those_of_its_steps(tiny):
    runner = PackageRunner(tiny.package, 512)
    (asked,) = questions(tiny.package, 1)
    rows = np.zeros((1, runner.manifest["vision"]["hidden_size"]), np.float32)
    every = runner.every(asked.ids, asked.splice, rows, 3)
    assert len(every) == len(asked.ids) - 3
    got = runner.prefill_ids(asked.ids[:4], asked.splice[:4], rows)
    for step, wanted in enumerate(every):
        got = runner.step(int(asked.ids[3 + step])) if step else got
        assert np.abs(got - wanted).max() < 1e-4


def test_cases_of_a_file(tiny, eight, tmp_path, capsys):
    """As ``fleming eval`` reads it; what is about a volume or a clip is left out."""
    Image.fromarray(chest(90, 70)).save(tmp_path / "chest.png")
    lines = [
        {"kind": "image", "images": ["chest.png"], "question": "Is there a nodule?", "answer": "no"},
        {
            "question": "And now?",
            "history": [["<image>\nWhat is shown?", "A chest."]],
            "images": ["chest.png"],
        },
        {"question": "How large?", "volume": "volume.npy"},
    ]
    cases = tmp_path / "cases.jsonl"
    cases.write_text("\n".join(map(json.dumps, lines)))
    manifest = json.loads((tiny.package / "fleming.json").read_text())
    first, second = Writer(tiny.package, manifest).cases(cases)
    tile = manifest["vision"]["tokens_per_tile"]
    for sequence in (first, second):
        assert (sequence.splice >= 0).sum() == tile
        assert sequence.pixels.shape == (1, 3, 448, 448)
    assert len(second.ids) - second.text > len(first.ids) - first.text  # the reply in the history is text
    before = (eight / "fleming.json").read_bytes()
    verify(str(tiny.checkpoint), eight, tiny.package, Asked(cases))
    assert 2 <= json.loads(capsys.readouterr().out)["parts"]["reply"]["positions"] <= 2 * STEPS
    (eight / "fleming.json").write_bytes(before)
    cases.write_text("no json")
    with pytest.raises(ExportError, match="line 1"):
        verify(str(tiny.checkpoint), eight, tiny.package, Asked(cases))


def trace(folder, sequence) -> None:
    """As ``fleming eval --trace`` writes one."""
    folder.mkdir(parents=True)
    np.save(folder / "input_ids.npy", sequence.ids.astype(np.int32))
    np.save(folder / "pixel_values.npy", sequence.pixels)


def test_traces_of_the_runtime(tiny, eight, tmp_path, monkeypatch):
    """What was traced is read as it was asked, in the order of the folders, and gets the room it needs."""
    asked = questions(tiny.package)
    for number, sequence in enumerate(asked):
        trace(tmp_path / "traces" / f"{number:04}", sequence)
    manifest = json.loads((tiny.package / "fleming.json").read_text())
    for got, want in zip(traced(tmp_path / "traces", manifest), asked, strict=True):
        for part in ("ids", "splice", "pixels"):
            assert np.array_equal(getattr(got, part), getattr(want, part))
    monkeypatch.setattr("fleming_export.quality.gate.CAPACITY", 8)
    found = Asked(traces=(tmp_path / "traces",)).sequences(tiny.package)
    assert compare(eight, tiny.package, found) == compare(eight, tiny.package, asked)


def test_traces_that_are_none(tiny, tmp_path):
    manifest = json.loads((tiny.package / "fleming.json").read_text())
    with pytest.raises(ExportError, match="--trace"):
        list(traced(tmp_path, manifest))
    sequence = questions(tiny.package)[1]
    trace(tmp_path / "0001", replace(sequence, pixels=sequence.pixels[:0]))
    with pytest.raises(ExportError, match="0 places"):
        list(traced(tmp_path, manifest))


def counted(path, **kinds: float):
    """What ``fleming eval --json`` prints; 100 cases of each kind."""
    facts = {kind: {"accuracy": share, "count": 100, "errors": 0} for kind, share in kinds.items()}
    path.write_text(json.dumps({"kinds": facts}))
    return path


def test_answers_are_recorded_and_must_not_fall_behind(tiny, eight, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(BARS, "int8", 0)
    before = (eight / "fleming.json").read_bytes()
    reference = counted(tmp_path / "f32.json", image=0.95, video=0.9)
    for video, wanted in ((0.89, True), (0.95, True), (0.88, False)):
        ours = counted(tmp_path / "int8.json", image=0.95, video=video)
        asked = Asked(answers=(ours, reference))
        assert verify(str(tiny.checkpoint), eight, tiny.package, asked) is wanted
    facts = {"cases": 100, "reference": 0.9, "package": 0.88}
    assert json.loads((eight / "fleming.json").read_text())["quality"]["answers"]["video"] == facts
    capsys.readouterr()
    assert main(["inspect", str(eight)]) == 0
    shown = capsys.readouterr().out
    for part in ("below its bars", "positions", "video: 88.0 %, f32 90.0 % of 100", "mlp1.: not quantised"):
        assert part in shown
    (eight / "fleming.json").write_bytes(before)


def test_answers_to_other_cases_are_no_comparison(tmp_path):
    ours, theirs = counted(tmp_path / "a.json", image=1), counted(tmp_path / "b.json", image=1, video=1)
    with pytest.raises(ExportError, match=r"the cases of b\.json"):
        accuracy(ours, theirs)
    theirs.write_text('{"kinds": {"image": 1}}')
    with pytest.raises(ExportError, match="fleming eval --json"):
        accuracy(ours, theirs)


def test_a_damaged_package_shows(tiny, eight, tmp_path):
    damaged = shutil.copytree(eight, tmp_path / "damaged")
    path = damaged / "decoder.onnx.data"
    values = np.fromfile(path, np.uint8)
    values[::97] ^= 0x20
    values.tofile(path)
    asked = questions(tiny.package)
    whole, broken = (compare(package, tiny.package, asked) for package in (eight, damaged))
    assert not broken["kl_divergence"]["mean"] < 2 * whole["kl_divergence"]["mean"]


def test_a_reference_of_another_checkpoint_is_refused(eight, exported):
    source = json.loads((eight / "fleming.json").read_text())["source"]
    if source == exported.manifest["source"]:
        pytest.skip("the same checkpoint")
    with pytest.raises(ExportError, match="same checkpoint"):
        compare(eight, exported.package)


def test_command_line(plain, tmp_path, capsys):
    out = str(tmp_path / "package")
    assert main([str(plain), out, "--precision", "int4", "--block", "64"]) == 0
    assert main(["inspect", out]) == 0
    shown = capsys.readouterr().out
    for part in (
        "int4 for cpu",
        "language: 4 bits in blocks of 64",
        "quality: not measured",
        "memory at 4096",
    ):
        assert part in shown
    assert main(["inspect", str(tmp_path)]) == 1
    assert main([str(plain), out, "--target", "cuda", "--verify", "--force"]) == 1
    assert "--verify" in capsys.readouterr().err


def test_the_measured_peak_is_near_the_formula(eight, capsys):
    assert quality_main(["peak", str(eight), "--context", "256"]) == 0
    shown = re.findall(r"([\d.]+) GB", capsys.readouterr().out)
    formula, measured = map(float, shown)
    assert 0.05 < measured < 1.5 * formula < 1


def test_packing_counts_the_blocks_of_all_products(exported, tmp_path):
    """8 bytes a block of 4 bits, 4 a block of 8 bits, of all products of both graphs."""
    for precision in ("int8", "int4"):
        recipe = make_recipe("cpu", precision)
        package = export(str(exported.checkpoint), tmp_path / precision, recipe=recipe)
        manifest = json.loads((package / "fleming.json").read_text())
        wanted = 0
        for graph in ("vision.onnx", "decoder.onnx"):
            for node in onnx.load(package / graph, load_external_data=False).graph.node:
                if node.op_type == "MatMulNBits":
                    facts = {attribute.name: attribute.i for attribute in node.attribute}
                    blocks = facts["N"] * -(-facts["K"] // facts["block_size"])
                    wanted += blocks * {4: 8, 8: 4}[facts["bits"]]
        assert needed(manifest, 100)["packing"] == pytest.approx(
            wanted, rel=0.25
        )  # tiny widths fill no block
    config = read_config(manifest["source"]["config"])
    assert packing_bytes(config, make_recipe("cuda", "int4")) == 0


def test_the_formula_knows_the_size_of_the_files(exported, tmp_path):
    config = read_config(exported.manifest["source"]["config"])
    for target, precisions in TARGETS.items():
        for precision in precisions:
            recipe = make_recipe(target, precision)
            out = export(str(exported.checkpoint), tmp_path / "package", recipe=recipe, force=True)
            manifest = json.loads((out / "fleming.json").read_text())
            packing = needed(manifest, 100)["packing"]
            assert (packing > 0) == (target == "cpu" and precision != "f32")
            assert packing < needed(manifest, 100)["weights"] / 2
            assert needed(manifest, 100)["weights"] == sum(data_bytes(config, recipe).values())
            layers, kv = config.language.layers, config.language.kv_heads * config.language.head_dim
            size = 4 if precision == "f32" or target == "cpu" else 2
            assert needed(manifest, 100)["kv"] == 2 * layers * kv * size * 100


@pytest.mark.parametrize(
    ("key", "value"), [("use_llm_lora", 16), ("quantization_config", {"quant_method": "awq"})]
)
def test_checkpoints_that_are_not_plain(damaged, tmp_path, key, value):
    edit_json(damaged / "config.json", key, value)
    with pytest.raises(ExportError, match=key):
        export(str(damaged), tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_dynamic_quantisation_of_the_tower_is_coarser_than_blocks(tiny, tmp_path):
    found = dict(tower.measure(str(tiny.checkpoint), tmp_path, 1))
    assert set(found) == {"blocks of 64", "dynamic", "dynamic, columns equalised"}
    errors = {form: error for form, (_, error, _) in found.items()}
    assert 0 < errors["blocks of 64"] < errors["dynamic, columns equalised"] < 0.2
