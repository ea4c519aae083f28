"""A server of the demo model on a free port, and plain HTTP to it, for every test of `fleming serve`."""

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from program import FLEMING, ROOT

DEMO = ROOT / "models" / "demo"
CHEST = ROOT / "examples" / "chest.png"
QUESTION = "Is there a nodule, and on which side?"
ANSWER = "right lung"
#: Seconds: far more than a loaded machine takes.
PATIENCE = 120


@dataclass
class Answer:
    """A response as it came."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]

    def events(self):
        """The data of a stream's events, in their order."""
        lines = self.body.decode().split("\n\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]

    def chunks(self):
        events = self.events()
        assert events[-1] == "[DONE]"
        return [json.loads(event) for event in events[:-1]]


class Server:
    """A running `fleming serve`."""

    def __init__(self, *options, model=DEMO, wait=True, env=None):
        command = [FLEMING, "serve", "--model", model, "--port", "0", "--threads", "1", *map(str, options)]
        # Not a pipe: a server whose log nobody reads would stand still.
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stderr=self.log, env={**os.environ, "FLEMING_LOG": "info", **(env or {})}
        )
        self.port = self._port()
        if wait:
            self.wait_for("/health/ready", 200)

    def _port(self):
        until = time.monotonic() + PATIENCE
        while not (found := re.search(r"^listening: https?://.*:(\d+)$", self.said(), re.MULTILINE)):
            assert self.process.poll() is None, f"the server ended: {self.said()}"
            assert time.monotonic() < until, f"the server does not listen: {self.said()}"
            time.sleep(0.02)
        return int(found[1])

    def said(self):
        """All that it wrote to stderr so far."""
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode("utf-8", "replace")

    def wait_for(self, path, status):
        until = time.monotonic() + PATIENCE
        while self.get(path).status != status:
            assert time.monotonic() < until, f"{path} is {self.get(path)}"
            time.sleep(0.05)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers=None):
        headers = {"Content-Type": "application/json", **(headers or {})}
        return self.request("POST", path, json.dumps(body), headers)

    def chat(self, messages, headers=None, **fields):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return self.post("/v1/chat/completions", {"messages": messages, **fields}, headers)

    def resident(self):
        """Bytes of memory that it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    def stop(self, patience=PATIENCE):
        """Asks it to end; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def data_url(path, kind="image/png"):
    """The content of a file as a URL."""
    content = path if isinstance(path, bytes) else Path(path).read_bytes()
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture(path=CHEST, **fields):
    """A part of a message."""
    return {"type": "image_url", "image_url": {"url": data_url(path), **fields}}


def about(*parts, question=QUESTION):
    """A question about studies."""
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]
