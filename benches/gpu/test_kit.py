"""What of the kit needs no GPU: files in parts, steps that go on where they were, what is left out."""

import importlib.machinery
import importlib.util
import json
import os
import stat
import zipfile

import kit
import parts
import plan
import pytest
import report
import runner
import steps
import tables
import watch
from plan import Step
from runner import Missing, StepFailed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Runs `all` with steps of the test's own; the report is left out."""
    monkeypatch.setattr(report, "write_report", lambda *_: None)

    def run(table, *more):
        monkeypatch.setattr(plan, "STEPS", table)
        return kit.main(["all", "--work", str(tmp_path), *more])

    run.kit = runner.Kit(kit.parser().parse_args(["all", "--work", str(tmp_path)]))
    return run


def test_files_go_in_parts_and_come_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART", 1000)
    file, cut, out = tmp_path / "wheel.whl", tmp_path / "parts", tmp_path / "out"
    file.write_bytes(bytes(range(256)) * 10)
    file.chmod(0o755)
    kit.main(["split", str(file), "--out", str(cut)])
    assert sorted(path.stat().st_size for path in cut.glob("wheel.whl.0*")) == [560, 1000, 1000]
    last = cut / "wheel.whl.002"
    kept = last.read_bytes()
    last.unlink()
    kit.main(["join", str(cut), "--out", str(out)])
    assert not (out / "wheel.whl").exists()
    last.write_bytes(kept[::-1])
    with pytest.raises(SystemExit):
        kit.main(["join", str(cut), "--out", str(out)])
    last.write_bytes(kept)
    kit.main(["join", str(cut), "--out", str(out)])
    assert (out / "wheel.whl").read_bytes() == file.read_bytes()
    assert os.access(out / "wheel.whl", os.X_OK)


def test_steps_are_not_repeated(folder):
    done = []
    table = {name: Step(lambda _, name=name: done.append(name) or {"name": name}) for name in ("one", "two")}
    assert folder(table, "--only", "one") == 0
    assert folder(table) == 0
    assert done == ["one", "two"]
    assert folder.kit.done("two") == {"name": "two"}
    assert folder(table, "--again", "one") == 0
    assert done == ["one", "two", "one"]
    table["three"] = Step(table["one"].act, minutes=5)
    assert folder(table, "--minutes", "1") == 0, "a step may need what there is"
    assert done[-1] == "one" and len(done) == 4
    table["four"] = Step(table["one"].act, minutes=5)
    table = {"long": Step(lambda kit: setattr(kit, "deadline", 0) or {}), **table}
    assert folder(table, "--minutes", "1") == kit.AGAIN, "a step that might not end is not begun"
    assert len(done) == 4


def test_a_failure_stops_only_what_needs_it(folder):
    def fail(_):
        raise StepFailed("no such thing")

    table = {
        "one": Step(fail),
        "needs": Step(lambda _: {}, ("one",)),
        "other": Step(lambda _: {"ok": True}),
        "odd": Step(lambda _: 1 / 0),
    }
    assert folder(table) == kit.FAILED
    assert folder.kit.outcome("one")["error"] == "no such thing"
    assert folder.kit.outcome("needs") == {"status": "skipped", "reason": "one failed"}
    assert folder.kit.done("other") == {"ok": True}
    assert folder.kit.outcome("odd")["error"].startswith("ZeroDivisionError")
    # what was left out is looked at again once its need is there
    table["one"] = Step(lambda _: {})
    assert folder(table, "--again", "one", "odd") == kit.FAILED
    assert folder.kit.done("needs") == {}


def test_what_is_not_there_is_told_and_not_tried_again(folder):
    tried = []

    def try_out(_):
        tried.append(1)
        raise Missing("no such option")

    for _ in range(2):
        assert folder({"one": Step(try_out)}) == 0
    assert len(tried) == 1
    assert folder.kit.outcome("one")["reason"] == "no such option"


def test_a_step_that_is_killed_each_time_is_given_up_unless_it_comes_further(folder):
    def killed(_):
        raise KeyboardInterrupt

    for _ in range(runner.ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            folder({"one": Step(killed)})
    assert folder({"one": Step(killed)}) == kit.FAILED
    assert "begun 2 times" in folder.kit.outcome("one")["error"]
    made = []

    def in_parts(kit):
        for name in "abcd":
            new = len(made)
            kit.part("two", name, lambda name=name: made.append(name) or {"part": name})
            if len(made) > new and name != "d":
                raise KeyboardInterrupt
        return {"parts": made}

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            folder({"two": Step(in_parts)})
    assert folder({"two": Step(in_parts)}) == 0
    assert made == list("abcd")


def test_programs_are_stopped_in_time_and_their_words_are_kept(folder, tmp_path):
    kit_ = folder.kit
    assert kit_.run(["sh", "-c", "echo out; echo err >&2"]) == "out\n"
    with pytest.raises(StepFailed, match="sh ended with 3: why"):
        kit_.run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(StepFailed, match="nowhere"):
        kit_.run([str(tmp_path / "nowhere")])
    kit_.deadline = 0
    with pytest.raises(runner.OutOfTime):
        kit_.run(["sleep", "30"])

    def slow(kit):
        kit.deadline = 0
        kit.run(["sleep", "30"])

    assert folder({"one": Step(slow)}) == kit.AGAIN
    assert folder.kit.outcome("one") is None


def test_a_package_goes_when_nobody_needs_it(folder):
    def export(kit):
        kit.package("bf16").mkdir()
        return {}

    seen = []
    table = {
        "export-bf16": Step(export),
        "bench-bf16": Step(lambda kit: seen.append(kit.package("bf16").is_dir()) or {}, ("export-bf16",)),
        "graphs-bf16": Step(lambda _: {}, ("export-bf16",), unless=lambda _: "no such option"),
    }
    assert folder(table) == 0
    assert seen == [True]
    assert not folder.kit.package("bf16").exists()
    table["graphs-bf16"] = Step(lambda _: {}, ("export-bf16",))
    assert folder(table) == 0
    assert folder.kit.outcome("graphs-bf16")["reason"] == "no such option", "the first reason says more"
    assert folder(table, "--again", "export-bf16") == 0
    assert folder.kit.done("graphs-bf16") == {}


def doctor(**tensorrt) -> dict:
    facts = {"name": "tensorrt", "built_in": True, "problem": None, "libraries": [], **tensorrt}
    return {"ok": True, "problems": [], "providers": [facts]}


def test_why_steps_are_left_out(folder):
    kit_ = folder.kit
    assert plan.no_tensorrt(kit_) == "doctor has not told what there is"
    libraries = [{"name": name, "path": None} for name in ("libnvinfer.so.10", "libnvonnxparser.so.10")]
    for facts, reason in [
        (doctor(built_in=False), "this ONNX Runtime was built without TensorRT"),
        (doctor(libraries=libraries), "no libnvinfer.so.10, libnvonnxparser.so.10 on this machine"),
        (doctor(problem="too old"), "too old"),
        (doctor(), None),
    ]:
        kit_.keep("doctor", "done", found=facts)
        assert plan.no_tensorrt(kit_) == reason
    assert plan.unusable(kit_) is None
    kit_.keep("doctor", "done", found={"ok": False, "problems": ["no libcuda.so.1"]})
    assert plan.unusable(kit_) == "doctor: no libcuda.so.1"
    kit_.keep("python", "done", found={"missing": ["torch"]})
    assert plan.no_torch(kit_) == "Python has no torch"
    assert "padding" in plan.no_padding(kit_)
    kit_.options.padding = True
    assert plan.no_padding(kit_) is None
    kit_.options.target = "cpu"
    assert plan.no_padding(kit_) == plan.only_cuda(kit_) == "a package for the target cuda"


def test_the_plan_is_in_order_and_leaves_nothing_out():
    names = list(plan.STEPS)
    for place, (name, step) in enumerate(plan.STEPS.items()):
        assert all(need in names[:place] for need in step.needs), name
        assert 60 * step.minutes < 600, "a step is under ten minutes"
    for package in steps.PACKAGES:
        assert f"export-{package}" in names and f"bench-{package}" in names
        assert package in tables.PACKAGES
    for package in ("bf16", "int4", "int4-bf16", "tensorrt"):
        assert {f"parity-{package}", f"first-token-{package}"} <= plan.STEPS.keys()
    for package in ("bf16", "int4"):
        assert {f"graphs-{package}", f"bench-{package}-graphs-off"} <= plan.STEPS.keys()
    assert {"python", "library", "machine", "doctor", "torch", "warm-tensorrt"} <= plan.STEPS.keys()


def test_an_option_that_a_build_lacks_is_no_failure():
    from proofs import GRAPHS, without_graphs

    lacks = StepFailed(
        f"provider-option {GRAPHS}: wanted an option of the cuda provider, which are a, got none"
    )
    assert isinstance(without_graphs(lacks), Missing)
    broken = StepFailed(f"the graph could not be captured ({GRAPHS})")
    assert without_graphs(broken) is broken


def test_replies_are_compared_as_far_as_they_agree():
    from proofs import same

    on = {"1": [[5, 6, 7], [-0.5, -1.0, -2.0]], "2": [[5], [-0.5]]}
    off = {"1": [[5, 6, 8], [-0.5, -1.25, -9.0]], "2": [[5], [-0.5]]}
    assert same(on, off) == {"replies": 2, "equal_ids": 1, "largest_logprob_difference": 0.25}
    assert same(on, on)["equal_ids"] == 2


def test_memory_by_the_drivers_program(tmp_path, monkeypatch):
    count = tmp_path / "count"
    program = tmp_path / "nvidia-smi"
    script = f"#!/bin/sh\necho x >> {count}\n[ $(wc -l < {count}) -gt 3 ] && echo 3000 || echo 1000\necho 7\n"
    program.write_text(script, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(watch, "by_library", lambda: None)
    with watch.Watch() as seen:
        while count.read_text().count("x") < 6:
            pass
    assert seen.found["peak_bytes"] == 2000 << 20
    assert seen.found["before_bytes"] == 1007 << 20
    assert seen.found["how"] == "nvidia-smi"
    monkeypatch.setattr(watch, "by_program", lambda: None)
    with watch.Watch() as seen:
        pass
    assert seen.found is None


def test_results_are_kept_as_json(tmp_path):
    runner.write_json(tmp_path / "x.json", {"a": 1})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_how_the_runtime_is_called(folder):
    kit_ = folder.kit
    kit_.options.fleming = "echo"
    assert kit_.fleming("ask", "-q", 1).split() == ["ask", "--provider", "cuda", "-q", "1"]
    library = kit_.work / "site/onnxruntime/capi/libonnxruntime.so.1.32.0"
    library.parent.mkdir(parents=True)
    library.touch()
    said = kit_.fleming("warm", "--provider", "tensorrt:1").split()
    engines = str(kit_.work / "engines")
    assert said == [
        "warm",
        "--provider",
        "tensorrt:1",
        "--engine-cache",
        engines,
        "--onnxruntime",
        str(library),
    ]


def test_libraries_come_from_wheels_and_from_torch(folder, tmp_path, monkeypatch):
    packages, wheels = tmp_path / "packages", tmp_path / "wheels"
    (packages / "torch").mkdir(parents=True)
    (packages / "nvidia/cu13/lib").mkdir(parents=True)
    wheels.mkdir()
    for name, files in {
        "onnxruntime_gpu-1.32.0-cp312.whl": ["onnxruntime/capi/libonnxruntime.so.1.32.0", "onnxruntime/x.py"],
        "nvidia_curand-10.4-py3.whl": ["nvidia/cu13/lib/libcurand.so.10", "nvidia/cu13/lib/stubs/libcuda.so"],
        "tensorrt_cu13_libs-10.15-py3.whl": ["tensorrt_libs/libnvinfer.so.10"],
    }.items():
        with zipfile.ZipFile(wheels / name, "w") as wheel:
            for file in files:
                wheel.writestr(file, file)
    torch = importlib.machinery.ModuleSpec("torch", None, origin=str(packages / "torch/__init__.py"))
    monkeypatch.setattr(steps.importlib.util, "find_spec", lambda _: torch)
    kit_ = folder.kit
    assert steps.library_step(kit_) == {"source": "found by the runtime itself"}
    kit_.options.wheels = str(wheels)
    found = steps.library_step(kit_)
    site = kit_.work / "site"
    assert found["tensorrt"] and found["source"].startswith("onnxruntime_gpu")
    assert (site / "onnxruntime/capi/libonnxruntime.so.1.32.0").is_file()
    assert not (site / "onnxruntime/x.py").exists()
    assert (site / "nvidia/cu13").resolve() == packages / "nvidia/cu13"
    assert [path.name for path in (site / "nvidia/wheel-nvidia_curand/lib").iterdir()] == ["libcurand.so.10"]
    assert (site / "tensorrt_libs/libnvinfer.so.10").is_file()
    assert steps.library_step(kit_) == found, "it can be done again"
