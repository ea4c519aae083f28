"""nginx and HAProxy, as `deploy/` sets them up, before two servers.

Streams, bodies, affinity, and what happens when a server is killed or told to end.
"""

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import numpy as np
import pytest
from serving import ANSWER, PATIENCE, Answer, Server, about, data_url, picture
from test_deploy import text, tool

KEYS = [f"{number}-a-key-for-tests-of-proxies" for number in range(16)]
#: Far more tokens than a proxy's buffer has room for.
LONG = {"max_tokens": 600, "ignore_eos": True, "stream": True}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def replaced(content, *pairs):
    """A configuration with other places in it, each of which it must name."""
    for old, new in pairs:
        assert old in content, f"the configuration no longer names {old}"
        content = content.replace(old, new)
    return content


def nginx(folder, port, servers):
    places = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    site = replaced(
        text("nginx.conf"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("/etc/ssl/certs/fleming.pem", f"{folder}/chain.pem"),
        ("/etc/ssl/private/fleming.key", f"{folder}/key.pem"),
        ("/var/lib/nginx/body", f"{folder}/body"),
        ("127.0.0.1:8081", f"127.0.0.1:{servers[0].port}"),
        ("127.0.0.1:8082", f"127.0.0.1:{servers[1].port}"),
    )
    user = "user root;" if os.geteuid() == 0 else ""
    whole = f"""{user} daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events {{}}
http {{
    access_log off;
{places}
{site}
}}
"""
    (folder / "nginx.conf").write_text(whole)
    return [tool("nginx"), "-e", "stderr", "-c", folder / "nginx.conf"]


def haproxy(folder, port, servers):
    chain, key = ((folder / name).read_text() for name in ("chain.pem", "key.pem"))
    (folder / "both.pem").write_text(chain + key)
    whole = replaced(
        text("haproxy.cfg"),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("/etc/haproxy/fleming.pem", f"{folder}/both.pem"),
        ("/run/haproxy/admin.sock", f"{folder}/admin.sock"),
        ("127.0.0.1:8081", f"127.0.0.1:{servers[0].port}"),
        ("127.0.0.1:8082", f"127.0.0.1:{servers[1].port}"),
    )
    (folder / "haproxy.cfg").write_text(whole)
    return [tool("haproxy"), "-db", "-f", folder / "haproxy.cfg"]


class Proxy:
    """A running proxy, and HTTPS to it."""

    def __init__(self, folder, configure, servers):
        certificate = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        made = [
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            folder / "key.pem",
            "-out",
            folder / "chain.pem",
        ]
        subprocess.run([tool("openssl"), "req", *certificate, *made], check=True, capture_output=True)
        self.context = ssl.create_default_context(cafile=folder / "chain.pem")
        self.port = free_port()
        self.folder = folder
        command = configure(folder, self.port, servers)
        self.process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=(folder / "log").open("w"))
        until = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                if self.request("GET", "/health/ready").status == 200:
                    return
            assert self.process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)

    @contextlib.contextmanager
    def open(self, method, path, body=None, key=None, headers=None):
        """A response whose body is still to be read."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, context=self.context
        )
        headers = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        with contextlib.closing(connection):
            connection.request(method, path, body=body and json.dumps(body), headers=headers)
            yield connection.getresponse()

    def request(self, *arguments, **named):
        with self.open(*arguments, **named) as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())

    def chat(self, messages, key, headers=None, **fields):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = {"messages": messages, "max_tokens": 4, **fields}
        return self.request("POST", "/v1/chat/completions", body=body, key=key, headers=headers)

    def __exit__(self, *_):
        # Each worker of nginx is a process of its own, which SIGTERM to the first ends.
        self.process.terminate()
        self.process.wait(PATIENCE)

    def __enter__(self):
        return self


def answered(server):
    """How many chats a server has answered, by its log."""
    return len(re.findall(r"/v1/chat/completions\S* .*status=200", server.said()))


@pytest.fixture(params=[nginx, haproxy], ids=["nginx", "haproxy"])
def behind(request, tmp_path):
    """A proxy and its two servers."""
    tool(request.param.__name__)
    keys = tmp_path / "keys"
    keys.write_text("\n".join(KEYS))
    keys.chmod(0o600)
    with (
        Server("--keys", keys, "--slots", 2) as one,
        Server("--keys", keys, "--slots", 2) as other,
        Proxy(tmp_path, request.param, [one, other]) as proxy,
    ):
        yield proxy, [one, other]


def home(proxy, servers, key):
    """The server that a key's requests go to, and the other one."""
    before = [answered(server) for server in servers]
    assert proxy.chat("hello", key).status == 200
    after = [answered(server) for server in servers]
    grown = [place for place in range(2) if after[place] > before[place]]
    assert len(grown) == 1, (before, after)
    return servers[grown[0]], servers[1 - grown[0]]


def stream_of(response):
    """The events of a stream as they come."""
    for line in response:
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").strip()


def test_requests_of_a_key_meet_one_server_and_both_have_work(behind):
    proxy, servers = behind
    homes = {key: home(proxy, servers, key)[0] for key in KEYS}
    assert {id(server) for server in homes.values()} == {id(server) for server in servers}
    for key in KEYS[:4]:
        assert home(proxy, servers, key)[0] is homes[key]
    # A follow-up question finds what the slot still holds.
    asked = [proxy.chat(about(picture()), KEYS[0], max_tokens=40) for _ in range(2)]
    assert [answer.json()["choices"][0]["message"]["content"] for answer in asked] == [ANSWER] * 2
    usage = asked[1].json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= usage["prompt_tokens"] - 2


def test_ids_pass_and_metrics_do_not(behind):
    proxy, _ = behind
    assert (
        proxy.chat("hello", KEYS[0], headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    )
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", proxy.chat("hello", KEYS[0]).headers["x-request-id"])
    assert proxy.request("GET", "/metrics", key=KEYS[0]).status == 404
    assert proxy.chat("hello", "no key of this server").status == 401


def test_a_stream_comes_as_it_is_made(behind):
    proxy, servers = behind
    server, _ = home(proxy, servers, KEYS[0])
    body = {"messages": [{"role": "user", "content": "hello"}], **LONG}
    with proxy.open("POST", "/v1/chat/completions", body=body, key=KEYS[0]) as response:
        events = stream_of(response)
        json.loads(next(events))
        shown = server.get("/metrics", {"Authorization": f"Bearer {KEYS[0]}"}).body.decode()
        assert re.search(r"^vllm:num_requests_running\S* 1$", shown, re.MULTILINE), (
            "the whole stream came at once"
        )
        assert list(events)[-1] == b"[DONE]"


def test_a_client_that_leaves_ends_the_work(behind):
    proxy, servers = behind
    server, _ = home(proxy, servers, KEYS[0])
    body = {"messages": [{"role": "user", "content": "hello"}], **LONG}
    with proxy.open("POST", "/v1/chat/completions", body=body, key=KEYS[0]) as response:
        json.loads(next(stream_of(response)))
    until = time.monotonic() + PATIENCE
    key = {"Authorization": f"Bearer {KEYS[0]}"}
    while 'finished_reason="abort"} 1' not in server.get("/metrics", key).body.decode():
        assert time.monotonic() < until, "the answer went on"
        time.sleep(0.05)


def test_a_large_body_passes(behind):
    proxy, _ = behind
    volume = io.BytesIO()
    np.save(volume, np.zeros((64, 384, 384), np.float32))
    file = {"filename": "a.npy", "file_data": data_url(volume.getvalue(), "application/octet-stream")}
    question = about({"type": "file", "file": file, "fleming": {"slices": 1}})
    answer = proxy.chat(question, KEYS[0])
    assert answer.status == 200, answer.body
    assert len(volume.getvalue()) > 30 << 20


def test_a_server_that_is_killed_is_stood_in_for(behind):
    proxy, servers = behind
    server, other = home(proxy, servers, KEYS[0])
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    before = answered(other)
    for _ in range(5):
        assert proxy.chat("hello", KEYS[0]).status == 200
    assert answered(other) == before + 5


def test_a_server_that_is_told_to_end_fails_no_request(behind):
    proxy, servers = behind
    server, other = home(proxy, servers, KEYS[0])
    body = {"messages": [{"role": "user", "content": "hello"}], **LONG}
    with proxy.open("POST", "/v1/chat/completions", body=body, key=KEYS[0]) as response:
        events = stream_of(response)
        json.loads(next(events))
        server.process.send_signal(signal.SIGTERM)
        before = answered(other)
        statuses = [proxy.chat("hello", KEYS[0]).status for _ in range(5)]
        assert statuses == [200] * 5
        assert answered(other) >= before + 4
        assert list(events)[-1] == b"[DONE]"
    assert server.process.wait(PATIENCE) == 0
    assert proxy.chat("hello", KEYS[0]).status == 200
