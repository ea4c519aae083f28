"""`fleming ask` on a real terminal: progress, the streamed reply, Ctrl-C."""

import os
import pty
import re
import select
import signal
import subprocess
import time

from program import FLEMING, ROOT, SYNTHETIC

INPUTS = ROOT / "examples" / "generated" / "inputs"
LIMIT_S = 120


def command(*options: object) -> list[str]:
    return [str(part) for part in (FLEMING, "ask", "--model", SYNTHETIC, *options)]


def on_terminal(arguments: list[str], interrupt_at: bytes | None = None) -> tuple[int, str]:
    """Exit code and everything shown; SIGINT is sent as soon as `interrupt_at` has been shown."""
    master, slave = pty.openpty()
    process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown, end = b"", time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            shown += os.read(master, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if interrupt_at is not None and interrupt_at in shown:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(master)
    return process.wait(timeout=10), shown.decode(errors="replace")


def plain(shown: str) -> str:
    """The text without colours, cursor movements and what was overwritten."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n").split("\n")
    return "\n".join(line.split("\r")[-1] for line in lines)


def test_progress_and_the_streamed_reply() -> None:
    arguments = command("--image", INPUTS / "chest.png", "-q", "What is shown?", "--max-new-tokens", "12")
    code, shown = on_terminal(arguments)
    assert code == 0, shown
    assert "looking" in shown
    assert "reading" in shown
    piped = subprocess.run(arguments, check=True, capture_output=True, text=True)
    memory, reply = plain(shown).split("\n", 1)
    assert memory.startswith("memory: ")
    answer, warning = reply.split("\nwarning: ")
    assert answer.strip() == piped.stdout.strip()
    assert warning.startswith("the answer was cut off after 12 tokens")


def test_an_error_is_one_line() -> None:
    code, shown = on_terminal(command("--image", "nowhere.png", "-q", "What is shown?"))
    assert code == 2
    (error,) = shown.splitlines()
    assert error.startswith("error: nowhere.png")


def test_interrupt_ends_the_reply_and_says_so() -> None:
    options = ("--volume", INPUTS / "volume_f32.npy", "-q", "x", "--ignore-eos", "--max-new-tokens", "20000")
    code, shown = on_terminal(command(*options), interrupt_at=b"reading")
    assert code == 130, shown
