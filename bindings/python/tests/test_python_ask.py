"""`Engine.ask` and what comes back: the same as the program's."""

import copy
import dataclasses
import json
import pickle
import threading
from typing import Literal

import pytest
from bound import CHEST, CLIP, CT, DEVICE, EXAMPLES, NIFTI, SIDE, VOLUME, printed, run_program, same, told

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
        ({"dicom": sorted(CT.iterdir())[0]}, [sorted(CT.iterdir())[0]]),
        ({"file": CHEST}, [CHEST]),
        ({"file": CLIP, "frames": 2}, [CLIP, "--frames", 2]),
        ({"file": NIFTI, "slices": 2}, [NIFTI, "--slices", 2]),
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
        ({"ignore_eos": True, "max_new_tokens": 40}, ["--ignore-eos", "--max-new-tokens", 40]),
        ({"logit_bias": {30: 5, "31": -2.5}}, ["--logit-bias", "30=5", "--logit-bias", "31=-2.5"]),
        ({"logprobs": 2}, ["--logprobs", 2]),
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


def test_a_reply_is_a_dict_too(engine):
    reply = engine.ask(SIDE, image=CHEST, logprobs=1, keep_seen=True, schema={"const": "left"})
    told = json.loads(json.dumps(reply.to_dict()))
    assert (told["answer"], told["usage"]["prompt_tokens"]) == (reply.answer, reply.usage.prompt_tokens)
    assert bytes(told["logprobs"][0]["bytes"]) == reply.logprobs[0].bytes
    assert told["frames"][0]["source"] == str(CHEST) and "seen" not in told and "_parse" not in told
    fields = dataclasses.asdict(reply)
    assert fields["answer"] == reply.answer and "_handle" not in fields
    assert copy.deepcopy(reply) == reply == dataclasses.replace(reply)


def test_what_is_in_the_memory_of_the_library_is_not_pickled(engine):
    preview, embeddings = engine.preview(image=CHEST), engine.embed(image=CHEST)
    for held in (preview, preview.sheet, embeddings):
        with pytest.raises(TypeError, match="belongs to its process"):
            pickle.dumps(held)
        assert "object at" not in repr(held) and len(repr(held)) < 60
    assert copy.deepcopy(preview).png == preview.png
    assert repr(engine).startswith(f"<Engine of {engine.facts.package} on cpu")
    with engine.stream(SIDE) as stream:
        assert repr(stream) == "<Stream, under way>"
    assert repr(stream) == "<Stream, ended>"


def test_an_object_that_was_half_made_is_freed_quietly(monkeypatch):
    heard = []
    monkeypatch.setattr("sys.unraisablehook", heard.append)
    handle = fleming_vl._library.Handle.__new__(fleming_vl._library.Handle)
    del handle
    assert heard == []


class Model:
    """What of a pydantic model is used."""

    @staticmethod
    def model_json_schema():
        inner = {"type": "object", "properties": {"a": {"const": "b"}}, "required": ["a"]}
        return {**inner, "properties": {"a": {"$ref": "#/$defs/Inner"}}, "$defs": {"Inner": inner}}

    @staticmethod
    def model_validate_json(text):
        return json.loads(text)


def test_a_model_has_no_fields_but_its_own(engine):
    reply = engine.ask(SIDE, image=CHEST, schema=Model, prompt="direct")
    assert reply.parsed == {"a": {"a": "b"}}
    closed = fleming_vl._request._closed(Model.model_json_schema)
    assert closed["additionalProperties"] is closed["$defs"]["Inner"]["additionalProperties"] is False


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
        (fleming_vl.ArgumentError, "system: .*NUL", {"system": "a\0b"}),
        (fleming_vl.ArgumentError, "image: .*NUL", {"image": f"{CHEST}\0.dcm"}),
        (fleming_vl.ArgumentError, "dicom: .*NUL", {"dicom": [f"{CHEST}\0.dcm"]}),
        (fleming_vl.ArgumentError, "history: .*NUL", {"history": [("a\0b", "c")]}),
        (fleming_vl.InputError, "image: wanted at least one", {"image": []}),
        (fleming_vl.InputError, "got NoneType", {"image": [None]}),
        (fleming_vl.RequestError, "choice: wanted at least one", {"choice": []}),
        (fleming_vl.RequestError, "choice: .*got NoneType", {"choice": [None, "a"]}),
        (fleming_vl.RequestError, "stop: .*got 5", {"stop": 5}),
        (fleming_vl.RequestError, "stop: .*got 5", {"stop": ["a", 5]}),
        (fleming_vl.RequestError, "timeout: ", {"timeout": float("inf")}),
        (fleming_vl.RequestError, "timeout: ", {"timeout": float("nan")}),
        (fleming_vl.RequestError, "timeout: ", {"timeout": "5"}),
        (fleming_vl.RequestError, "logit_bias: .*got list", {"logit_bias": [1]}),
        (fleming_vl.RequestError, "logit_bias", {"logit_bias": {"yes": 1}}),
        (fleming_vl.RequestError, "prompt: ", {"prompt": ["direct"]}),
        (fleming_vl.RequestError, "preprocessing: ", {"preprocessing": ["reference"]}),
        (fleming_vl.RequestError, "slices: ", {"volume": VOLUME, "slices": {3}}),
        (fleming_vl.RequestError, "scope: ", {"scope": 5}),
        (fleming_vl.RequestError, "schema: ", {"schema": {"const": {1}}}),
        (fleming_vl.RequestError, "studies: .*got PosixPath in it", {"studies": [CHEST]}),
        (fleming_vl.RequestError, "studies: .*got Study", {"studies": fleming_vl.Study.image(CHEST)}),
        (fleming_vl.RequestError, "studies: .*an empty list", {"studies": []}),
        (fleming_vl.RequestError, "history: .*got str", {"history": "abc"}),
        (fleming_vl.RequestError, "history: .*got str in it", {"history": ["ab", "cd"]}),
        (fleming_vl.RequestError, "history: .*got dict in it", {"history": [{"role": "a", "content": "b"}]}),
        (fleming_vl.RequestError, r"history: .*got \(str\) in it", {"history": [("a",)]}),
        (fleming_vl.RequestError, r"history: .*got \(str, int\) in it", {"history": [("a", 5)]}),
        (fleming_vl.RequestError, "give it to Engine[)]", {"slots": 2}),
        (fleming_vl.RequestError, "^choice: wanted texts, got an empty one", {"choice": ["a", ""]}),
        (fleming_vl.RequestError, "^stop: wanted 0 to 64, got 65", {"stop": ["."] * 65}),
        (fleming_vl.RequestError, "^logprobs: wanted 0 to 20, got 21", {"logprobs": 21}),
        (fleming_vl.RequestError, "^logit_bias: wanted ids below", {"logit_bias": {2**32 - 1: 1}}),
        (fleming_vl.RequestError, "^max_tiles: wanted 1 to 256", {"image": CHEST, "max_tiles": 1000}),
        (fleming_vl.ArgumentError, "^image: wanted a path, got an empty text", {"image": ""}),
        (fleming_vl.RequestError, "did you mean image", {"images": CHEST}),
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
    assert caught.value.message
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.hint) == (error, str(caught.value), caught.value.hint)


@pytest.mark.parametrize("question", [None, 5, b"x", {"a": 1}, [5], ["Q", None]])
def test_what_is_no_question_is_an_error(engine, question):
    for call in (engine.ask, engine.chat().ask):
        with pytest.raises(fleming_vl.RequestError, match="question: wanted a text, or a list") as caught:
            call(question)
        assert caught.value.thing == "question" and caught.value.got and caught.value.hint


@pytest.mark.parametrize("answers", [0, -1, 129, "2", 2.5, None])
def test_what_is_no_number_of_answers_is_an_error(engine, answers):
    with pytest.raises(fleming_vl.RequestError, match="answers: wanted") as caught:
        engine.ask_all(SIDE, answers)
    assert caught.value.thing == "answers"


@pytest.mark.parametrize(
    ("says", "call"),
    [
        ("reply: wanted a Reply", lambda engine: engine.session(None)),
        ("session: wanted a path", lambda engine: engine.load_session(5)),
        ("file: wanted a path", lambda engine: engine.save_session(engine.ask(SIDE), 5)),
        ("package: wanted a path", lambda engine: fleming_vl.Engine(5)),
        ("package: .*NUL", lambda engine: fleming_vl.Engine("a\0b")),
        ("provider: wanted a text", lambda engine: fleming_vl.Engine(fleming_vl.DEMO, provider=5)),
        ("progress: wanted", lambda engine: fleming_vl.Engine(fleming_vl.DEMO, progress=5)),
        ("an option of Engine.ask", lambda engine: fleming_vl.Engine(fleming_vl.DEMO, temperature=1)),
        ("history: ", lambda engine: engine.chat(history=[{"role": "user", "content": "a"}])),
    ],
)
def test_an_argument_of_a_wrong_type_is_an_error_of_this_package(engine, says, call):
    with pytest.raises(fleming_vl.FlemingError, match=says) as caught:
        call(engine)
    assert caught.value.thing and caught.value.wanted and caught.value.got and caught.value.hint


def test_a_session_may_be_any_bytes(engine):
    session = engine.session(engine.ask(SIDE, scope="of bytes"))
    for kind in (bytes, bytearray, memoryview):
        engine.load_session(kind(session))


def test_another_library_is_an_error():
    script = """
import ctypes.util, os, fleming_vl
os.environ["FLEMING_LIBRARY"] = ctypes.util.find_library("c")
try:
    fleming_vl.Engine(fleming_vl.DEMO)
except fleming_vl.LibraryError as error:
    print(error)
"""
    assert "got another library" in printed(script)


def test_a_failure_has_its_facts(engine):
    with pytest.raises(fleming_vl.RequestError) as caught:
        engine.ask(SIDE, temperature=-1)
    error = caught.value
    assert (error.thing, error.wanted, error.got) == ("temperature", "0 to 100", "-1")
    assert error.message == "temperature: wanted 0 to 100, got -1" and error.hint
    with pytest.raises(fleming_vl.InputError) as caught:
        engine.ask(SIDE, image="nowhere.png")
    assert caught.value.thing == "nowhere.png" and "No such file" in caught.value.got


def test_tokens_are_told(engine):
    reply = engine.ask(SIDE, image=CHEST, logprobs=2)
    wanted = told(CHEST, "-q", SIDE, "--logprobs", 2)
    assert list(reply.completion_ids) == wanted["completion_ids"]
    assert reply.usage.thinking_tokens == wanted["usage"]["thinking_tokens"]
    assert len(reply.logprobs) == len(reply.completion_ids)
    for token, other in zip(reply.logprobs, wanted["logprobs"], strict=True):
        assert (token.id, token.bytes.decode()) == (other["id"], other["text"])
        assert token.logprob == pytest.approx(other["logprob"], abs=1e-6)
        assert [one.id for one in token.top] == [one["id"] for one in other["top"]]
    assert engine.ask(SIDE, image=CHEST).logprobs == ()


def test_several_answers_share_a_prefill(engine):
    options = {"image": CHEST, "temperature": 2.0, "prompt": "direct", "max_new_tokens": 8}
    replies = engine.ask_all(SIDE, 3, seed=5, **options)
    alone = [engine.ask(SIDE, seed=5 + place, **options) for place in range(3)]
    assert [reply.text for reply in replies] == [reply.text for reply in alone]
    assert len({reply.text for reply in replies}) > 1
    with pytest.raises(fleming_vl.FlemingError):
        engine.ask_all(SIDE, 0)


def test_a_question_may_be_parts(engine):
    study = fleming_vl.Study
    parts = ["Before: ", study.image(CHEST), " After: ", study.image(EXAMPLES / "fundus.png"), " Change?"]
    reply = engine.ask(parts)
    inputs = [CHEST, EXAMPLES / "fundus.png"]
    assert same(reply, told(*inputs, "-q", "Before: <image> After: <image> Change?"))
    literal = engine.ask([study.image(CHEST), "\nIs <image> a word?"])
    assert len(literal.frames) == 1
    shared = engine.ask([study.volume(VOLUME), "\nQ"], slices=2)
    assert len(shared.frames) == 2
    for options in ({"image": CHEST}, {"history": [("a", "b")]}):
        with pytest.raises(fleming_vl.RequestError):
            engine.ask(parts, **options)


def test_a_prompt_is_counted_before_it_runs(engine):
    count = engine.count_tokens(SIDE, image=CHEST)
    reply = engine.ask(SIDE, image=CHEST)
    assert (count.prompt_tokens, count.image_tokens) == (reply.usage.prompt_tokens, reply.usage.image_tokens)
    assert count.fits is True and count.frames == 1 and count.context == engine.facts.context
    assert engine.count_tokens("word " * 10_000).fits is False


def test_an_engine_says_what_it_does(engine):
    before = engine.counts()
    engine.ask(SIDE, image=CHEST, max_new_tokens=3, scope="of a test")
    after = engine.counts()
    assert after.steps > before.steps and after.prefilled_tokens > before.prefilled_tokens
    assert after.alive is True and after.failed_steps == 0
    facts = engine.facts
    assert (facts.slots, facts.threads, facts.provider) == (2, 1, "cpu")
    assert facts.most_tiles * facts.tokens_per_tile < facts.context


def test_scopes_share_nothing(engine):
    def cached(**options):
        return engine.ask("What is the scope of this?", image=CHEST, **options).usage.cached_tokens

    assert cached(scope="one") == 0 and cached(scope="one") > 100 and cached(scope="two") == 0


def test_a_preview_is_that_of_the_program(engine, tmp_path):
    numpy = pytest.importorskip("numpy")
    preview = engine.preview(volume=NIFTI, slices=3)
    run_program("preview", NIFTI, "--slices", 3, "--output", tmp_path / "seen.png")
    assert preview.png == preview._repr_png_() == (tmp_path / "seen.png").read_bytes()
    side = engine.facts.tile_size
    assert [numpy.asarray(picture).shape for picture in preview.pictures] == [(side, side, 3)] * 3
    assert [frame.index for frame in preview.frames] == [
        frame.index for frame in engine.ask(SIDE, volume=NIFTI, slices=3).frames
    ]
    assert numpy.asarray(preview.sheet).max() > 0


def test_a_reply_keeps_what_the_model_saw_if_it_is_asked_to(engine):
    numpy = pytest.importorskip("numpy")
    reply = engine.ask(SIDE, volume=NIFTI, slices=3, max_new_tokens=2, keep_seen=True)
    seen = engine.preview(volume=NIFTI, slices=3).pictures
    assert len(reply.seen) == len(reply.frames) == 3
    for one, other in zip(reply.seen, seen, strict=True):
        assert (numpy.asarray(one) == numpy.asarray(other)).all()
    assert engine.ask(SIDE, image=CHEST).seen == () == pickle.loads(pickle.dumps(reply)).seen


def test_the_doctor_is_that_of_the_program():
    report = fleming_vl.doctor(fleming_vl.DEMO, threads=1)
    assert report["ok"] is True and report["problems"] == []
    assert next(iter(fleming_vl.doctor()["providers"]))["name"] == "cpu"


def test_loading_is_heard_of_and_may_be_ended():
    heard, ends = [], []
    with fleming_vl.Engine(fleming_vl.DEMO, progress=lambda *told: heard.append(told), threads=1):
        pass
    assert all(0 <= done <= total for done, total in heard)
    assert heard[-1][0] == heard[-1][1] > 1_000_000

    def end(done, total):
        ends.append(done)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fleming_vl.Engine(fleming_vl.DEMO, progress=end, threads=1)
    assert len(ends) == 1


def test_no_thought_is_a_limit_of_thought(engine):
    with fleming_vl.Engine(fleming_vl.DEMO, image_cache=0, threads=1) as other:
        short = other.ask(SIDE, image=CHEST, max_thinking_tokens=0)
        assert other.counts().image_bytes == 0
    assert short.thought == "" and engine.ask(SIDE, image=CHEST).thought


@dataclasses.dataclass
class Side:
    side: Literal["left", "right"]


def test_what_pydantic_adapts_is_a_schema(engine):
    pydantic, extensions = map(pytest.importorskip, ("pydantic", "typing_extensions"))
    Found = extensions.TypedDict("Found", {"side": Literal["left", "right"]})
    for kind, wanted in ((Side, Side), (Found, dict)):
        reply = engine.ask(SIDE, image=CHEST, schema=pydantic.TypeAdapter(kind))
        assert isinstance(reply.parsed, wanted)
    listed = engine.ask(SIDE, image=CHEST, schema=pydantic.TypeAdapter(tuple[bool, bool]), prompt="direct")
    assert [type(one) for one in listed.parsed] == [bool, bool]
    for schema, hint in (
        (Side, "TypeAdapter(Side)"),
        (Found, "TypeAdapter(Found)"),
        (list[Side], "TypeAdapter(list"),
    ):
        with pytest.raises(
            fleming_vl.RequestError, match="schema: wanted a pydantic model or TypeAdapter"
        ) as caught:
            engine.ask(SIDE, schema=schema)
        assert hint in caught.value.hint


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
    for question in ("<image> <image>", "<image> and <image> and <image>"):
        with pytest.raises(fleming_vl.RequestError, match="place"):
            chat.ask(question, image=[CHEST] * (3 if question.count("<") == 2 else 1))
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
    content = engine.session(reply)
    assert content == (tmp_path / "session").read_bytes()
    for session in (tmp_path / "session", content):
        with fleming_vl.Engine(fleming_vl.DEMO, threads=1) as other:
            other.load_session(session)
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
