"""Pydantic AI: an agent without tools, plain and in a form."""

from common import ANSWER, BASE, KEY, PICTURE, QUESTION, check
from openai import OpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

name = OpenAI(base_url=BASE, api_key=KEY).models.list().data[0].id
model = OpenAIChatModel(name, provider=OpenAIProvider(base_url=BASE, api_key=KEY))


class Side(BaseModel):
    found: bool
    number: int


asked = [BinaryContent(PICTURE.read_bytes(), media_type="image/png"), QUESTION]
reply = Agent(model).run_sync(asked)
check(reply.output, ANSWER)
check(reply.usage.input_tokens > 64, True)
check(isinstance(Agent(model, output_type=NativeOutput(Side)).run_sync(asked).output, Side), True)
# And again in the same conversation.
Agent(model).run_sync("Is there a pleural effusion?", message_history=reply.all_messages())
