"""Every reply, chunk and error has what the types of OpenAI's client require, as they require it."""

import json
from typing import Any

from openai.types import CompletionUsage, FileDeleted, FileObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, create_model
from replies import everything

Error = create_model(
    "Error", message=(str, ...), type=(str, ...), param=(str | None, ...), code=(str | None, ...)
)
#: By the name of what is judged. What a list and an envelope hold is judged in its place.
KINDS: dict[str, Any] = {
    "chat": ChatCompletion,
    "chunk": ChatCompletionChunk,
    "response": Response,
    "event": ResponseStreamEvent,
    "file": FileObject,
    "files": create_model("Files", data=(list[FileObject], ...)),
    "deleted": FileDeleted,
    "model": Model,
    "models": create_model("Models", data=(list[Model], ...)),
    "error": create_model("Envelope", error=(Error, ...)),
    "count": create_model("Count", input_tokens=(int, ...)),
    "usage": CompletionUsage,
}


def strict(kind, value):
    """In strict mode no number is read from a text, and no text from a number."""
    TypeAdapter(KINDS[kind]).validate_json(json.dumps(value), strict=True)


for kind, value in everything():
    strict(kind, value)
    if kind == "chat":
        strict("usage", value["usage"])
