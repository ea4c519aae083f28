"""The repository's files, and the program's answers to compare with, for the tests of the Python package."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from program import FLEMING, ROOT

PACKAGE = ROOT / "bindings" / "python"
EXAMPLES = ROOT / "examples"
CHEST = EXAMPLES / "chest.png"
CLIP = EXAMPLES / "clip.mp4"
VOLUME = EXAMPLES / "volume.npz"
NIFTI = EXAMPLES / "chest.nii.gz"
CT = EXAMPLES / "chest_ct"
SIDE = "Is there a nodule, and on which side?"
DEVICE = "What device is observed on the chest wall?"


def blocks(page):
    """The programs in Python of a document."""
    found = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found, page
    return found


def run_program(verb, *arguments):
    """What the program prints of a verb with the demo model."""
    command = [FLEMING, verb, "--model", ROOT / "models" / "demo", *arguments]
    ended = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    assert ended.returncode in (0, 4), ended.stderr
    return ended.stdout


def told(*arguments):
    """The reply of the program to a question about inputs, as JSON."""
    return json.loads(run_program("ask", "--threads", 1, "--json", *arguments))


def same(reply, told):
    """Whether a reply is that of the program, names of sources apart."""
    assert reply.text == told["text"]
    assert (reply.answer, reply.thought) == (told["answer"], told["thought"])
    assert (reply.finish, reply.truncated) == (told["finish"], told["truncated"])
    assert reply.usage.prompt_tokens == told["usage"]["prompt_tokens"]
    assert reply.digest == told["package"]["digest"]
    seen = [(frame.index, frame.window, frame.tiles) for frame in reply.frames]
    for frame, (index, window, tiles) in zip(told["frames"], seen, strict=True):
        assert frame.get("slice_index", frame.get("frame_index")) == index
        assert tuple(frame.get("window", ())) == (window or ())
        assert frame["tiles"] == tiles
    return True


def run(script, *arguments, **options):
    """A process of this Python that runs a script with the package."""
    paths = [str(PACKAGE), str(ROOT / "tests"), str(PACKAGE / "tests")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    # A shell lets what it runs in the background ignore Ctrl-C, and children inherit that.
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options)


def printed(script, *arguments):
    """What such a script prints; it must succeed."""
    with run(script, *arguments) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def awaited(coroutine):
    """What a coroutine returns, run in a thread of its own: the browser's tests leave a loop in theirs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
