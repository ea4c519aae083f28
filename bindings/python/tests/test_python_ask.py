"""`Engine.ask` and what comes back: the same as the program's."""

import json
import pickle
import threading

import pytest
from bound import CHEST, CLIP, CT, DEVICE, EXAMPLES, NIFTI, SIDE, VOLUME, same, told

import fleming_vl


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"image": CHEST}, [CHEST]),
        ({"image": str(CHEST)}, [CHEST]),
        ({"image": [CHEST, EXAMPLES / "fundus.png"]}, [CHEST, EXAMPLES / "fundus.png"]),
        ({"video": CLIP, "frames": 3}, [CLIP, "--frames", 3]),
        ({"volume": VOLUME, "slices": 5}, [VOLUME, "--slices", 5]),
        ({"volume": NIFTI, "plane": "coronal"}, [NIFTI, "--plane", "coronal"]),
        ({"dicom": CT}, [CT]),
        ({"image": CHEST, "volume": VOLUME, "slices": 3}, [CHEST, VOLUME, "--slices", 3]),
        ({}, []),
    ],
)
def test_an_answer_is_that_of_the_program(engine, inputs, arguments):
    assert same(engine.ask(DEVICE, **inputs), told(*arguments, "-q", DEVICE))


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"prompt": "direct"}, ["--prompt", "direct"]),
        ({"temperature": 1.5, "seed": 7, "top_k": 20}, ["--temperature", 1.5, "--seed", 7, "--top-k", 20]),
        ({"stop": "nodule"}, ["--stop", "nodule"]),
        ({"stop": ["a", "b"], "speculation": 4}, ["--stop", "a", "--stop", "b", "--speculation", 4]),
        ({"choice": ["left", "right"]}, ["--choice", "left", "--choice", "right"]),
        ({"regex": "[a-z]{3}"}, ["--regex", "[a-z]{3}"]),
        ({"max_new_tokens": 5}, ["--max-new-tokens", 5]),
        ({"max_thinking_tokens": 3}, ["--max-thinking-tokens", 3]),
        ({"system": "You are short."}, ["--system", "You are short."]),
        ({"preprocessing": "reference"}, ["--preprocessing", "reference"]),
        ({"max_tiles": 4}, ["--max-tiles", 4]),
        ({"max_tiles": None}, []),
    ],
)
def test_options_have_the_names_and_the_meaning_of_the_program(engine, options, arguments):
    assert same(engine.ask(SIDE, image=CHEST, **options), told(CHEST, "-q", SIDE, *arguments))


def test_a_reply_is_whole(engine):
    reply = engine.ask(SIDE, image=CHEST)
    assert (reply.answer, reply.finish, reply.truncated) == ("right lung", "stop", None)
    assert reply.usage.prompt_tokens > reply.usage.image_tokens > 0
    assert reply.timings_ms.first_token > 0 and reply.warnings == ()
    (frame,) = reply.frames
    assert (frame.source, frame.modality, frame.study) == (str(CHEST), "image", 0)
    assert (reply.package, reply.digest) == (engine.facts.package, engine.facts.digest)
    assert engine.facts.precision == "f32" and engine.facts.onnxruntime.startswith("libonnxruntime")
    again = pickle.loads(pickle.dumps(reply))
    assert again == reply
    with pytest.raises(AttributeError):
        reply.answer = "left lung"


def test_studies_have_options_of_their_own(engine):
    studies = [fleming_vl.Study.volume(VOLUME, slices=2), fleming_vl.Study.volume(VOLUME, slices=3)]
    reply = engine.ask("Before: <image> After: <image> What changed?", studies=studies, prompt="direct")
    assert [frame.study for frame in reply.frames] == [0, 0, 1, 1, 1]
    named = fleming_vl.Study.image(CHEST.read_bytes(), name="today")
    assert engine.ask(SIDE, studies=[named]).frames[0].source == "today"


@pytest.mark.parametrize(
    ("error", "says", "options"),
    [
        (fleming_vl.InputError, "nowhere.png", {"image": "nowhere.png"}),
        (fleming_vl.InputError, "wanted a path, bytes", {"image": 3}),
        (fleming_vl.InputError, "got io.TextIOWrapper", {"image": print}),
        (fleming_vl.RequestError, "slices: wanted a volume", {"image": CHEST, "slices": 5}),
        (fleming_vl.RequestError, "temperature: wanted 0 to 100, got -1", {"temperature": -1}),
        (fleming_vl.RequestError, "did you mean max_new_tokens", {"max_new_token": 5}),
        (fleming_vl.RequestError, "max_new_tokens", {"max_new_tokens": -1}),
        (fleming_vl.RequestError, "max_new_tokens", {"max_new_tokens": 2.5}),
        (fleming_vl.RequestError, "max_new_tokens: wanted 1 to", {"max_new_tokens": 0}),
        (fleming_vl.RequestError, "timeout: wanted above 0", {"timeout": 0}),
        (fleming_vl.RequestError, "top_p: wanted above 0", {"top_p": 0}),
        (fleming_vl.RequestError, "temperature: wanted a number, got hot", {"temperature": "hot"}),
        (fleming_vl.RequestError, "one of schema and json_schema", {"schema": {}, "json_schema": "{}"}),
        (fleming_vl.RequestError, "wanted a video, got none", {"image": CHEST, "fps": 2}),
        (fleming_vl.ArgumentError, "NUL", {"system": "a\0b"}),
    ],
)
def test_a_failure_says_what_is_wrong(engine, error, says, options):
    if options.get("image") is print:
        with CHEST.open("r", encoding="latin-1") as file, pytest.raises(error, match="got str"):
            engine.ask(SIDE, image=file)
        return
    with pytest.raises(error, match=says) as caught:
        engine.ask(SIDE, **options)
    assert isinstance(caught.value, fleming_vl.FlemingError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.hint) == (error, str(caught.value), caught.value.hint)


def test_a_schema_gives_objects(engine):
    schema = {"type": "object", "properties": {"side": {"enum": ["left", "right"]}}, "required": ["side"]}
    schema["additionalProperties"] = False
    for form in (schema, json.dumps(schema)):
        reply = engine.ask(SIDE, image=CHEST, schema=form, prompt="direct")
        assert reply.parsed == json.loads(reply.answer) and reply.parsed["side"] in ("left", "right")
    cut = engine.ask(SIDE, image=CHEST, schema=schema, prompt="direct", max_new_tokens=2)
    with pytest.raises(ValueError, match="cut off"):
        _ = cut.parsed
    with pytest.raises(ValueError, match="without"):
        _ = engine.ask(SIDE, image=CHEST).parsed


def test_a_model_of_pydantic_is_a_schema(engine):
    pydantic = pytest.importorskip("pydantic")
    finding = pydantic.create_model("Finding", side=(str, pydantic.Field(pattern="^(left|right)$")))
    finding.model_config["extra"] = "forbid"
    finding.model_rebuild(force=True)
    parsed = engine.ask(SIDE, image=CHEST, schema=finding, prompt="direct").parsed
    assert isinstance(parsed, finding) and parsed.side in ("left", "right")


def test_a_chat_is_that_of_the_program(engine, tmp_path):
    chat = engine.chat()
    first = chat.ask(SIDE, image=CHEST)
    second = chat.ask(DEVICE)
    assert second.usage.cached_tokens >= first.usage.prompt_tokens
    third = chat.ask("And here?", image=EXAMPLES / "fundus.png")
    assert [frame.source for frame in third.frames] == [str(CHEST), str(EXAMPLES / "fundus.png")]
    history = tmp_path / "history.json"
    for turns, reply, inputs in ((1, second, [CHEST]), (2, third, [CHEST, EXAMPLES / "fundus.png"])):
        history.write_text(json.dumps(chat.turns[:turns]))
        question = DEVICE if turns == 1 else "<image>\nAnd here?"
        assert same(reply, told(*inputs, "--history", history, "-q", question))
    assert engine.ask("And here?", image=CHEST, history=chat.turns[:0]).usage.prompt_tokens > 0
    with pytest.raises(fleming_vl.InputError):
        chat.ask("And here?", image="nowhere.png")
    assert len(chat.turns) == 3
    chat.reset()
    assert same(chat.ask(SIDE, image=CHEST), told(CHEST, "-q", SIDE))


def test_a_chat_may_begin_with_inputs_and_options(engine):
    chat = engine.chat(image=CHEST, max_new_tokens=5)
    assert chat.ask(SIDE).usage.completion_tokens == 5
    assert chat.ask(SIDE, max_new_tokens=7).usage.completion_tokens == 7
    assert chat.turns[0][0].endswith(f"\n<image>\n{SIDE}")


def test_a_conversation_is_saved_and_loaded(engine, tmp_path):
    reply = engine.ask(SIDE, image=CHEST)
    engine.save_session(reply, tmp_path / "session")
    with fleming_vl.Engine(fleming_vl.DEMO, threads=1) as other:
        other.load_session(tmp_path / "session")
        again = other.ask(SIDE, image=CHEST)
    assert again.text == reply.text and again.usage.cached_tokens > 100
    with pytest.raises(fleming_vl.RequestError, match="pickled"):
        engine.save_session(pickle.loads(pickle.dumps(reply)), tmp_path / "other")


def test_embeddings_are_arrays(engine):
    numpy = pytest.importorskip("numpy")
    embeddings = engine.embed(image=[CHEST, EXAMPLES / "fundus.png"])
    values = numpy.asarray(embeddings)
    assert values.shape == embeddings.shape == (2, *embeddings.shape[1:])
    assert values.dtype == numpy.float32 and numpy.isfinite(values).all()
    assert abs(values[0] - values[1]).max() > 0


def test_memory_is_known_before_a_package_is_loaded(engine):
    memory = fleming_vl.memory(fleming_vl.DEMO, slots=2, threads=1)
    assert memory.total == engine.facts.memory
    assert fleming_vl.memory(fleming_vl.DEMO, slots=4).slots == 2 * memory.slots


def test_an_engine_that_was_closed_says_so():
    engine = fleming_vl.Engine(fleming_vl.DEMO, threads=1)
    with engine:
        pass
    with pytest.raises(fleming_vl.EngineError, match="closed"):
        engine.ask(SIDE)
    with pytest.raises(TypeError, match="belongs to the process"):
        pickle.dumps(engine)
    with pytest.raises(fleming_vl.PackageError):
        fleming_vl.Engine(EXAMPLES)
    with pytest.raises(fleming_vl.FlemingError, match="slots"):
        fleming_vl.Engine(fleming_vl.DEMO, slots=100_000)


def test_two_engines_and_many_threads_do_not_mix(engine):
    with fleming_vl.Engine(fleming_vl.DEMO, threads=1) as other:
        questions = [(SIDE, {"image": CHEST}), (DEVICE, {"volume": VOLUME, "slices": 3}), (SIDE, {})]
        wanted = [engine.ask(question, **inputs).text for question, inputs in questions]
        wrong = []

        def ask(model, place):
            question, inputs = questions[place % 3]
            text = model.ask(question, **inputs).text
            if text != wanted[place % 3]:
                wrong.append((place, text))

        models = [engine, other] * 6
        threads = [threading.Thread(target=ask, args=(model, place)) for place, model in enumerate(models)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == [] and len(set(wanted)) == 3
