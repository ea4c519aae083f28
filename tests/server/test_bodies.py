"""Requests that read in two ways, or that ask for more than they seem to."""

import json

import pytest
from abuse import exchange

HELLO = '"messages":[{"role":"user","content":"hello"}],"max_tokens":2'
LONG = "k" * 1_000_000


def sent(server, body, path="/v1/chat/completions"):
    return server.request("POST", path, body, {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ('"max_tokens":3', "body"),
        ('"temperature":0,"temperature":1', "body"),
        ('"messages":[]', "body"),
        ('"user":"a","user":"b"', "body"),
        ('"fleming":{"slices":3,"slices":4}', "fleming"),
        ('"fleming":{"grammar":{"text":"start: \\"a\\"","text":"start: \\"b\\""}}', "fleming.grammar"),
        ('"logit_bias":{"5":1,"5":-100}', "logit_bias"),
        ('"logit_bias":{"5":1,"\\u0035":-100}', "logit_bias"),
        ('"metadata":[[{"a":{"b":1,"b":1}}]]', "metadata[0][0].a"),
    ],
)
def test_a_name_that_stands_twice_is_refused(server, fields, param):
    answer = sent(server, "{" + HELLO + "," + fields + "}")
    assert (answer.status, answer.error()["param"]) == (400, param), answer.body
    assert "twice" in answer.error()["message"] or "duplicate" in answer.error()["message"]


@pytest.mark.parametrize(
    "body",
    [
        f'{{"{LONG}":1,{HELLO}}}',
        f'{{"metadata":{{"{LONG}":tru}},{HELLO}}}',
        f'{{"metadata":{{"{LONG}":1,"{LONG}":1}},{HELLO}}}',
        f'{{"fleming":{{"{LONG}":1}},{HELLO}}}',
        f'{{"fleming":{{"plane":"{LONG}"}},{HELLO}}}',
        f'{{"messages":[{{"role":"{LONG}","content":"a"}}]}}',
        f'{{"messages":[{{"role":"user","content":[{{"type":"text","text":"a","{LONG}":1}}]}}]}}',
        f'{{"messages":"{LONG}"}}',
    ],
)
def test_no_error_repeats_a_long_name(server, body):
    answer = sent(server, body)
    assert answer.status == 400 and len(answer.body) < 10_000


@pytest.mark.parametrize(
    ("number", "status"), [("2.0", 200), ("2e0", 200), ("2.5", 400), ("-2.0", 400), ("1e30", 400)]
)
def test_a_number_with_a_point_is_whole_if_it_is(server, number, status):
    for field in ("max_tokens", "n", "seed"):
        rest = HELLO if field != "max_tokens" else HELLO.rsplit(",", 1)[0]
        answer = sent(server, f'{{{rest},"{field}":{number}}}')
        assert answer.status == status, (field, answer.body)
        if field == "n" and status == 200:
            assert len(answer.json()["choices"]) == 2


@pytest.mark.parametrize(
    ("headers", "thing"),
    [
        ({"Content-Encoding": ["identity", "gzip"]}, "Content-Encoding"),
        ({"Content-Type": ["application/json", "text/plain"]}, "Content-Type"),
        ({"Transfer-Encoding": ["gzip, chunked"], "Content-Length": []}, "Transfer-Encoding"),
    ],
)
def test_headers_that_say_two_things_are_refused(server, headers, thing):
    body = "{" + HELLO + "}"
    sent = {"Content-Type": ["application/json"], "Content-Length": [len(body)], **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, values in sent.items() for value in values)
    if "Transfer-Encoding" in sent:
        body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    first = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    status, text = exchange(server, f"{first}{lines}\r\n{body}")
    error = json.loads(text.split("\r\n\r\n", 1)[1])["error"]
    assert (status, error["code"], error["fleming"]["thing"]) == (415, "unsupported_media_type", thing)


def test_a_prompt_that_does_not_fit_is_told_in_openais_word(server):
    for words in (6000, 400_000):
        answer = server.chat("right lung " * words)
        error = answer.error()
        assert (answer.status, error["code"]) == (400, "context_length_exceeded"), error
        assert error["param"] == "messages"
    answer = server.post("/v1/responses", {"input": "right lung " * 6000})
    assert (answer.error()["code"], answer.error()["param"]) == ("context_length_exceeded", "input")


def chain(name, link):
    """Rules each of which names the next: a compiler that calls itself for each needs a large stack."""
    return "\n".join(f"{name}{number}: {link}{name}{number + 1}" for number in range(15_000))


@pytest.mark.parametrize(
    "fleming",
    [
        {"grammar": {"text": f'start: r0\n{chain("r", "")}\nr15000: "a"'}},
        {"grammar": {"text": f'start: R0\n{chain("R", "")}\nR15000: "a"'}},
        {"regex": "(" * 100_000 + "a" + ")" * 100_000},
    ],
)
def test_a_deep_form_ends_no_server(server, fleming):
    answer = server.chat("hello", max_tokens=2, fleming=fleming)
    assert answer.status in (200, 400)
    assert server.chat("hello", max_tokens=2).status == 200


@pytest.mark.parametrize("schema", [{"type": "array", "items": None}, {"properties": {"a": None}}, None])
def test_a_deep_schema_ends_no_server(server, schema):
    def link(number):
        text = json.dumps(schema)
        return json.loads(text.replace("null", json.dumps({"$ref": f"#/$defs/a{number + 1}"})))

    definitions = {f"a{number}": link(number) for number in range(3000)} | {"a3000": {"type": "object"}}
    named = {"name": "deep", "schema": {"$defs": definitions, "$ref": "#/$defs/a0"}}
    form = {"type": "json_schema", "json_schema": named}
    answer = server.chat("hello", max_tokens=2, response_format=form)
    assert answer.status in (200, 400)
    assert server.chat("hello", max_tokens=2).status == 200


def test_an_error_of_a_response_names_its_own_fields(server):
    picture_of = {"type": "input_image", "image_url": "http://127.0.0.1/a.png"}
    for body, param in [
        ({"input": [{"role": "user", "content": [picture_of]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "x", "content": "a"}]}, "input[0].role"),
        ({"input": "a", "reasoning": {"effort": "x"}}, "reasoning.effort"),
        ({"input": "a", "instructions": "b", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "a", "text": {"format": {"type": "x"}}}, "text.format.type"),
    ]:
        error = server.post("/v1/responses", body).error()
        assert (error["param"], error["fleming"]["thing"]) == (param, param), error
        assert error["message"].startswith(param)


def test_a_response_repeats_the_form_that_was_asked_for(server):
    schema = {"type": "object", "properties": {"found": {"type": "boolean"}}, "additionalProperties": False}
    form = {"type": "json_schema", "name": "found", "schema": schema, "strict": True}
    answer = server.post(
        "/v1/responses", {"input": "hello", "text": {"format": form}, "metadata": {"a": "b"}}
    )
    response = answer.json()
    assert response["text"]["format"] == form
    assert response["metadata"] == {"a": "b"}


def test_the_description_says_which_fields_a_response_takes(server):
    document = server.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert {"temperature", "top_p", "seed", "metadata"} <= set(schemas["ResponsesBody"]["properties"])
    assert "max_tokens" not in schemas["ResponsesBody"]["properties"]
    for call in ("facts", "slices"):
        parameters = document["paths"][f"/v1/files/{{id}}/{call}"]["get"]["parameters"]
        assert {"plane", "window", "series", "preprocessing"} <= {one["name"] for one in parameters}
