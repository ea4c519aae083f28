"""The demo: what is drawn and asked follows from a seed, and the checkpoint is one the exporter takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from fleming_export import export
from fleming_export.config import read_config
from fleming_export.demo import dicom, nifti, questions, seeds
from fleming_export.demo.__main__ import main
from fleming_export.demo.cases import ASSETS, write_cases
from fleming_export.demo.clips import RATE, Clip, looked_at
from fleming_export.demo.facts import FACTS, IMAGE
from fleming_export.demo.images import MODALITIES, draw
from fleming_export.demo.questions import KINDS, drill, sample
from fleming_export.demo.slots import MARKS, SCALES, SLOT_OF, SLOTS, mark_number, seen
from fleming_export.demo.volumes import LOOKED_AT, THIRDS, Volume


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_follows_from_its_seed(kind):
    first, again, other = (sample(kind, ("test", 3, index)) for index in (7, 7, 8))
    assert first.asked == again.asked
    assert first.history == again.history
    for a, b in zip(first.frames(), again.frames(), strict=True):
        assert (a.pixels == b.pixels).all()
    if kind != "text":
        assert any(
            a.pixels.shape != b.pixels.shape or (a.pixels != b.pixels).any()
            for a, b in zip(first.frames(), other.frames(), strict=False)
        )


def test_splits_share_no_stream():
    paths = [(), (0,), (1,), (0, 0), (0, 1)]
    drawn = [
        seeds.generator(split, seed, *path).integers(1 << 62)
        for split in seeds.SPLITS
        for seed in range(20)
        for path in paths
    ]
    assert len(set(map(int, drawn))) == len(drawn)
    assert len(set(seeds.SPLITS.values())) == len(seeds.SPLITS)
    with pytest.raises(ValueError, match="seeds and indices"):
        seeds.generator("train", -1)


@pytest.mark.parametrize("modality", MODALITIES)
def test_pictures_state_what_they_show(modality):
    for index in range(12):
        picture = draw(seeds.generator("train", 1, index), modality)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape[:2] == (256, 256)
        assert picture.facts["modality"] == modality
        assert all(value in IMAGE[key].values for key, value in picture.facts.items())


def test_sides_are_the_patients():
    """A device on the patient's left makes the right of the picture brighter."""
    seen = set()
    for index in range(40):
        picture = draw(seeds.generator("train", 2, index), "axial CT")
        if picture.facts["ct_device"] == "none":
            continue
        left, right = (int((half > 240).sum()) for half in np.split(picture.pixels[:128], 2, axis=1))
        assert (right > left) == (picture.facts["ct_side"] == "left")
        seen.add(picture.facts["ct_side"])
    assert seen == {"left", "right"}


def test_volume_nodule_is_in_its_third():
    thirds = set()
    for index in range(24):
        volume = Volume(seeds.generator("train", 3, index))
        facts = [picture.facts for picture in volume.looked_at()]
        where = [z for z, fact in zip(LOOKED_AT, facts, strict=True) if fact["slice_nodule"] != "none"]
        wanted = volume.facts["vol_nodule"]
        thirds.add(wanted)
        assert bool(where) == (wanted != "none")
        bounds = {"upper third": (0, 10), "middle third": (11, 21), "lower third": (22, 31)}.get(
            wanted, (0, 0)
        )
        assert all(bounds[0] <= z <= bounds[1] for z in where)
        assert volume.facts["vol_node"] in {fact["slice_node"] for fact in facts}
    assert thirds == {"none", *THIRDS}


def test_volume_as_a_file():
    values = Volume(seeds.generator("train", 3, 1)).array()
    assert (values.shape, values.dtype) == ((32, 256, 256), np.int16)


def test_the_repositorys_scans_are_those_of_its_volume():
    examples = Path(__file__).parents[2] / "examples"
    slices, spacing = np.load(examples / "volume.npz")["arr_0"][:, ::2, ::2], (9.0, 2.7, 2.7)
    assert (examples / "chest.nii.gz").read_bytes()[10:] == nifti.encode(slices, spacing)[10:]
    files = sorted((examples / "chest_ct").iterdir())
    assert [file.read_bytes() for file in files] == list(dicom.series(slices, spacing))


@pytest.mark.parametrize("most", [0, 1, 255, 4095])
def test_lossless_pixels_are_as_many_bits_as_they_must_be(most):
    """What Pillow cannot read is taken apart here: codes back to differences, and these to samples."""
    samples = np.random.default_rng(7).integers(0, most + 1, (5, 6))
    stream = dicom.lossless_jpeg(samples)
    start = stream.index(b"\xff\xda") + 10
    coded = stream[start:-2].replace(b"\xff\0", b"\xff")
    bits = "".join(f"{byte:08b}" for byte in coded)
    codes, code, before = {}, 0, dicom.CODE_LENGTHS[0]
    for category, length in enumerate(dicom.CODE_LENGTHS):
        code <<= length - before
        codes[f"{code:0{length}b}"] = category
        code, before = code + 1, length
    found = np.zeros_like(samples)
    for row, column in np.ndindex(*samples.shape):
        length = next(length for length in range(1, 17) if bits[:length] in codes)
        category, bits = codes[bits[:length]], bits[length:]
        low, bits = int("0" + bits[:category], 2), bits[category:]
        difference = low if low >> max(category - 1, 0) else low - (1 << category) + 1
        origin = 1 << (dicom.BITS - 1) if row == 0 else found[row - 1, 0]
        found[row, column] = (found[row, column - 1] if column else origin) + difference
    assert (found == samples).all()
    assert set(bits) <= {"1"}
    assert len(bits) < 8


def test_clip_instruments_move_as_stated():
    for index in range(40):
        clip = Clip(seeds.generator("train", 4, index))
        if "vid_side" not in clip.facts:
            continue
        bright = [(frame.pixels > 200).sum() for frame in clip.looked_at()]
        assert (bright[-1] > bright[0]) == (clip.facts["vid_move"] == "in")
        ends = {"left": np.s_[:, :8], "right": np.s_[:, -8:], "top": np.s_[:8], "bottom": np.s_[-8:]}
        at = {side: int((clip.frame(0).pixels[place] > 200).sum()) for side, place in ends.items()}
        assert max(at, key=at.get) == clip.facts["vid_side"]


def test_clip_chambers_move_as_stated():
    seen = set()
    for index in range(60):
        clip = Clip(seeds.generator("train", 5, index))
        radii = [frame.amounts.get("radius") for frame in clip.looked_at()]
        if radii[0] is None:
            continue
        state = clip.facts.get("vid_change", clip.facts.get("vid_motion"))
        seen.add(state)
        moved = {"beating": max(radii) - min(radii) > 0.5, "stays": max(radii) == min(radii)}
        moved |= {"grows": radii[-1] > radii[0] + 1, "shrinks": radii[-1] < radii[0] - 1}
        assert moved[state], (state, radii)
    assert seen == {"beating", "stays", "grows", "shrinks"}


def test_frames_are_those_of_the_runtime():
    assert looked_at(48) == [3, 11, 19, 27, 34, 42]  # recorded from the authors' script


@pytest.mark.parametrize("kind", ASSETS)
def test_answers_follow_from_what_was_drawn(kind):
    for index in range(30):
        case = sample(kind, ("train", 6, index))
        fact, answer = FACTS[case.fact], case.asked.answer
        letter, _, text = answer.rpartition(". ")
        if letter:
            assert f"{letter}. {text}" in case.asked.question
            others = [option for option in "ABCD" if f"{option}. {text}" in case.asked.question]
            assert others == [letter]
        values = [study.facts[case.fact] for study in case.studies]
        if kind == "compare":
            shown = [value != fact.absent for value in values]
            assert text == ("neither", "second", "first", "both")[2 * shown[0] + shown[1]]
        elif text in {"yes", "no"}:
            assert (text == "no") == (values[0] == fact.absent)
        else:
            assert text == fact.values[values[0]][0]


def test_without_options_a_question_has_one_kind_of_answer():
    """The same words must not want a yes in one place and a name in another."""
    answers: dict[str, set[str]] = {}
    for index in range(3000):
        asked = drill("train", 7, index)
        if "A. " not in asked.question:
            answers.setdefault(asked.question, set()).add(asked.answer)
    assert not [
        question for question, given in answers.items() if given & {"yes", "no"} and given - {"yes", "no"}
    ]


@pytest.mark.parametrize("modality", MODALITIES)
def test_marks_are_where_things_are(modality):
    """Every finding that has a place is marked, inside the picture, by a mark that training knows."""
    placed = {slot for slot, _ in MARKS}
    for index in range(12):
        picture = draw(seeds.generator("train", 12, index), modality)
        assert all(mark_number(mark.fact, mark.value) > 0 for mark in picture.marks)
        assert all(max(map(abs, mark.centre)) < 1 for mark in picture.marks)
        marked = {(mark.fact, mark.value) for mark in picture.marks}
        wanted = {pair for pair in picture.facts.items() if SLOT_OF[pair[0]] in placed and pair[1] != "none"}
        assert marked == wanted


@pytest.mark.parametrize("kind", ["image", "volume", "video"])
def test_slots_hold_what_frames_show(kind):
    """Read back, the values of a frame's slots are its facts; a scale lies between its ends."""
    for index in range(30):
        for frame in sample(kind, ("train", 13, index)).frames():
            values = dict(zip(SLOTS, seen(frame).tolist(), strict=True))
            for fact, value in frame.facts.items():
                assert SLOTS[SLOT_OF[fact]][int(values[SLOT_OF[fact]]) - 1] == value
            shown = {SLOT_OF[fact] for fact in frame.facts} | set(frame.amounts)
            shown |= {"node"} if frame.facts["modality"] == "axial CT" else set()
            assert {slot for slot, value in values.items() if value} == shown
            assert all(1 <= values[slot] <= len(SLOTS[slot]) for slot in SCALES if slot in shown)


def test_codes_are_read_back():
    torch = pytest.importorskip("torch")
    from fleming_export.demo.model import Codes

    frames = sample("video", ("train", 14, 0)).frames() + sample("volume", ("train", 14, 0)).frames()
    codes, values = Codes(192), torch.from_numpy(np.stack([seen(frame) for frame in frames]))
    rows = codes(values)
    loss, right = codes.loss(rows, values)
    assert rows.shape == (len(frames), 64, 192)
    assert loss < 0.3  # amounts between two values are neither
    assert right.all()
    assert codes.loss(rows.roll(1, 1), values)[0] > 1


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="clips are encoded by ffmpeg")
def test_cases_are_well_formed_and_reproducible(tmp_path):
    assert main(["cases", str(tmp_path / "a"), "--seed", "5", "--per-kind", "2"]) == 0
    write_cases(tmp_path / "b", 5, 2)
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "a/cases.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == [kind for kind in ASSETS for _ in range(2)]
    assert len({line["id"] for line in lines}) == len(lines)
    for line in lines:
        inputs = [*line["images"], *filter(None, [line["volume"], line["video"]])]
        assert len(inputs) == (2 if line["kind"] == "compare" else 1)
        assert all((tmp_path / "a" / name).is_file() for name in inputs)
        assert bool(line["history"]) == (line["kind"] == "follow_up")
        assert line["question"]
        assert line["answer"]


def test_cases_need_no_torch():
    code = "import sys; sys.modules['torch'] = None; from fleming_export.demo import cases, config"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_clip_length_is_whole_seconds():
    assert all(Clip(seeds.generator("train", 8, index)).frames % RATE == 0 for index in range(5))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The demo model with random weights."""
    from fleming_export.demo.config import write_files
    from fleming_export.synthetic.checkpoint import plan, write_weights
    from fleming_export.synthetic.drawn import Options
    from fleming_export.synthetic.tokenizer import special_ids

    folder = tmp_path_factory.mktemp("demo") / "checkpoint"
    folder.mkdir()
    config = write_files(folder)
    stop = special_ids(config["llm_config"]["vocab_size"])["<|im_end|>"]
    write_weights(folder, plan(config), stop, Options())
    return folder


def test_the_exporter_takes_the_checkpoint(checkpoint, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    config = read_config(json.loads((checkpoint / "config.json").read_text()))
    assert config.tokens_per_tile == 64
    assert config.language.head_dim % 16 == 0
    package = export(str(checkpoint), tmp_path / "package")
    assert sum(path.stat().st_size for path in package.iterdir()) < 16e6
    session = runtime.InferenceSession(str(package / "vision.onnx"), providers=["CPUExecutionProvider"])
    rows = session.run(None, {"pixel_values": np.zeros((1, 3, 448, 448), np.float32)})[0]
    assert rows.shape == (1, 64, config.language.hidden)
    assert np.isfinite(rows).all()


def test_torch_and_package_agree(checkpoint, tmp_path):
    """A few random weights: the parameters' names, the tower and the prompt are those of the exporter."""
    torch, runtime = pytest.importorskip("torch"), pytest.importorskip("onnxruntime")
    from fleming_export.demo.batches import Encoder, normalise, pixels, prompt_text
    from fleming_export.demo.model import DemoModel, tensors
    from fleming_export.demo.train import write_safetensors
    from fleming_export.parity.prompts import Prompt
    from fleming_export.parity.runtime import PackageRunner

    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    torch.manual_seed(0)
    model = DemoModel(json.loads((folder / "config.json").read_text())).eval()
    write_safetensors(folder / "model.safetensors", tensors(model))
    package = export(str(folder), tmp_path / "package")
    case, encoder = sample("compare", ("test", 9, 0)), Encoder(folder)
    values = normalise(pixels(case.frames()))
    ids = torch.tensor([encoder.ids(prompt_text(case))])
    with torch.inference_mode():
        rows = model.embed(values)
        logits = model.language_model.lm_head(model.hidden(ids, encoder.context, rows))[0, -1].numpy()
    session = runtime.InferenceSession(str(package / "vision.onnx"), providers=["CPUExecutionProvider"])
    seen = np.concatenate([session.run(None, {"pixel_values": v[None]})[0] for v in values.numpy()])
    assert np.abs(seen - rows.numpy()).max() < 1e-4
    is_image = ids[0].numpy() == encoder.context
    splice = np.where(is_image, np.cumsum(is_image) - 1, -1)
    prompt = Prompt("", ids[0].numpy(), splice, np.zeros(0), np.zeros(0))
    runner = PackageRunner(package, ids.shape[1] + 8)
    got = runner.prefill(prompt, seen.reshape(-1, seen.shape[-1]), 128)
    assert np.abs(got.reshape(-1) - logits).max() < 1e-3


def test_training_saves_and_goes_on(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from fleming_export.demo import batches, gallery
    from fleming_export.demo.train import Options, Trainer

    monkeypatch.setattr(gallery, "COUNTS", dict.fromkeys(gallery.COUNTS, gallery.TOGETHER))
    out = tmp_path / "out"
    tower = Trainer(out, Options("tower"))
    assert np.isfinite(tower.train(batches.frames("train", 1, 0, 2), None)["loss"])
    tower.save()
    language = Trainer(out, Options("language", seed=2))
    kept = gallery.fill(out, 1, 1)
    for kind in ("compare", "volume"):
        batch = language.encoder.talk(kind, ("train", 1, 0), kept, 2)
        assert np.isfinite(language.train(batch, kept)["loss"])
    language.save()
    again = Trainer(out, Options("language"))
    again.resume()
    again.join()
    assert (again.step, language.step, tower.step) == (2, 2, 1)
    mine = dict(again.model.named_parameters())
    for trained, part in ((tower, ("vision_model", "mlp1")), (language, ("language_model",))):
        theirs = dict(trained.model.named_parameters())
        names = [name for name in theirs if name.startswith(part)]
        assert names
        assert all((mine[name] == theirs[name]).all() for name in names)


def test_the_parts_finish_together(tmp_path):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from fleming_export.demo.questions import DRAWN
    from fleming_export.demo.train import Options, Trainer

    for part in ("tower", "language"):
        Trainer(tmp_path, Options(part, seed=3)).save()
    both = Trainer(tmp_path, Options("together"))
    both.take("language")
    both.take("tower")
    before = both.model.vision_model.embeddings.position_embedding.clone()
    batch = both.encoder.talk("video", ("train", 1, 0), DRAWN, 2)
    assert np.isfinite(both.train(batch, None)["loss"])
    assert (both.model.vision_model.embeddings.position_embedding == before).all()
    both.save()
    tower = Trainer(tmp_path, Options("tower"))
    tower.join()
    mine, theirs = tower.model.language_model.state_dict(), both.model.language_model.state_dict()
    assert all((mine[name] == theirs[name]).all() for name in mine)


def test_all_parts_are_trained_in_their_order(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    from fleming_export.demo import __main__ as command

    events, codes = [], {}

    class Process:
        def __init__(self, words):
            self.part = words[words.index("--part") + 1]
            events.append(f"{self.part} begins")

        def wait(self):
            events.append(f"{self.part} ends")
            return codes.get(self.part, 0)

    monkeypatch.setattr(command.subprocess, "Popen", Process)
    assert command.main(["train", str(tmp_path)]) == 0
    assert events[:2] == ["tower begins", "language begins"]
    assert events[-2:] == ["together begins", "together ends"]
    codes["language"] = 1
    events.clear()
    assert command.main(["train", str(tmp_path)]) == 1
    assert "together begins" not in events
    assert "language failed" in capsys.readouterr().err
    assert command.main(["train", str(tmp_path), "--part", "together"]) == 1
    assert "language.pt" in capsys.readouterr().err


def test_replies_are_as_the_runtime_reads_them():
    for kind in KINDS:
        reply = questions.sample(kind, ("train", 2, 1)).asked.reply
        assert reply.startswith("<think>")
        assert reply.count("<answer>") == reply.count("</answer>") == 1
