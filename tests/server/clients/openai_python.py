"""The client of OpenAI for Python: plain, streamed, in a form, files, Responses, and when things fail."""

import json
import time

import openai
from common import ANSWER, BASE, KEY, PICTURE, QUESTION, check, picture_part
from openai import OpenAI
from pydantic import BaseModel, ConfigDict

client = OpenAI(base_url=BASE, api_key=KEY)
model = client.models.list().data[0].id
ask = [{"role": "user", "content": [picture_part(), {"type": "text", "text": QUESTION}]}]


def plain():
    reply = client.chat.completions.create(model=model, messages=ask)
    check(reply.choices[0].message.content, ANSWER)
    check(reply._request_id.startswith("req-"), True)
    check(reply.usage.prompt_tokens_details.cached_tokens >= 0, True)
    check(reply.choices[0].message.reasoning_content, "There is a nodule in the right lung.")
    # A message goes back as it came.
    again = [*ask, reply.choices[0].message, {"role": "user", "content": "Is there a pleural effusion?"}]
    check(client.chat.completions.create(model=model, messages=again).choices[0].finish_reason, "stop")


def stream():
    chunks = list(
        client.chat.completions.create(
            model=model, messages=ask, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check(text, ANSWER)
    check(chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices, True)
    with client.chat.completions.stream(model=model, messages=ask, logprobs=True) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    check(final.choices[0].message.content, ANSWER)
    check({"chunk", "content.delta", "content.done"} <= kinds, True)
    check(len(final.choices[0].logprobs.content) > 5, True)


class Side(BaseModel):
    """A form with no text of free length: a small model would not end it."""

    model_config = ConfigDict(extra="forbid")
    found: bool
    number: int


def form():
    reply = client.chat.completions.parse(model=model, messages=ask, response_format=Side, max_tokens=200)
    check(isinstance(reply.choices[0].message.parsed, Side), True)
    with client.chat.completions.stream(model=model, messages=ask, response_format=Side) as events:
        final = events.get_final_completion()
    check(isinstance(final.choices[0].message.parsed, Side), True)
    raised(openai.LengthFinishReasonError, lambda: client.chat.completions.parse(
        model=model, messages=ask, response_format=Side, max_tokens=3
    ))  # fmt: skip


def raised(kind, work):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def failures():
    create = client.chat.completions.create
    error = raised(openai.BadRequestError, lambda: create(model=model, messages=[]))
    check((error.param, error.type), ("messages", "invalid_request_error"))
    check(error.request_id.startswith("req-"), True)
    check(set(error.body["fleming"]), {"thing", "wanted", "got", "hint"})
    error = raised(openai.NotFoundError, lambda: create(model="other", messages=ask))
    check(error.code, "model_not_found")
    wrong = OpenAI(base_url=BASE, api_key="wrong-key-of-a-test-0123456789")
    check(raised(openai.AuthenticationError, wrong.models.list).code, "invalid_api_key")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    error = raised(openai.BadRequestError, lambda: create(model=model, messages=ask, tools=tools))
    check(error.param, "tools")
    raised(openai.NotFoundError, lambda: client.models.retrieve("other"))
    long = {"ignore_eos": True}
    slow = client.with_options(timeout=0.3, max_retries=0)
    raised(
        openai.APITimeoutError,
        lambda: slow.chat.completions.create(model=model, messages=ask, max_tokens=3000, extra_body=long),
    )


def files():
    with open(PICTURE, "rb") as study:
        uploaded = client.files.create(file=study, purpose="user_data")
    part = {"type": "file", "file": {"file_id": uploaded.id}}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": QUESTION}]}]
    check(client.chat.completions.create(model=model, messages=messages).choices[0].message.content, ANSWER)
    check(uploaded.id in [file.id for file in client.files.list()], True)
    check(client.files.retrieve(uploaded.id).bytes, uploaded.bytes)
    check(client.files.content(uploaded.id).read()[:4], b"\x89PNG")
    check(client.files.delete(uploaded.id).deleted, True)
    raised(openai.NotFoundError, lambda: client.files.retrieve(uploaded.id))


def responses():
    content = [
        {"type": "input_image", "image_url": picture_part()["image_url"]["url"], "detail": "auto"},
        {"type": "input_text", "text": QUESTION},
    ]
    asked = [{"role": "user", "content": content}]
    check(client.responses.create(model=model, input=asked, store=False).output_text, ANSWER)
    with client.responses.stream(model=model, input=asked, store=False) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    check(final.output_text, ANSWER)
    check((kinds[0], kinds[-1]), ("response.created", "response.completed"))


def main():
    told = {}
    for step in (plain, stream, form, failures, files, responses):
        began = time.monotonic()
        step()
        told[step.__name__] = round(time.monotonic() - began, 2)
    print(json.dumps({"openai": openai.__version__, **told}))


main()
