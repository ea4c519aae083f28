"""OpenAI's Responses, without a memory on the server."""

import json

from serving import ANSWER, CHEST, QUESTION, data_url

PICTURE = {"type": "input_image", "image_url": data_url(CHEST), "detail": "auto"}
ASKED = [{"role": "user", "content": [PICTURE, {"type": "input_text", "text": QUESTION}]}]


def respond(server, **fields):
    return server.post("/v1/responses", fields)


def texts(response):
    return {item["type"]: item["content"][0]["text"] for item in response["output"]}


def test_a_response_has_a_thought_and_a_message(server):
    response = respond(server, input=ASKED).json()
    assert (
        response["object"] == "response" and response["status"] == "completed" and response["store"] is False
    )
    assert texts(response) == {"reasoning": "There is a nodule in the right lung.", "message": ANSWER}
    assert (
        response["usage"]["total_tokens"]
        == response["usage"]["input_tokens"] + response["usage"]["output_tokens"]
    )
    assert response["fleming"]["frames"][0]["tiles"] == 1


def test_it_is_the_answer_of_a_chat(server):
    text = {
        "format": {
            "type": "json_schema",
            "name": "a",
            "schema": {"type": "object", "additionalProperties": False},
        }
    }
    assert json.loads(texts(respond(server, input=ASKED, text=text).json())["message"]) == {}
    direct = respond(server, input=ASKED, reasoning={"effort": "none"}).json()["usage"]["input_tokens"]
    assert direct < respond(server, input=ASKED).json()["usage"]["input_tokens"]
    assert (
        respond(server, input="What is CT?", instructions="Be brief.", max_output_tokens=3).json()["status"]
        == "incomplete"
    )


def test_its_items_continue_a_conversation(server):
    first = respond(server, input=ASKED).json()
    again = [*ASKED, *first["output"], {"role": "user", "content": "Is there a pleural effusion?"}]
    second = respond(server, input=again).json()
    assert second["usage"]["input_tokens_details"]["cached_tokens"] >= first["usage"]["input_tokens"] - 1


def test_a_stream_tells_the_same(server):
    whole = respond(server, input=ASKED).json()
    answer = respond(server, input=ASKED, stream=True)
    blocks = [block for block in answer.body.decode().split("\n\n") if block]
    events = []
    for block in blocks:
        kind, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert kind == f"event: {event['type']}"
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    for stem, text in [("output_text", ANSWER), ("reasoning_text", texts(whole)["reasoning"])]:
        deltas = [event["delta"] for event in events if event["type"] == f"response.{stem}.delta"]
        assert "".join(deltas) == text
        assert [event["text"] for event in events if event["type"] == f"response.{stem}.done"] == [text]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert texts(events[-1]["response"]) == texts(whole) and done == events[-1]["response"]["output"]


def test_what_cannot_be_taken_is_named_as_it_was_sent(server):
    bad = {"type": "input_image", "image_url": "http://a/"}
    rows = [
        ({"input": ASKED, "store": True}, "store"),
        ({"input": ASKED, "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": ASKED, "tools": [{"type": "web_search"}]}, "tools"),
        ({"input": ASKED, "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [bad]}]}, "input[0].content[0].image_url"),
        (
            {"input": [{"role": "user", "content": [bad]}], "instructions": "a"},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"type": "function_call"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"input": ASKED, "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({}, "body"),
    ]
    for fields, param in rows:
        answer = respond(server, **fields)
        assert (answer.status, answer.error()["param"]) == (400, param), answer.body
