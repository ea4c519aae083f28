"""LangChain: plain, streamed, about a picture, in a form."""

import base64

from common import ANSWER, BASE, KEY, PICTURE, QUESTION, check, picture_part
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

model = OpenAI(base_url=BASE, api_key=KEY).models.list().data[0].id
chat = ChatOpenAI(base_url=BASE, api_key=KEY, model=model, max_tokens=300)
own = {"type": "image", "base64": base64.b64encode(PICTURE.read_bytes()).decode(), "mime_type": "image/png"}
for part in (picture_part(), own):
    asked = [HumanMessage([part, {"type": "text", "text": QUESTION}])]
    reply = chat.invoke(asked)
    check(reply.content, ANSWER)
    check(reply.usage_metadata["input_tokens"] > 64, True)
    check("".join(chunk.content for chunk in chat.stream(asked)), ANSWER)


class Side(BaseModel):
    found: bool
    number: int


for strict in (None, True):
    structured = chat.with_structured_output(Side, method="json_schema", strict=strict)
    check(isinstance(structured.invoke(asked), Side), True)
check(len(chat.batch([asked] * 4)), 4)
try:
    chat.invoke([*asked, HumanMessage("two in a row")])
except BadRequestError as error:
    check(error.param, "messages[1].role")
else:
    raise AssertionError("no error")
