"""Every reply, chunk and error has what OpenAI's own types require, in the type that they require."""

import json
import urllib.error
import urllib.request
from typing import Any

from common import BASE, KEY, PICTURE, QUESTION, check, picture_part
from openai.types import CompletionUsage, FileDeleted, FileObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel, create_model

#: Required by the published schema, where the client's own types have them as optional.
REQUIRED = {
    "chat": ["id", "object", "created", "model", "choices", "usage"],
    "choice": ["index", "message", "finish_reason", "logprobs"],
    "message": ["role", "content", "refusal"],
    "chunk choice": ["index", "delta", "finish_reason"],
    "error": ["message", "type", "param", "code"],
    "list": ["object", "data"],
}


def request(path, body=None, method=None, kind="application/json"):
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    asked = urllib.request.Request(BASE + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(asked) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def has(kind, value):
    missing = [field for field in REQUIRED[kind] if field not in value]
    check((kind, missing), (kind, []))


def strict(kind: type[BaseModel], value: Any):
    """In strict mode no number is read from a text, and no text from a number."""
    kind.model_validate_json(json.dumps(value), strict=True)


def chat(**fields):
    content = [picture_part(), {"type": "text", "text": QUESTION}]
    status, text = request(
        "/chat/completions", {"messages": [{"role": "user", "content": content}], **fields}
    )
    check(status, 200)
    return text


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
for fields in VARIANTS:
    reply = json.loads(chat(**fields))
    has("chat", reply)
    strict(ChatCompletion, reply)
    strict(CompletionUsage, reply["usage"])
    for choice in reply["choices"]:
        has("choice", choice)
        has("message", choice["message"])
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    for extra in ({}, {"fleming": {"progress": True, **fields.get("fleming", {})}}):
        events = [line for line in chat(**{**fields, **stream, **extra}).split("\n\n") if line]
        check(events[-1], "data: [DONE]")
        for event in events[:-1]:
            chunk = json.loads(event.removeprefix("data: "))
            strict(ChatCompletionChunk, chunk)
            for choice in chunk["choices"]:
                has("chunk choice", choice)

Text = create_model(
    "Text", message=(str, ...), type=(str, ...), param=(str | None, ...), code=(str | None, ...)
)
for path, body, method in [
    ("/chat/completions", {"messages": []}, None),
    ("/chat/completions", {"messages": [{"role": "user", "content": "a"}], "tools": [1]}, None),
    ("/chat/completions", {"model": "x", "messages": [{"role": "user", "content": "a"}]}, None),
    ("/chat/completions", b"{", None),
    ("/models/x", None, None),
    ("/files/file-" + "0" * 32, None, None),
    ("/files/x", None, "DELETE"),
    ("/responses", {"input": 1}, None),
    ("/nowhere", None, None),
    ("/models", b"", "PUT"),
]:
    status, text = request(path, body, method)
    check(400 <= status < 500, True)
    error = json.loads(text)["error"]
    has("error", error)
    strict(Text, error)

models = json.loads(request("/models")[1])
has("list", models)
for model in models["data"]:
    strict(Model, model)

boundary = "part-of-a-test"
form = b"".join(
    f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + content + b"\r\n"
    for name, content in [
        ('name="purpose"', b"user_data"),
        ('name="file"; filename="a.png"', PICTURE.read_bytes()),
    ]
)
status, text = request(
    "/files", form + f"--{boundary}--\r\n".encode(), "POST", f"multipart/form-data; boundary={boundary}"
)
check(status, 200)
file = json.loads(text)
strict(FileObject, file)
listed = json.loads(request("/files")[1])
has("list", listed)
for one in listed["data"]:
    strict(FileObject, one)
strict(FileDeleted, json.loads(request(f"/files/{file['id']}", method="DELETE")[1]))
status, text = request("/responses", {"input": "Hello", "store": False, "max_output_tokens": 20})
check(status, 200)
strict(Response, json.loads(text))
