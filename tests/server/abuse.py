"""What a hostile or careless client does, and what one can see of the server from outside."""

import contextlib
import ctypes
import json
import os
import re
import socket
import struct
import time
import zlib
from pathlib import Path

from serving import PATIENCE, about, picture

#: A reply of so many tokens, whatever the model says: seconds of work.
LONG = {"ignore_eos": True, "max_tokens": 2000}


class Socket:
    """A connection on which bytes are sent as they are."""

    def __init__(self, server, context=None):
        self.plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        self.socket = context.wrap_socket(self.plain, server_hostname="localhost") if context else self.plain

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part if isinstance(part, bytes) else part.encode())

    def read_until(self, text):
        """What arrives, up to a text; all of it if the server closes the connection."""
        got, wanted = bytearray(), text.encode()
        with contextlib.suppress(ConnectionError):
            while more := self.socket.recv(1 << 16):
                seen = max(0, len(got) - len(wanted))
                got += more
                if wanted in got[seen:]:
                    break
        return got.decode("utf-8", "replace")

    def read(self):
        """All that arrives until the server closes the connection."""
        got = []
        with contextlib.suppress(ConnectionError):
            while more := self.socket.recv(1 << 16):
                got.append(more)
        return b"".join(got).decode("utf-8", "replace")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def head(length, method="POST", path="/v1/chat/completions", **headers):
    """The first lines of a request."""
    lines = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": length, **headers}
    lines = {name.replace("_", "-"): value for name, value in lines.items() if value is not None}
    return f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {lines[name]}\r\n" for name in lines) + "\r\n"


def chat_bytes(messages, **fields):
    """A whole request, as it goes over the wire."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    body = json.dumps({"messages": messages, **fields})
    return head(len(body)) + body


def exchange(server, *parts):
    """Sends bytes on a connection; returns the status and all that came until the server closed it."""
    with Socket(server) as connection:
        with contextlib.suppress(OSError):
            connection.send(*parts)
        return status_of(connection.read())


def blurt(server, *parts):
    """Sends bytes and ends; returns the status, 0 if the server closed the connection, and all that came."""
    with Socket(server) as connection:
        with contextlib.suppress(OSError):
            connection.send(*parts)
            connection.plain.shutdown(socket.SHUT_WR)
        return status_of(connection.read())


def status_of(text):
    found = re.match(r"HTTP/1\.[01] (\d+)", text)
    return int(found[1]) if found else 0, text


def greys(pixels):
    """A PNG of 64 pixels, 8 on a side."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    rows = b"".join(b"\0" + pixels[at : at + 8] for at in range(0, 64, 8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def processor_seconds(server):
    """What the server's threads have computed so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settle(server):
    """Waits until the server computes nothing; returns what it has computed so far."""
    until = time.monotonic() + PATIENCE
    before = processor_seconds(server)
    while True:
        time.sleep(0.25)
        now = processor_seconds(server)
        if now - before <= 0.02:
            return now
        assert time.monotonic() < until, "the server goes on computing"
        before = now


def cost(server, work):
    """Seconds of computing that some work costs, to its very end."""
    before = settle(server)
    work()
    return settle(server) - before


class Peak:
    """The most memory that the server takes from now on."""

    def __init__(self, server):
        self.folder = Path(f"/proc/{server.process.pid}")
        with contextlib.suppress(OSError):
            (self.folder / "clear_refs").write_text("5")
        self.begin = self.high()

    def high(self):
        return int(re.search(r"VmHWM:\s+(\d+) kB", (self.folder / "status").read_text())[1]) << 10

    def grown(self):
        """Bytes."""
        return self.high() - self.begin


def stream_until(server, wanted, messages=None, **fields):
    """Opens a stream and reads it until an event that `wanted` accepts; returns the open connection."""
    connection = Socket(server)
    fields = {"fleming": {"progress": True, **fields.pop("fleming", {})}, **fields}
    connection.send(chat_bytes(messages or about(picture()), stream=True, **fields))
    text = ""
    while True:
        text += connection.read_until("\n\n")
        for event in re.findall(r"data: (\{.*\})\n\n", text):
            if wanted(json.loads(event)):
                return connection
        assert "[DONE]" not in text and text, f"the stream ended: {text}"


def has_text(chunk):
    return any(
        choice["delta"].get("content") or choice["delta"].get("reasoning") for choice in chunk["choices"]
    )


def stage(name):
    """Whether a chunk tells of this stage."""
    return lambda chunk: chunk.get("fleming", {}).get("progress", {}).get("stage") == name


SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17


class Stopped:
    """One thread of the server stands still, as if a driver of its device had hung."""

    def __init__(self, server, name="fleming-engine"):
        tasks = Path(f"/proc/{server.process.pid}/task")
        named = [task for task in tasks.iterdir() if (task / "comm").read_text().strip() == name]
        assert len(named) == 1, named
        self.thread = int(named[0].name)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(self, request):
        if self.libc.ptrace(request, self.thread, None, None) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    def __enter__(self):
        self.ptrace(SEIZE)
        self.ptrace(INTERRUPT)
        os.waitpid(self.thread, 0x40000000)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.ptrace(DETACH)
