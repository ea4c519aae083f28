"""The log of a server: a line for each request, with nothing in it that a client wrote but its id."""

import json

import pytest
from serving import QUESTION, Server, about, picture


@pytest.fixture(scope="module", params=["text", "json"])
def logged(request):
    """A server with its usual log in one of the forms."""
    with Server("--log-format", request.param, env={"FLEMING_LOG": ""}) as server:
        yield server, request.param


def test_a_request_is_one_line(logged):
    server, form = logged
    secret = about(picture(), question=f"{QUESTION} Jane Doe")
    assert server.chat(secret, headers={"X-Request-Id": "id-1"}, max_tokens=40).status == 200
    assert server.get("/v1/files/Jane%0aDoe", headers={"X-Request-Id": "id-2"}).status == 404
    said = server.said()
    (asked,) = (line for line in said.splitlines() if "id-1" in line)
    (absent,) = (line for line in said.splitlines() if "id-2" in line)
    if form == "json":
        asked, absent = json.loads(asked), json.loads(absent)
        assert asked["path"] == "/v1/chat/completions" and asked["status"] == 200 and asked["timestamp"]
        assert (absent["path"], absent["status"], absent["code"]) == ("/v1/files/{id}", 404, "not_found")
    else:
        assert 'path="/v1/chat/completions" status=200' in asked
        assert 'path="/v1/files/{id}" status=404' in absent
    assert "Jane" not in said and "nodule" not in said


def test_an_id_cannot_begin_a_line(logged):
    server, _ = logged
    for forged in ("a b", "x\u001b[31m", "a" * 5000):
        answer = server.get("/health", headers={"X-Request-Id": forged})
        assert answer.status in (200, 400) and answer.headers.get("x-request-id") != forged
    assert "\u001b[31m" not in server.said()
