"""The audit of a server: one line for each request, without content, whatever happens to the file."""

import hashlib
import json
import os
import re
import signal
import time

import pytest
from serving import ANSWER, CHEST, PATIENCE, QUESTION, Server, about, picture

KEY = "a-key-for-tests-of-the-audit"


@pytest.fixture
def audited(tmp_path):
    """A server with a key, and the file that it writes."""
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    keys.chmod(0o600)
    file = tmp_path / "audit.jsonl"
    with Server("--keys", keys, "--audit", file) as server:
        yield server, file


def authorized(**headers):
    return {"Authorization": f"Bearer {KEY}", **headers}


def lines(file, count):
    """The lines of a file, as soon as there are so many."""
    until = time.monotonic() + PATIENCE
    while not file.exists() or file.read_text().count("\n") < count:
        assert time.monotonic() < until, file.read_text()
        time.sleep(0.02)
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_request_is_a_line_without_its_content(audited):
    server, file = audited
    fields = {"max_tokens": 60, "stop": ["a secret word"], "fleming": {"choice": ["right lung", "left lung"]}}
    headers = authorized(**{"X-Request-Id": "id-1"})
    assert server.chat(about(picture()), headers=headers, **fields).status == 200
    (line,) = lines(file, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["request"], line["route"], line["status"]) == ("id-1", "POST /v1/chat/completions", 200)
    assert hashlib.sha256(KEY.encode()).hexdigest().startswith(line["key"]) and len(line["key"]) >= 8
    chest = CHEST.read_bytes()
    assert line["studies"] == [{"sha256": hashlib.sha256(chest).hexdigest(), "bytes": len(chest)}]
    assert line["options"]["max_tokens"] == 60
    assert set(line["package"]) == {"name", "digest"} and line["version"]
    (answer,) = line["answers"]
    assert answer["finish"] == "stop" and answer["frames"] == 1 and answer["usage"]["image_tokens"] == 64
    assert answer["timings_ms"]["total"] > 0 and line["error"] is None
    raw = file.read_text()
    for content in (KEY, QUESTION, ANSWER, "secret", "left lung"):
        assert content not in raw, f"{content} in {raw}"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_fails_and_what_is_refused_has_a_line_too(audited):
    server, file = audited
    assert server.chat("hello").status == 401
    assert server.chat("hello", headers=authorized(), temperature=-5).status == 400
    assert server.get("/v1/models/nobody's%0aname", headers=authorized()).status == 404
    assert server.get("/health/ready").status == 200
    refused, wrong, absent = lines(file, 3)
    assert (refused["status"], refused["key"], refused["error"]["code"]) == (401, None, "invalid_api_key")
    assert wrong["status"] == 400 and wrong["error"]["type"] == "invalid_request_error"
    assert (absent["status"], absent["route"]) == (404, "GET /v1/models/{id}")
    assert "nobody" not in file.read_text()


def test_a_stream_has_its_line_when_it_ends(audited):
    server, file = audited
    assert server.chat(about(picture()), headers=authorized(), stream=True, n=2, temperature=1).status == 200
    (line,) = lines(file, 1)
    assert line["status"] == 200 and len(line["answers"]) == 2


def test_a_file_that_was_renamed_is_left_at_sighup(audited):
    server, file = audited
    server.get("/v1/models", headers=authorized(**{"X-Request-Id": "before"}))
    old = file.with_suffix(".1")
    lines(file, 1)
    file.rename(old)
    server.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    server.get("/v1/models", headers=authorized(**{"X-Request-Id": "after"}))
    assert [line["request"] for line in lines(file, 1)] == ["after"]
    assert [line["request"] for line in lines(old, 1)] == ["before"]


def test_content_is_written_where_it_is_asked_for(tmp_path):
    file = tmp_path / "audit.jsonl"
    with Server("--audit", file, "--audit-content") as server:
        assert server.chat(about(picture()), max_tokens=60).status == 200
        (line,) = lines(file, 1)
    assert QUESTION in json.dumps(line["content"]["messages"]) and ANSWER in line["content"]["answers"][0]
    assert "base64" not in json.dumps(line)


def test_all_lines_are_there_when_the_server_has_ended(tmp_path):
    file = tmp_path / "audit.jsonl"
    with Server("--audit", file) as server:
        for number in range(20):
            server.get("/v1/models", headers={"X-Request-Id": f"id-{number}"})
        assert server.stop() == 0
    written = [json.loads(line)["request"] for line in file.read_text().splitlines()]
    assert written == [f"id-{number}" for number in range(20)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_a_full_disk_costs_no_answer_and_is_counted(tmp_path):
    with Server("--audit", "/dev/full") as server:
        assert server.chat(about(picture()), max_tokens=60).status == 200
        until = time.monotonic() + PATIENCE
        while not re.search(
            r"^fleming_audit_lines_lost_total\S* [1-9]", server.get("/metrics").body.decode(), re.M
        ):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert "lines are lost" in server.said()


def test_a_file_that_cannot_be_opened_ends_the_server_at_once(tmp_path):
    with pytest.raises(AssertionError, match="lines can be appended to"):
        Server("--audit", tmp_path)
