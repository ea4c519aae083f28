"""Instructor: an object of a class, streamed too."""

from typing import Literal

import instructor
from common import BASE, KEY, QUESTION, check, picture_part
from openai import OpenAI
from pydantic import BaseModel, ConfigDict

openai = OpenAI(base_url=BASE, api_key=KEY)
model = openai.models.list().data[0].id


class Side(BaseModel):
    """Closed, as a small model would add to it."""

    model_config = ConfigDict(extra="forbid")
    found: bool
    side: Literal["left", "right"]


asked = [{"role": "user", "content": [picture_part(), {"type": "text", "text": QUESTION}]}]
client = instructor.from_openai(openai, mode=instructor.Mode.JSON_SCHEMA)
side = client.chat.completions.create(model=model, messages=asked, response_model=Side, max_tokens=300)
check(isinstance(side, Side), True)
parts = list(client.chat.completions.create_partial(model=model, messages=asked, response_model=Side))
check(isinstance(parts[-1].found, bool) and parts[-1].side in ("left", "right"), True)
