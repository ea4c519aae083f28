"""Clients that leave, an engine that stands still, and a server that is asked to stop."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from abuse import (
    LONG,
    Socket,
    Stopped,
    chat_bytes,
    cost,
    greys,
    has_text,
    head,
    processor_seconds,
    settle,
    stage,
    stream_until,
)
from serving import ANSWER, CHEST, PATIENCE, Server, about, data_url, picture

from program import FLEMING


@pytest.fixture(scope="module")
def narrow():
    """A server that answers one question at a time, and has two more wait."""
    with Server("--slots", 1, "--queue", 2) as server:
        yield server


@pytest.fixture(scope="module")
def whole(narrow):
    """What a long answer costs that nobody leaves."""
    return cost(narrow, lambda: narrow.chat(about(picture()), **LONG))


def fresh_picture():
    """A picture that no other request has."""
    return {"type": "image_url", "image_url": {"url": data_url(greys(os.urandom(64)))}}


def is_free(server):
    """Whether there is room for as many answers as ever, once the server has seen who has left."""
    until = time.monotonic() + PATIENCE
    while (asked := server.chat(about(picture()), n=3, temperature=1, max_tokens=3).status) == 429:
        assert time.monotonic() < until, "those who have left keep their places"
        time.sleep(0.1)
    assert asked == 200
    return server.get("/health/ready").status == 200


def queued(server):
    """A client that has left the queue before its turn."""
    first = stream_until(server, has_text, **LONG)
    second = Socket(server)
    second.send(chat_bytes(about(picture()), **LONG))
    time.sleep(0.1)
    second.close()
    first.close()


def half_a_body(server):
    request = chat_bytes(about(picture()), **LONG)
    with Socket(server) as connection:
        connection.send(request[: len(request) // 2])
        time.sleep(0.05)


def a_whole_body(server):
    with Socket(server) as connection:
        connection.send(chat_bytes(about(picture()), **LONG))


def before_the_last_bracket(server):
    with Socket(server) as connection:
        connection.send(chat_bytes(about(picture()), **LONG)[:-1])


def encoding(server):
    stream_until(server, stage("encoding"), about(fresh_picture()), **LONG).close()


def prefilling(server):
    stream_until(server, stage("prefilling"), about(fresh_picture()), **LONG).close()


def writing(server):
    stream_until(server, has_text, **LONG).close()


def reset(server):
    """The connection breaks instead of ending."""
    connection = stream_until(server, has_text, **LONG)
    connection.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def not_a_stream(server):
    """An answer at once is not sent for long, and its client leaves while the model writes."""
    with Socket(server) as connection:
        connection.send(chat_bytes(about(picture()), **LONG))
        before = processor_seconds(server)
        while processor_seconds(server) - before < 0.3:
            time.sleep(0.02)


def several_answers(server):
    stream_until(server, has_text, n=3, temperature=1, **LONG).close()


WAYS = [
    queued,
    half_a_body,
    before_the_last_bracket,
    a_whole_body,
    encoding,
    prefilling,
    writing,
    reset,
    not_a_stream,
    several_answers,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_nothing_is_computed_for_a_client_that_left(narrow, whole, way):
    assert cost(narrow, lambda: way(narrow)) < whole * 0.6
    assert is_free(narrow)


def test_a_study_is_not_read_on_for_a_client_that_left(narrow, tmp_path):
    numpy = pytest.importorskip("numpy")
    pillow = pytest.importorskip("PIL.Image")
    noise = numpy.random.default_rng(1).integers(0, 255, (4000, 4000, 3), "uint8")
    pillow.fromarray(noise).save(tmp_path / "noise.png", compress_level=1)
    messages = about(picture(tmp_path / "noise.png"))
    request = chat_bytes(messages, max_tokens=1)
    answered = cost(narrow, lambda: narrow.chat(messages, max_tokens=1))

    def leave():
        with Socket(narrow) as connection:
            connection.send(request)

    assert cost(narrow, leave) < answered * 0.8
    assert is_free(narrow)


def test_many_that_leave_cost_no_memory(server):
    """Fewer than `load.py leave` has, and enough to see a leak of each."""

    def leave(count):
        threads = [threading.Thread(target=storm, args=(share,)) for share in range(4)]
        for thread in threads:
            thread.count = count // 4
            thread.start()
        for thread in threads:
            thread.join()
        settle(server)
        return server.resident()

    def storm(share):
        for number in range(threading.current_thread().count):
            question = f"{share} {number}"
            with Socket(server) as connection:
                connection.send(chat_bytes(about(picture(), question=question), stream=True, **LONG))
                time.sleep((number % 10) * 0.02)

    leave(40)
    before = leave(40)
    assert leave(80) - before < 32 << 20
    assert server.chat(about(picture())).json()["choices"][0]["message"]["content"] == ANSWER


def test_a_client_that_does_not_read_holds_no_slot(narrow):
    slow = Socket(narrow)
    slow.plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(chat_bytes(about(picture()), stream=True, logprobs=True, top_logprobs=20, **LONG))
    settle(narrow)
    assert is_free(narrow)
    text = slow.read_until("[DONE]")
    assert '"finish_reason":"length"' in text
    slow.close()


# ── an engine that stands still


@pytest.mark.parametrize("wanted", ["encoding", "prefilling", "text"])
def test_an_engine_that_stands_still_is_seen(wanted):
    with Server("--stall", 1) as server:
        stream = stream_until(server, has_text if wanted == "text" else stage(wanted), **LONG)
        waiting = Socket(server)
        waiting.send(chat_bytes("hello"))
        with Stopped(server):
            server.wait_for("/health/ready", 503)
            assert server.get("/health/ready").json() == {"status": "stalled"}
            assert server.get("/health/live").status == 200
            # What is under way and what is asked now fails, and does not hang.
            assert '"code":"stalled"' in stream.read_until('"code":"stalled"')
            assert waiting.read_until("\r\n\r\n").startswith("HTTP/1.1 503 ")
            answer = server.chat("hello")
            assert (answer.status, answer.error()["code"]) == (503, "stalled") and answer.headers[
                "retry-after"
            ]
        server.wait_for("/health/ready", 200)
        assert server.chat(about(picture())).json()["choices"][0]["message"]["content"] == ANSWER
        stream.close()
        waiting.close()


def test_a_pause_between_questions_is_no_standstill():
    with Server("--stall", 0.3) as server:
        for _ in range(3):
            assert server.chat("hello", max_tokens=3).status == 200
            time.sleep(0.6)
            assert server.get("/health/ready").status == 200


# ── the end


def ended(server):
    code = server.process.wait(PATIENCE)
    return code


def open_streams(server, count, **fields):
    return [stream_until(server, has_text, **fields) for _ in range(count)]


def test_a_server_that_stops_ends_its_streams_first():
    with Server("--slots", 8, "--drain", 60) as server:
        streams = open_streams(server, 8, ignore_eos=True, max_tokens=150)
        idle = Socket(server)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("/health/ready", 503)
        assert server.get("/health/ready").json() == {"status": "draining"}
        assert server.get("/health/live").status == 200
        answer = server.chat("hello")
        assert (answer.status, answer.error()["code"]) == (503, "draining") and answer.headers["retry-after"]
        for stream in streams:
            text = stream.read()
            assert '"finish_reason":"length"' in text and text.count("data: [DONE]") == 1
        assert ended(server) == 0
        idle.close()


def test_streams_are_cut_at_the_deadline_and_say_so():
    with Server("--slots", 8, "--drain", 0.5) as server:
        streams = open_streams(server, 8, ignore_eos=True, max_tokens=3500)
        whole = Socket(server)
        whole.send(chat_bytes(about(picture()), ignore_eos=True, max_tokens=3500))
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        for stream in streams:
            text = stream.read()
            last = json.loads(text.rsplit("data: ", 1)[1].split("\n")[0])
            assert last["error"]["code"] == "draining" and last["error"]["type"] == "server_error"
            assert "[DONE]" not in text
            # The last chunk of the transfer is there: it was ended, not dropped.
            assert text.endswith("0\r\n\r\n")
        assert whole.read_until("}").startswith("HTTP/1.1 503 ")
        assert ended(server) == 0
        whole.close()


def test_a_second_signal_does_not_wait():
    with Server("--drain", 600) as server:
        stream = open_streams(server, 1, ignore_eos=True, max_tokens=3500)[0]
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("/health/ready", 503)
        server.process.send_signal(signal.SIGTERM)
        assert '"draining"' in stream.read()
        assert ended(server) == 0
        stream.close()


def test_what_clients_leave_open_keeps_no_server_alive():
    with Server("--drain", 30) as server:
        begun = Socket(server)
        begun.send("POST /v1/chat/completions HTTP/1.1\r\nHost: local")
        half = Socket(server)
        half.send(head(1000), "{")
        alive = Socket(server)
        alive.send(head(None, "GET", "/health", Content_Length=None))
        assert alive.read_until("}").startswith("HTTP/1.1 200 ")
        unread = Socket(server)
        unread.plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.send(chat_bytes(about(picture()), stream=True, max_tokens=5))
        settle(server)
        assert server.stop() == 0
        for connection in (begun, half, alive, unread):
            connection.close()


def test_a_server_may_be_stopped_while_it_loads():
    for delay in (0, 0.02, 0.1, 0.2, 0.4):
        with Server(wait=False) as server:
            time.sleep(delay)
            assert server.stop() == 0, server.said()


def test_questions_wait_for_the_model_elsewhere():
    with Server(wait=False) as server:
        answer = server.chat("hello")
        assert answer.status in (200, 503)
        if answer.status == 503:
            assert answer.error()["code"] == "loading" and answer.headers["retry-after"]
        server.wait_for("/health", 200)
        assert server.chat("hello").status == 200


def test_a_model_that_cannot_be_loaded_ends_the_server():
    command = [FLEMING, "serve", "--model", CHEST.parent, "--port", "0"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode > 0 and "fleming.json" in ended.stderr, ended


def test_a_full_queue_says_when_to_come_again(narrow):
    streams = open_streams(narrow, 1, **LONG)
    waiting = [Socket(narrow) for _ in range(2)]
    for connection in waiting:
        connection.send(chat_bytes(about(picture()), **LONG))
    time.sleep(0.3)
    answer = narrow.chat(about(picture()), max_tokens=1)
    assert (answer.status, answer.error()["code"]) == (429, "queue_full")
    assert answer.error()["type"] == "rate_limit_error" and int(answer.headers["retry-after"]) > 0
    for connection in (*streams, *waiting):
        connection.close()
    settle(narrow)
    assert is_free(narrow)


def test_pictures_in_data_urls_are_not_kept(server):
    """Bodies of requests leave memory with their answers."""
    large = data_url(CHEST.read_bytes() + bytes(20 << 20))
    part = {"type": "image_url", "image_url": {"url": large}}
    server.chat(about(part), max_tokens=1)
    settle(server)
    before = server.resident()
    for _ in range(4):
        server.chat(about(part), max_tokens=1)
    settle(server)
    assert server.resident() - before < 64 << 20
