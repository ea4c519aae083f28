"""Replies, chunks and errors of every kind, each with the name of what it is."""

import json
import urllib.error
import urllib.request

from common import BASE, KEY, PICTURE, QUESTION, check, picture_part

USER = [{"role": "user", "content": "Hello"}]
#: Fields of a question, each of which changes the form of its answer.
VARIANTS = [
    {},
    {"n": 2, "temperature": 1, "seed": 4},
    {"logprobs": True, "top_logprobs": 3},
    {"max_tokens": 2},
    {"max_tokens": 1, "logprobs": True},
    {"stop": "lung"},
    {"fleming": {"choice": ["yes", "no"]}},
    {"response_format": {"type": "json_object"}, "max_tokens": 30},
    {"reasoning_effort": "none", "max_tokens": 5},
]
SCHEMA = {"type": "object", "properties": {"found": {"type": "boolean"}}, "additionalProperties": False}
FORM = {"format": {"type": "json_schema", "name": "found", "schema": SCHEMA}}
#: The same of a response.
RESPONSES = [
    {},
    {"store": False, "max_output_tokens": 2},
    {"max_output_tokens": 1},
    {"instructions": "Be short.", "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 5},
    {"reasoning": {"effort": "none"}, "max_output_tokens": 5},
    {"reasoning": {"effort": "high", "summary": "auto"}, "text": {"verbosity": "low"}},
    {"text": FORM, "metadata": {"study": "7"}},
    {"text": {"format": {"type": "json_object"}}, "max_output_tokens": 30},
    {"text": {"format": {"type": "text"}}, "user": "a", "prompt_cache_key": "b", "truncation": "disabled"},
]
#: Requests that fail: method, path, body.
WRONG = [
    ("POST", "/chat/completions", {"messages": []}),
    ("POST", "/chat/completions", {"messages": USER, "tools": [1]}),
    ("POST", "/chat/completions", {"messages": USER, "model": "x"}),
    ("POST", "/chat/completions", b"{"),
    ("POST", "/chat/completions/input_tokens", {"messages": 1}),
    ("POST", "/preview", {"messages": USER}),
    ("GET", "/models/x", None),
    ("GET", "/files/file-" + "0" * 32, None),
    ("GET", "/files?limit=0", None),
    ("DELETE", "/files/x", None),
    ("POST", "/files", b""),
    ("POST", "/responses", {"input": 1}),
    ("POST", "/responses", {"input": "Hello", "store": True}),
    ("GET", "/nowhere", None),
    ("PUT", "/models", b""),
]


def request(method, path, body=None, kind="application/json"):
    """The status, and the text of the body."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    try:
        with urllib.request.urlopen(
            urllib.request.Request(BASE + path, data, headers, method=method)
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked(method, path, body=None, kind="application/json"):
    """The text of a reply that must be there."""
    status, text = request(method, path, body, kind)
    check((status, text if status != 200 else None), (200, None))
    return text


def events(text):
    """The name and the data of each event of a stream."""
    for event in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in event.splitlines() if not line.startswith(":")]
        if lines:
            fields = dict(lines)
            yield fields.get("event"), fields["data"]


def chats():
    content = [picture_part(), {"type": "text", "text": QUESTION}]
    body = {"messages": [{"role": "user", "content": content}]}
    yield "count", json.loads(asked("POST", "/chat/completions/input_tokens", body))
    for fields in VARIANTS:
        yield "chat", json.loads(asked("POST", "/chat/completions", {**body, **fields}))
        stream = {"stream": True, "stream_options": {"include_usage": True}}
        for more in ({}, {"fleming": {"progress": True, **fields.get("fleming", {})}}):
            text = asked("POST", "/chat/completions", {**body, **fields, **stream, **more})
            *chunks, (_, end) = events(text)
            check(end, "[DONE]")
            for _, chunk in chunks:
                yield "chunk", json.loads(chunk)


def responses():
    parts = [
        {"type": "input_image", "image_url": picture_part()["image_url"]["url"], "detail": "auto"},
        {"type": "input_text", "text": QUESTION},
    ]
    body = {"input": [{"role": "user", "content": parts}]}
    for fields in RESPONSES:
        yield "response", json.loads(asked("POST", "/responses", {**body, **fields}))
        kinds = []
        for number, (kind, data) in enumerate(
            events(asked("POST", "/responses", {**body, **fields, "stream": True}))
        ):
            event = json.loads(data)
            check((event["type"], event["sequence_number"]), (kind, number))
            kinds.append(kind)
            yield "event", event
        ends = {"response.completed", "response.incomplete"}
        check((kinds[0], kinds[-1] in ends, "response.failed" in kinds), ("response.created", True, False))


def upload():
    boundary = "part-of-a-test"
    fields = [('name="purpose"', b"user_data"), ('name="file"; filename="a.png"', PICTURE.read_bytes())]
    form = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + content + b"\r\n"
        for name, content in fields
    )
    kind = f"multipart/form-data; boundary={boundary}"
    return json.loads(asked("POST", "/files", form + f"--{boundary}--\r\n".encode(), kind))


def files():
    yield "files", json.loads(asked("GET", "/files"))
    file = upload()
    yield "file", file
    yield "files", json.loads(asked("GET", "/files"))
    yield "file", json.loads(asked("GET", f"/files/{file['id']}"))
    yield "deleted", json.loads(asked("DELETE", f"/files/{file['id']}"))


def models():
    listed = json.loads(asked("GET", "/models"))
    yield "models", listed
    for model in listed["data"]:
        yield "model", json.loads(asked("GET", f"/models/{model['id']}"))


def failures():
    for method, path, body in WRONG:
        status, text = request(method, path, body)
        check((path, 400 <= status < 500), (path, True))
        yield "error", json.loads(text)


def everything():
    for source in (chats, responses, files, models, failures):
        yield from source()
