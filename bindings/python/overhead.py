"""What Python adds to a request: medians in milliseconds. `overhead.py [REQUESTS]`, on the demo model.

The first line is the time of a call less what the engine itself accounts for (reading, pixels, waiting,
prompt, steps); the second is the same of the C function alone; the last is what is between them.
"""

import statistics
import sys
import time
from ctypes import byref
from pathlib import Path

import fleming_vl
from fleming_vl import _reply, _request
from fleming_vl._library import library

PICTURE = Path(__file__).parents[2] / "examples" / "chest.png"
QUESTION = "Is there a nodule, and on which side?"


def engines(reply: fleming_vl.Reply) -> float:
    """Milliseconds that the engine accounts for."""
    times = reply.timings_ms
    return times.read + times.preprocess + times.queue + times.vision + times.prefill + times.decode


def by_python(engine: fleming_vl.Engine) -> float:
    """Milliseconds of a call beside the engine's."""
    began = time.perf_counter()
    reply = engine.ask(QUESTION, image=PICTURE, max_new_tokens=8)
    return (time.perf_counter() - began) * 1e3 - engines(reply)


def by_c(engine: fleming_vl.Engine) -> float:
    """The same of `fleming_engine_ask`, of a request that is there already."""
    given: dict = {"image": PICTURE, "max_new_tokens": 8}
    asked = _request.asked(QUESTION, _request.prepared(given), given)
    began = time.perf_counter()
    handle = library().make("engine_ask", engine._handle, asked.request, byref(asked.options))
    took = (time.perf_counter() - began) * 1e3
    return took - engines(_reply.read(handle, _reply.Asked(("", ""))))


def main() -> None:
    """Asks both ways in turns, so that the machine treats both alike."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with fleming_vl.Engine(fleming_vl.DEMO) as engine:
        for _ in range(10):
            by_python(engine)
        pairs = [(by_python(engine), by_c(engine)) for _ in range(requests)]
    python, c = (statistics.median(times) for times in zip(*pairs, strict=True))
    between = statistics.median(python - c for python, c in pairs)
    print(f"Python {python:.3f} ms\nC      {c:.3f} ms\nbetween {between:.3f} ms")


if __name__ == "__main__":
    main()
