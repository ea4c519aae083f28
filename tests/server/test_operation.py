"""What a server does beside answering: who may use it, how it is, how it ends."""

import contextlib
import ctypes
import json
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from serving import DEMO, PATIENCE, Server, about, picture

from program import FLEMING

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"


def bearer(key=KEY):
    return {"Authorization": f"Bearer {key}"}


def asked(server, count, **fields):
    """Answers that never end by themselves, and the threads that wait for them."""
    answers = []

    def ask(number):
        fields.setdefault("fleming", {"ignore_eos": True})
        answers.append(server.chat(f"Count {number}", **fields))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    return answers, threads


def wait_until_running(server, count):
    while not re.search(
        rf"vllm:num_requests_running{{[^}}]*}} {count}\n", server.get("/metrics").body.decode()
    ):
        time.sleep(0.01)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"# two\n{KEY}\n{OTHER}\n")
    keys.chmod(0o600)
    with Server("--keys", keys, "--host", "127.0.0.1", wait=False) as server:
        server.keys = keys
        server.wait_for("/health/ready", 200)
        yield server


def test_health_and_the_document_are_open_and_nothing_else_is(guarded):
    for path in (
        "/health",
        "/health/live",
        "/health/ready",
        "/v1/health/live",
        "/v1/health/ready",
        "/openapi.json",
    ):
        assert guarded.get(path).status == 200
    closed = [
        "/v1/models",
        "/metrics",
        "/v1/files",
        "/v1/chat/completions",
        "/nowhere",
        "//v1/models",
        "/v1/../v1/models",
        "/v1/models/",
        "/health/",
        "/health/../v1/models",
    ]
    for path in closed:
        for method in ("GET", "POST", "DELETE", "OPTIONS", "PUT"):
            answer = guarded.request(method, path)
            assert (answer.status, answer.error()["type"]) == (401, "authentication_error"), (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
    for headers in (
        {"Host": "evil"},
        {"Host": "localhost"},
        bearer(KEY.upper()),
        bearer(""),
        {"Authorization": KEY},
    ):
        assert guarded.get("/v1/models", headers).status == 401
    for headers in (
        bearer(),
        bearer(OTHER),
        {"X-Api-Key": KEY},
        {"Authorization": f"bearer {KEY}", "Host": "fleming.clinic"},
    ):
        assert guarded.get("/v1/models", headers).status == 200


def test_one_key_does_not_see_what_another_asked(guarded):
    messages = about(picture(), question="Is there a device?")
    first = guarded.chat(messages, bearer()).json()["usage"]
    cached = [
        guarded.chat(messages, bearer(key)).json()["usage"]["prompt_tokens_details"]["cached_tokens"]
        for key in (OTHER, KEY)
    ]
    assert cached[0] == 0 and cached[1] > first["prompt_tokens"] // 2


def test_keys_are_read_again(guarded):
    guarded.keys.write_text(f"{KEY}\nanother-key-of-this-server\n")
    guarded.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + PATIENCE
    while guarded.get("/v1/models", bearer("another-key-of-this-server")).status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert guarded.get("/v1/models", bearer(OTHER)).status == 401
    guarded.keys.write_text("short\n")
    guarded.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert guarded.get("/v1/models", bearer()).status == 200


def test_other_machines_need_keys():
    command = [FLEMING, "serve", "--model", DEMO, "--host", "0.0.0.0", "--port", "0"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 2 and "--keys" in ended.stderr and ended.stdout == ""


def test_a_page_from_elsewhere_is_refused(server):
    own = f"http://localhost:{server.port}"
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ):
        answer = server.get("/v1/models", headers)
        assert (answer.status, answer.error()["type"]) == (403, "permission_error"), headers
    for headers in (
        {"Host": "localhost"},
        {"Host": "[::1]:99"},
        {"Host": f"localhost:{server.port}", "Origin": own},
    ):
        assert server.get("/v1/models", headers).status == 200, headers


def test_a_page_of_an_allowed_origin_may_ask():
    with Server("--allow-origin", "https://viewer.example", "--allow-host", "edge.clinic") as server:
        origin = {"Origin": "https://viewer.example"}
        preflight = server.request(
            "OPTIONS", "/v1/chat/completions", headers={**origin, "Access-Control-Request-Method": "POST"}
        )
        assert (
            preflight.status == 204 and preflight.headers["access-control-allow-origin"] == origin["Origin"]
        )
        assert server.get("/v1/models", origin).headers["access-control-allow-origin"] == origin["Origin"]
        assert server.get("/v1/models", {"Host": "edge.clinic:80"}).status == 200
        assert server.get("/v1/models", {"Origin": "https://other.example"}).status == 403


def test_request_ids_are_repeated_and_cannot_forge_a_line(server):
    assert server.get("/health", {"X-Request-Id": "abc-1.2"}).headers["x-request-id"] == "abc-1.2"
    for bad in ("a b", "%0d%0aerror", "\x1b[31m", "x" * 200):
        answer = server.get("/v1/models", {"X-Request-Id": bad})
        # A header that is none is refused before anybody reads it.
        made = "" if answer.status == 400 else answer.headers["x-request-id"]
        assert re.fullmatch("(req-[0-9a-f]{32})?", made)
        assert bad not in server.said()


def test_the_log_holds_no_content(server):
    server.chat(about(picture(), question="Zanzibar?"))
    server.get("/v1/models/Zanzibar?Zanzibar=1")
    assert "/v1/chat/completions" in server.said() and "Zanzibar" not in server.said()


def test_bodies_have_a_limit():
    with Server("--max-body", 1000) as small:
        declared, chunked = {"Content-Length": "1001"}, iter([b"[" * 600] * 3)
        for headers, body in [(declared, b"[" * 1001), ({}, chunked)]:
            headers["Content-Type"] = "application/json"
            answer = small.request("POST", "/v1/chat/completions", body, headers)
            assert answer.status == 413 and "--max-body" in answer.error()["fleming"]["hint"]
            assert answer.headers["x-should-retry"] == "false"
        assert small.chat("hello", max_tokens=1).status == 200


def test_a_full_queue_says_when_to_come_again():
    with Server("--slots", 1, "--queue", 1) as server:
        answers, threads = asked(server, 8, max_tokens=600)
        for thread in threads:
            thread.join()
        full = [answer for answer in answers if answer.status == 429]
        assert full and {answer.status for answer in answers} == {200, 429}
        assert {answer.error()["code"] for answer in full} == {"queue_full"}
        assert {answer.headers["retry-after"] for answer in full} == {"1"}
        metrics = server.get("/metrics").body.decode()
        assert re.search(rf'fleming_requests_refused_total{{[^}}]*reason="queue_full"}} {len(full)}', metrics)


def test_the_last_answers_are_given_before_the_end(tmp_path):
    audit = tmp_path / "audit.jsonl"
    with Server("--drain", 60, "--audit", audit) as server:
        answers, threads = asked(server, 4, max_tokens=600, stream=True)
        wait_until_running(server, 4)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("/health/ready", 503)
        assert server.get("/health/live").status == 200
        refused = server.chat("hello")
        assert (refused.status, refused.error()["code"]) == (503, "draining")
        assert refused.headers["retry-after"]
        for thread in threads:
            thread.join()
        assert all(answer.events()[-1] == "[DONE]" for answer in answers)
        assert server.process.wait(PATIENCE) == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    lines = [line for line in lines if line["route"] == "POST /v1/chat/completions"]
    assert sorted(line["status"] for line in lines) == [200] * 4 + [503]
    assert sum(bool(line["answers"]) for line in lines) == 4


def test_what_does_not_end_in_time_is_cut_off():
    with Server("--drain", 0.2) as server:
        answers, threads = asked(server, 1, max_tokens=4000, stream=True)
        wait_until_running(server, 1)
        assert server.stop() == 0
        threads[0].join()
        assert json.loads(answers[0].events()[-1])["error"]["code"] == "draining"


@contextlib.contextmanager
def stopped(process, name):
    """One thread of a process does not run meanwhile."""
    tasks = Path(f"/proc/{process.pid}/task")
    thread = next(int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name)
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    attach, detach = 16, 17
    if ptrace(attach, thread, 0, 0) != 0:
        pytest.skip("this system lets nobody stop a thread")
    try:
        yield
    finally:
        ptrace(detach, thread, 0, 0)


def test_an_engine_that_stands_still_is_said_to():
    with Server("--stall", 1) as server:
        answers, threads = asked(server, 1, max_tokens=4000)
        wait_until_running(server, 1)
        with stopped(server.process, "fleming-engine"):
            server.wait_for("/health/ready", 503)
            assert server.get("/health/ready").json() == {"status": "stalled"}
            assert server.get("/health/live").status == 200
            threads[0].join(PATIENCE)
            assert (answers[0].status, answers[0].error()["code"]) == (503, "stalled")
            assert server.chat("hello").status == 503
        server.wait_for("/health/ready", 200)


def test_metrics_are_what_gateways_read(server):
    server.chat("hello", max_tokens=2)
    answer = server.get("/metrics")
    text = answer.body.decode()
    assert "text" in answer.headers["content-type"]
    for family in (
        "vllm:num_requests_waiting",
        "vllm:num_requests_running",
        "vllm:kv_cache_usage_perc",
        "vllm:prompt_tokens_total",
        "vllm:time_to_first_token_seconds_bucket",
        "fleming_build_info",
    ):
        assert re.search(rf"^{family}(\{{|_total|\s)", text, re.M), family


def test_a_line_of_the_audit_holds_no_content(tmp_path):
    audit = tmp_path / "audit.jsonl"
    with Server("--audit", audit) as server:
        server.chat(about(picture(), question="Zanzibar?"), max_tokens=30, fleming={"choice": ["Zanzibar"]})
        server.chat("Zanzibar", nonsense="Zanzibar")
        assert server.stop() == 0
    asked, refused = (json.loads(line) for line in audit.read_text().splitlines() if "chat" in line)
    assert "Zanzibar" not in audit.read_text() and audit.stat().st_mode & 0o777 == 0o600
    assert (
        asked["studies"][0]["sha256"]
        and asked["answers"][0]["finish"] == "stop"
        and asked["options"]["max_tokens"] == 30
    )
    assert refused["status"] == 400 and refused["error"]["code"] == "unknown_parameter"
