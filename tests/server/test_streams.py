"""What streams hold: whole letters, the text of the answer at once, and no answer of another question."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from abuse import greys
from serving import Server, about, data_url, picture

from program import ROOT

LETTERS = "There is a nodule in the right lung."


def joined(chunks, index=0):
    """The thought and the answer of a stream. White space around them is only known when they have ended."""
    parts = {"reasoning_content": "", "content": ""}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] == index:
                for field in parts:
                    parts[field] += choice["delta"].get(field) or ""
    return parts["reasoning_content"].strip(), parts["content"].strip()


def whole(reply, index=0):
    message = reply["choices"][index]["message"]
    return message.get("reasoning_content") or "", message["content"] or ""


def stops():
    """Texts that end at each boundary of a token and between."""
    text = f"{LETTERS}</think><answer>right lung</answer>"
    return sorted({text[at : at + length] for at in range(0, len(text), 2) for length in (1, 4, 9)})


def test_stops_cut_a_stream_where_they_cut_the_reply(server):
    tokens = server.chat(about(picture()), logprobs=True).json()["choices"][0]["logprobs"]["content"]
    texts = [bytes(token["bytes"]).decode("utf-8", "replace") for token in tokens]
    pairs = [one + other[:2] for one, other in pairwise(texts)]
    for stop in [*stops(), *filter(None, pairs)]:
        asked = {"stop": [stop, "never said"], "max_tokens": 40}
        reply = server.chat(about(picture()), **asked).json()
        chunks = server.chat(about(picture()), stream=True, **asked).chunks()
        assert joined(chunks) == whole(reply), stop
        assert stop not in "".join(whole(reply)), (stop, whole(reply))
        reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
        assert reasons[-1] == reply["choices"][0]["finish_reason"], stop


def spoken(tokens):
    """The text of a reply's tokens as they are, half letters left out at the end."""
    return b"".join(bytes(token["bytes"]) for token in tokens).decode("utf-8", "replace")


@pytest.mark.parametrize("seed", range(6))
def test_no_letter_is_cut_in_half(server, seed):
    """Hot sampling has the model write bytes of any kind."""
    asked = {"temperature": 4, "seed": seed, "reasoning_effort": "none", "logprobs": True, "ignore_eos": True}
    for tokens in (1, 2, 3, 5, 8, 13, 60):
        fields = {**asked, "max_tokens": tokens}
        reply = server.chat("hello", **fields).json()
        answer = server.chat("hello", stream=True, **fields)
        for event in answer.body.split(b"\n\n"):
            # Also what stands between chunks is whole.
            event.decode("utf-8")
        assert joined(answer.chunks()) == whole(reply)
        said = spoken(reply["choices"][0]["logprobs"]["content"])
        written = "".join(whole(reply))
        assert written.count("\ufffd") <= said.count("\ufffd"), (written, said)


FORM = {
    "type": "object",
    "properties": {"side": {"enum": ["left", "right"]}, "sure": {"type": "boolean"}},
    "required": ["side", "sure"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("stream", [False, True])
def test_several_answers_keep_to_a_form_and_think_freely(server, stream):
    asked = {"type": "json_schema", "json_schema": {"name": "side", "strict": True, "schema": FORM}}
    answer = server.chat(about(picture()), n=2, temperature=0.8, seed=2, response_format=asked, stream=stream)
    for index in range(2):
        thought, content = joined(answer.chunks(), index) if stream else whole(answer.json(), index)
        value = json.loads(content)
        assert set(value) == {"side", "sure"} and value["side"] in ("left", "right")
        assert thought and "{" not in thought
    if stream:
        pieces = [c for chunk in answer.chunks() for c in chunk["choices"] if c["delta"].get("content")]
        assert len(pieces) > 4


QUESTIONS = [
    "What imaging modality is this?",
    "Name the imaging modality.\nChoose one: A. ultrasound B. chest X-ray",
]
NAMES = ["chest.png", "brain.png", "fundus.png", "tissue.png"]


def variant(name, number):
    """A picture that differs in a corner alone, at the size of all others."""
    image = pytest.importorskip("PIL.Image")
    with image.open(ROOT / "examples" / name) as file:
        drawn = file.convert("RGB").resize((256, 256))
    drawn.putpixel((0, 0), (number, 255 - number, number // 2))
    file = io.BytesIO()
    drawn.save(file, "PNG", compress_level=1)
    return {"type": "image_url", "image_url": {"url": data_url(file.getvalue())}}


def test_every_answer_is_about_its_own_picture():
    """Two hundred pictures in turn, eight at a time, each as asked alone."""
    asked = [(variant(NAMES[number % 4], number), QUESTIONS[number // 4 % 2]) for number in range(200)]

    def ask(server, picture, question):
        reply = server.chat(about(picture, question=question), max_tokens=60).json()
        return whole(reply), reply["usage"]["prompt_tokens_details"]

    with Server("--slots", 1, "--image-cache", 0) as alone:
        expected = [ask(alone, *one)[0] for one in asked]
    assert len({answer for _, answer in expected}) >= 4
    with Server("--slots", 8) as busy, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda one: ask(busy, *one), asked))
        assert [answer for answer, _ in got] == expected
        # What another picture left serves no further than the text before it.
        prompt = busy.chat(about(asked[0][0], question="?"), max_tokens=1).json()["usage"]["prompt_tokens"]
        other = {"type": "image_url", "image_url": {"url": data_url(greys(bytes(range(64))))}}
        cached = ask(busy, other, QUESTIONS[0])[1]["cached_tokens"]
        assert cached < prompt - 64


def test_pings_and_chunks_are_events(server):
    text = server.chat(about(picture()), stream=True).body.decode()
    for line in text.split("\n"):
        assert line == "" or line.startswith(":") or re.fullmatch(r"data: (\{.*\}|\[DONE\])", line), line
