"""LiteLLM: plain, streamed, about a picture, in a form, and its classes of errors."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from common import ANSWER, BASE, KEY, QUESTION, check, picture_part
from openai import OpenAI
from pydantic import BaseModel

served = OpenAI(base_url=BASE, api_key=KEY).models.list().data[0].id
same = {"model": f"openai/{served}", "api_base": BASE, "api_key": KEY}
asked = [{"role": "user", "content": [picture_part(), {"type": "text", "text": QUESTION}]}]
reply = litellm.completion(messages=asked, **same)
check(reply.choices[0].message.content, ANSWER)
check(reply.choices[0].message.reasoning_content, "There is a nodule in the right lung.")
pieces = list(litellm.completion(messages=asked, stream=True, **same))
check("".join(piece.choices[0].delta.content or "" for piece in pieces), ANSWER)


class Side(BaseModel):
    found: bool
    number: int


reply = litellm.completion(messages=asked, response_format=Side, max_tokens=200, **same)
Side.model_validate_json(reply.choices[0].message.content)
for kind, fields in [
    (litellm.BadRequestError, {"messages": []}),
    (litellm.NotFoundError, {"messages": asked, "model": "openai/other"}),
    (litellm.AuthenticationError, {"messages": asked, "api_key": "wrong-key-of-a-test-0123456789"}),
]:
    try:
        litellm.completion(**{**same, **fields})
    except kind:
        continue
    raise AssertionError(f"no {kind.__name__}")
