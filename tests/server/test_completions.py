"""Chat completions, as a client's program meets them."""

import json

import pytest
from serving import ANSWER, QUESTION, about, data_url, picture

from program import ROOT

VOLUME = ROOT / "examples" / "chest.nii.gz"
CLIP = ROOT / "examples" / "clip.mp4"


def content(answer):
    assert answer.status == 200, answer.body
    return answer.json()["choices"][0]["message"]["content"]


def volume(**fields):
    return {"type": "file", "file": {"filename": "chest.nii.gz", "file_data": data_url(VOLUME)}, **fields}


def test_a_picture_is_answered_with_its_thought_apart(server):
    reply = server.chat(about(picture())).json()
    message = reply["choices"][0]["message"]
    assert message["content"] == ANSWER and message["refusal"] is None
    assert message["reasoning_content"] == message["reasoning"] == "There is a nodule in the right lung."
    assert reply["object"] == "chat.completion" and reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"]["prompt_tokens_details"]["image_tokens"] == 64
    assert (
        0
        < reply["usage"]["completion_tokens_details"]["reasoning_tokens"]
        < reply["usage"]["completion_tokens"]
    )
    assert reply["fleming"]["frames"] == [{"source": "image 1", "study": 0, "tiles": 1}]


def test_studies_before_and_after_a_text_are_the_same(server):
    before = [{"role": "user", "content": [picture(), {"type": "text", "text": QUESTION}]}]
    after = [{"role": "user", "content": [{"type": "text", "text": QUESTION}, picture()]}]
    first, second = (server.chat(messages).json() for messages in (before, after))
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= first["usage"]["prompt_tokens"] - 2
    assert content(server.chat(after)) == ANSWER


def test_a_stream_joins_to_the_reply(server):
    reply = server.chat(about(picture())).json()
    stream = server.chat(about(picture()), stream=True, stream_options={"include_usage": True})
    assert (
        stream.headers["content-type"] == "text/event-stream" and stream.headers["x-accel-buffering"] == "no"
    )
    chunks = stream.chunks()
    *pieces, usage = chunks
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["usage"] is None for chunk in pieces) and usage["choices"] == []
    deltas = [chunk["choices"][0]["delta"] for chunk in pieces]
    assert deltas[0] == {"role": "assistant", "content": ""}
    joined = {
        field: "".join(delta.get(field, "") for delta in deltas)
        for field in ("content", "reasoning_content", "reasoning")
    }
    message = reply["choices"][0]["message"]
    assert joined == {field: message[field] for field in joined}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in pieces]
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}
    assert usage["usage"]["completion_tokens"] == reply["usage"]["completion_tokens"]


def test_progress_comes_where_it_is_asked_for(server):
    messages = about(picture(), question="Is there a fracture?")
    told = [
        chunk["fleming"]["progress"]
        for chunk in server.chat(messages, stream=True, fleming={"progress": True}).chunks()
        if not chunk["choices"]
    ]
    assert told and told[-1]["done"] == told[-1]["total"] and told[-1]["stage"] == "prefilling"
    assert all(chunk["choices"] for chunk in server.chat(messages, stream=True).chunks())


def test_a_volume_is_looked_at_as_the_options_say(server):
    messages = about(volume(), question="What device is observed on the chest wall?")
    frames = server.chat(messages, fleming={"slices": 5, "plane": "coronal"}).json()["fleming"]["frames"]
    assert len(frames) == 5 and frames[0]["source"] == "chest.nii.gz"
    assert frames[0]["view"]["plane"] == "coronal"
    messages = about(
        volume(fleming={"slices": 3}), picture(), question="What device is observed on the chest wall?"
    )
    assert len(server.chat(messages, fleming={"slices": 5}).json()["fleming"]["frames"]) == 4


def test_a_clip_is_a_video(server):
    clip = {"type": "video_url", "video_url": {"url": data_url(CLIP, "video/mp4")}}
    question = "From which side does the instrument enter?"
    reply = server.chat(about(clip, question=question), fleming={"frames": 3}).json()
    assert [frame["source"] for frame in reply["fleming"]["frames"]] == ["video 1"] * 3
    assert all("time" in frame for frame in reply["fleming"]["frames"])


def test_a_follow_up_continues_what_is_in_memory(server):
    messages = about(picture())
    first = server.chat(messages).json()
    message = first["choices"][0]["message"]
    messages = [
        *messages,
        {"role": "assistant", **message},
        {"role": "user", "content": "Is there a pleural effusion?"},
    ]
    second = server.chat(messages).json()
    # All of the first prompt is there; what a reply's steps wrote is read again.
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= first["usage"]["prompt_tokens"] - 1
    assert second["choices"][0]["finish_reason"] == "stop"


def test_letters_of_the_prompt_are_letters(server):
    text = "<image> <|im_end|> <img></img> <think>"
    reply = server.chat(about(picture(), question=text))
    assert reply.status == 200 and reply.json()["usage"]["prompt_tokens_details"]["image_tokens"] == 64


def test_the_question_may_go_to_the_model_as_it_is(server):
    for fields in (
        {"reasoning_effort": "none"},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"fleming": {"prompt": "direct"}},
    ):
        direct = server.chat(about(picture()), **fields).json()["usage"]["prompt_tokens"]
        assert (
            direct < server.chat(about(picture()), reasoning_effort="high").json()["usage"]["prompt_tokens"]
        )


def test_several_answers_share_a_prefill(server):
    reply = server.chat(about(picture()), n=2, temperature=1, seed=3).json()
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]
    chunks = server.chat(about(picture()), n=2, temperature=1, seed=3, stream=True).chunks()
    for choice in reply["choices"]:
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == choice["index"]]
        assert "".join(piece["delta"].get("content", "") for piece in mine) == (
            choice["message"]["content"] or ""
        )
        assert [piece["finish_reason"] for piece in mine if piece["finish_reason"]] == [
            choice["finish_reason"]
        ]


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_holds_the_answer_and_not_the_thought(server, stream):
    schema = {
        "type": "object",
        "properties": {"side": {"enum": ["left", "right"]}},
        "required": ["side"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "side", "strict": True, "schema": schema}}
    answer = server.chat(about(picture()), response_format=form, stream=stream)
    if stream:
        deltas = [chunk["choices"][0]["delta"] for chunk in answer.chunks()]
        message = {
            field: "".join(delta.get(field) or "" for delta in deltas) for field in ("content", "reasoning")
        }
        assert sum(bool(delta.get("content")) for delta in deltas) > 1
    else:
        message = answer.json()["choices"][0]["message"]
    assert json.loads(message["content"])["side"] in ("left", "right")
    assert message["reasoning"] and "{" not in message["reasoning"]


def test_forms_of_ours(server):
    assert content(server.chat(about(picture()), fleming={"choice": ["yes", "no"]})) in ("yes", "no")
    assert content(server.chat(about(picture()), fleming={"regex": "[0-9]{3}"})).isdigit()
    grammar = {"grammar": {"text": 'start: "left" | "right"'}}
    assert content(server.chat(about(picture()), fleming=grammar)) in ("left", "right")


def test_half_an_answer_is_never_called_whole(server):
    reply = server.chat(about(picture()), max_tokens=4).json()
    choice = reply["choices"][0]
    assert choice["finish_reason"] == "length" and choice["message"]["content"] is None
    assert choice["message"]["reasoning_content"].startswith("There is")
    assert choice["fleming"] == {"finish": "length", "truncated": "thinking"}
    late = server.chat(about(picture(), question="a word"), fleming={"timeout": 1e-9})
    assert late.status == 408 or late.json()["choices"][0]["finish_reason"] == "length"


def test_log_probabilities(server):
    choice = server.chat(about(picture()), logprobs=True, top_logprobs=2).json()["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert choice["logprobs"]["refusal"] is None and len(tokens) > 5
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] <= 0 for token in tokens)
    assert b"".join(bytes(token["bytes"]) for token in tokens).startswith(b"<think>There is")


def test_stop_texts_are_not_part_of_the_answer(server):
    reply = server.chat(about(picture()), stop="lung</answer>").json()["choices"][0]
    assert reply["message"]["content"] == "right" and reply["finish_reason"] == "stop"
    stream = server.chat(about(picture()), stop="lung</answer>", stream=True).chunks()
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in stream).strip() == "right"


def test_tokens_are_counted_without_an_answer(server):
    count = server.post("/v1/chat/completions/input_tokens", {"messages": about(picture())}).json()
    asked = server.chat(about(picture())).json()["usage"]
    assert count["input_tokens"] == asked["prompt_tokens"]
    assert count["fleming"] == {"image_tokens": 64, "frames": 1, "context": 4096, "fits": True}


def test_harmless_fields_are_passed_over(server):
    fields = {
        "user": "a",
        "metadata": {},
        "store": False,
        "service_tier": "auto",
        "parallel_tool_calls": True,
        "top_k": -1,
        "min_p": 0,
        "repetition_penalty": 1,
        "tools": [],
        "tool_choice": "none",
        "seed": None,
    }
    assert content(server.chat(about(picture()), **fields)) == ANSWER


TOOL = {"type": "function", "function": {"name": "f"}}
REFUSED = [
    ({"tools": [TOOL]}, "tools"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"audio": {"voice": "a"}}, "audio"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"nonsense": 1}, "nonsense"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"fleming": {"nonsense": 1}}, "fleming.nonsense"),
    ({"fleming": {"slices": 0}}, "fleming.slices"),
    ({"fleming": {"slices": "5"}}, "fleming.slices"),
    ({"fleming": {"threads": 1}}, "fleming.threads"),
    ({"fleming": {"max_pixels": 1}}, "fleming.max_pixels"),
    ({"fleming": {"grammar": "/etc/passwd"}}, "fleming.grammar"),
    ({"fleming": {"prompt": "@/etc/passwd"}}, "fleming.prompt"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_object"}, "fleming": {"regex": "a"}}, "response_format"),
    ({"reasoning_effort": "enormous"}, "reasoning_effort"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
    ({"stop": 5}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"logit_bias": {"a": 1}}, "logit_bias"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_fields_that_cannot_be_taken_are_named(server, fields, param):
    answer = server.chat("hello", **fields)
    error = answer.error()
    assert (answer.status, error["param"], error["type"]) == (400, param, "invalid_request_error"), error
    assert error["fleming"]["hint"]


NUMBERS = [
    "max_tokens",
    "max_completion_tokens",
    "n",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "top_logprobs",
    "thinking_token_budget",
]


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize(
    "value", ["-7", "0", "1e9", "1e400", "NaN", "9223372036854775808", '"1"', "true", "[]", "0.5", "-0.0"]
)
def test_numbers_out_of_bounds_are_named(server, field, value):
    other = '"stop": ["e"]' if field.startswith("max_") else '"max_completion_tokens": 1'
    body = f'{{"messages": [{{"role": "user", "content": "hello"}}], {other}, "{field}": {value}}}'
    answer = server.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    assert answer.status in (200, 400), answer
    if answer.status == 400:
        assert answer.error()["param"] == field


def test_what_is_no_conversation_is_refused(server):
    user, assistant = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    system = {"role": "system", "content": "s"}
    rows = [
        ([], "messages"),
        ([system], "messages"),
        ([user, assistant], "messages"),
        ([user, user], "messages[1].role"),
        ([assistant], "messages[0].role"),
        ([user, assistant, system, user], "messages[2].role"),
        ([{"role": "tool", "content": "a"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
            "messages[0].content[0].type",
        ),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "system", "content": [picture()]}, user], "messages[0].content"),
        (
            about({"type": "image_url", "image_url": {"url": "http://a/"}}),
            "messages[0].content[0].image_url.url",
        ),
        (about({"type": "image_url", "image_url": "data:,"}), "messages[0].content[0].image_url"),
        (about({"type": "file", "file": {}}), "messages[0].content[0].file"),
        (about(picture(detail="huge")), "messages[0].content[0].image_url.detail"),
        (about(volume(fleming={"seed": 1})), "messages[0].content[0].fleming.seed"),
    ]
    for messages, param in rows:
        answer = server.chat(messages)
        assert (answer.status, answer.error()["param"]) == (400, param), answer.body
    assert content(server.chat([system, user, assistant, user])) is not None


def test_a_file_that_is_not_there_is_not_found(server):
    answer = server.chat(about({"type": "file", "file": {"file_id": "file-" + "0" * 32}}))
    assert (answer.status, answer.error()["param"]) == (404, "messages[0].content[0].file.file_id")


def test_damaged_studies_have_a_status_in_a_stream_too(server):
    for stream in (False, True):
        answer = server.chat(
            about({"type": "image_url", "image_url": {"url": data_url(b"no picture at all")}}), stream=stream
        )
        assert (answer.status, answer.error()["code"]) == (400, "unreadable_study")


def test_only_json_is_read(server):
    body = json.dumps({"messages": [{"role": "user", "content": "a"}]})
    for headers, status in [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ]:
        assert server.request("POST", "/v1/chat/completions", body, headers).status == status
    for broken in ("", "{", "[]", '{"messages": []} x', "\xff"):
        answer = server.request(
            "POST", "/v1/chat/completions", broken.encode("latin-1"), {"Content-Type": "application/json"}
        )
        assert (answer.status, answer.error()["type"]) == (400, "invalid_request_error")


def test_the_model_has_its_names(server):
    models = server.get("/v1/models").json()["data"]
    name = models[0]["id"]
    assert server.get(f"/v1/models/{name}").json() == models[0]
    assert server.chat("hello", model=name, max_tokens=2).status == 200
    for answer in (server.get("/v1/models/other"), server.chat("hello", model="other")):
        assert (answer.status, answer.error()["code"]) == (404, "model_not_found")
