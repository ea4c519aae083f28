"""What is refused for good is sent once: a body of several megabytes is not tried three times."""

import json

import openai
from common import BASE, KEY, check
from openai import OpenAI

client = OpenAI(base_url=BASE, api_key=KEY)
check(client.max_retries, 2)
model = client.models.list().data[0].id
try:
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "a" * 40_000_000}])
except openai.APIStatusError as error:
    check((error.status_code, error.code), (413, "body_too_large"))
else:
    raise AssertionError("no error")
print(json.dumps({"refused": 1}))
