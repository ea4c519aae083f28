"""`fleming chat` on a real terminal: line editing, the streamed reply, Ctrl-C, Ctrl-D."""

import json
import os
import pty
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from test_terminal import INPUTS, LIMIT_S, plain

from program import FLEMING, SYNTHETIC

# The line editor says so when it begins to read: pasted text is marked from here on.
PROMPT = "\x1b[?2004h"
CTRL_C, CTRL_D, BACKSPACE, ENTER = "\x03", "\x04", "\x7f", "\r"


class Chat:
    """A chat whose keyboard and screen are ours."""

    def __init__(self, *options: object) -> None:
        arguments = [str(part) for part in (FLEMING, "chat", "--model", SYNTHETIC, *options)]
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execve(arguments[0], arguments, {**os.environ, "TERM": "xterm"})
        self.shown = b""
        self.seen = 0

    def type(self, keys: str) -> None:
        self.seen = len(self.shown)
        os.write(self.terminal, keys.encode())

    def until(self, text: str) -> str:
        """What was shown since the last keys, as soon as `text` is among it."""
        end = time.monotonic() + LIMIT_S
        while text.encode() not in self.shown[self.seen :]:
            assert time.monotonic() < end, self.shown.decode(errors="replace")
            if select.select([self.terminal], [], [], 1)[0]:
                self.shown += os.read(self.terminal, 65536)
        return self.shown[self.seen :].decode(errors="replace")

    def line(self, text: str) -> str:
        """What is shown from a line to the next prompt."""
        self.type(text + ENTER)
        return self.until(PROMPT)

    def end(self) -> int:
        while True:
            try:
                if not os.read(self.terminal, 65536):
                    break
            except OSError:  # Linux says so when the other side is closed
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@contextmanager
def chat(*options: object) -> Iterator[Chat]:
    chat = Chat(*options)
    try:
        chat.until(PROMPT)
        yield chat
    finally:
        os.close(chat.terminal)


def test_an_answer_is_streamed_and_the_prompt_comes_back(tmp_path: Path) -> None:
    with chat("--max-new-tokens", "6", "--ignore-eos") as session:
        session.line(f"/image {INPUTS / 'chest.png'}")
        # A typing error, mended at once.
        shown = session.line("What is showm" + BACKSPACE + "n?")
        assert "looking" in shown
        assert "reading" in shown
        session.line(f"/save {tmp_path / 'chat.json'}")
        session.type(CTRL_D)
        assert session.end() == 0
    (turn,) = json.loads((tmp_path / "chat.json").read_text())["history"]
    assert turn[0].endswith("\n<image>\nWhat is shown?")
    assert turn[1].split()[-1] in plain(shown)


def test_a_line_that_fails_does_not_end_the_chat(tmp_path: Path) -> None:
    volume = INPUTS / "volume_f32.npy"
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "precious.json").write_text("[1, 2]")
    turn = ["<image>\nWhat is shown?", "A lung."]
    conversations = {
        "lost": {"history": [turn], "studies": [{"volume": "nowhere.npy"}]},
        "fewer": {"history": [turn, turn], "studies": [{"volume": str(volume)}]},
        "odd": {"history": [], "studies": [{"image": "x", "model": "y"}]},
    }
    for name, conversation in conversations.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(conversation))
    with chat("--max-new-tokens", "4", "--ignore-eos") as session:
        session.line("What is CT?")
        for line, named in (
            ("/image nowhere.png", "nowhere.png"),
            (f"/image {tmp_path / 'text.png'}", "something else"),
            ("/nonsense", "/nonsense"),
            ("/save", "the name of a file"),
            (f"/volume {volume} --slices many", "--slices"),
            (f"/save {tmp_path / 'precious.json'}", "an older conversation"),
            (f"/load {tmp_path / 'lost.json'}", "nowhere.npy"),
            (f"/load {tmp_path / 'fewer.json'}", "as many studies"),
            (f"/load {tmp_path / 'odd.json'}", "model"),
            (f"/load {tmp_path / 'none.json'}", "none.json"),
        ):
            shown = plain(session.line(line)).replace("\r", "").replace("\n", "")
            assert "error: " in shown and named in shown, shown
        session.line("And MRI?")
        session.line(f"/save {tmp_path / 'chat.json'}")
        session.line(f"/save {tmp_path / 'chat.json'}")
        session.type(CTRL_D)
        assert session.end() == 0
    assert (tmp_path / "precious.json").read_text() == "[1, 2]"
    turns = json.loads((tmp_path / "chat.json").read_text())["history"]
    assert [question.splitlines()[-1] for question, _ in turns] == ["What is CT?", "And MRI?"]
    assert not any("<image>" in question for question, _ in turns)


def test_ctrl_c_stops_the_answer_and_not_the_chat(tmp_path: Path) -> None:
    with chat("--max-new-tokens", "20000", "--ignore-eos") as session:
        session.line(f"/volume {INPUTS / 'volume_f32.npy'}")
        session.type("What is shown?" + ENTER)
        session.until("reading")
        session.type(CTRL_C)
        assert "stopped" in session.until(PROMPT)
        # At the prompt it only empties the line.
        session.type("half a line" + CTRL_C)
        session.until(PROMPT)
        assert "/volume FILE" in session.line("/help")
        session.line(f"/save {tmp_path / 'chat.json'}")
        session.type("/quit" + ENTER)
        assert session.end() == 0
    assert json.loads((tmp_path / "chat.json").read_text())["history"] == []
