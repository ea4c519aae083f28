"""Answers while they are made: streams, asyncio, threads, signals, forks, memory."""

import asyncio
import gc
import signal
import subprocess
import threading

import pytest
from bound import CHEST, DEVICE, SIDE, awaited, printed, run
from program import SYNTHETIC

import fleming_vl

#: An answer that does not end by itself for long.
LONG = {"max_new_tokens": 100_000, "prompt": "direct", "ignore_eos": True}


@pytest.fixture(scope="module")
def endless():
    with fleming_vl.Engine(SYNTHETIC, threads=1) as engine:
        yield engine


def test_a_stream_brings_the_pieces_of_the_reply(engine):
    stream = engine.stream(SIDE, image=CHEST)
    assert stream.reply is None
    events = list(stream)
    reply = stream.reply
    for kind, text in (("thought", reply.thought), ("answer", reply.answer)):
        assert "".join(event.text for event in events if event.kind == kind) == text
    counted = [event for event in events if event.kind == "prefilling"]
    assert counted[-1].done == counted[-1].total == reply.usage.prompt_tokens
    assert list(stream) == [] and reply.text == engine.ask(SIDE, image=CHEST).text


def test_a_stream_that_is_left_ends_the_answer(endless):
    for leave in (lambda stream: stream.close(), lambda stream: stream.__exit__(None, None, None)):
        stream = endless.stream("Q", **LONG)
        assert next(stream).kind
        work, items = stream._work, stream._queue
        leave(stream)
        work.join()
        assert list(stream) == []
        assert last(items).finish == "cancelled"
    stream = endless.stream("Q", **LONG)
    next(stream)
    work, items = stream._work, stream._queue
    del stream
    gc.collect()
    work.join()
    assert last(items).finish == "cancelled"


def last(items):
    item = None
    while not items.empty():
        item = items.get()
    return item


def test_a_failure_of_a_stream_is_raised_once(engine):
    stream = engine.stream(SIDE, image="nowhere.png")
    with pytest.raises(fleming_vl.InputError):
        next(stream)
    assert list(stream) == []


def test_an_answer_ends_when_its_time_is_up(endless):
    reply = endless.ask("Q", timeout=0.3, **LONG)
    assert reply.finish == "timed-out" and reply.usage.completion_tokens > 0


def test_asyncio_is_not_held_up(engine):
    async def both():
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                await asyncio.sleep(0.001)
                beats += 1

        heart = asyncio.ensure_future(beat())
        replies = await asyncio.gather(*[engine.aask(SIDE, image=CHEST) for _ in range(4)])
        heart.cancel()
        stream = engine.astream(SIDE, image=CHEST)
        texts = [event.text async for event in stream if event.kind == "answer"]
        return beats, replies, "".join(texts), stream.reply

    beats, replies, streamed, reply = awaited(both())
    assert beats > 3
    assert {one.answer for one in replies} == {streamed} == {"right lung"} == {reply.answer}


def test_asyncio_hears_of_failures(engine):
    async def fails():
        with pytest.raises(fleming_vl.InputError):
            await engine.aask(SIDE, image="nowhere.png")
        with pytest.raises(fleming_vl.InputError):
            async for _ in engine.astream(SIDE, image="nowhere.png"):
                pass

    awaited(fails())


def test_cancelling_a_task_ends_its_answer(endless):
    works = []

    async def cancelled():
        task = asyncio.ensure_future(endless.aask("Q", **LONG))
        await asyncio.sleep(0.2)
        works.extend(fleming_vl._answer._working)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with endless.astream("Q", **LONG) as stream:
            async for _ in stream:
                works.append(stream._work)
                break
        async for _ in endless.astream("Q", max_new_tokens=3, prompt="direct"):
            pass

    awaited(cancelled())
    assert len(works) >= 2
    for work in works:
        work.join()
    # The one slot is free again.
    assert endless.ask("Q", max_new_tokens=3, prompt="direct").finish == "length"


class Slow:
    """An array of another library, which says where it was converted."""

    def __init__(self):
        self.threads = []

    def __array__(self):
        self.threads.append(threading.current_thread().name)
        return pytest.importorskip("numpy").zeros((8, 8), "uint8")


def test_inputs_are_converted_beside_the_loop(engine):
    slow, short = Slow(), {"max_new_tokens": 1}

    async def ask():
        await engine.aask("Q", image=slow, **short)
        await engine.chat().aask("Q", image=slow, **short)
        for stream in (
            engine.astream("Q", image=slow, **short),
            engine.chat().astream("Q", image=slow, **short),
        ):
            async for _ in stream:
                pass

    awaited(ask())
    assert slow.threads == ["fleming-answer"] * 4


def test_a_chat_streams_and_keeps_whole_turns(engine):
    chat = engine.chat()
    for _ in chat.stream(SIDE, image=CHEST):
        pass
    assert len(chat.turns) == 1
    with chat.stream(DEVICE) as stream:
        next(stream)
    assert len(chat.turns) == 1

    async def more():
        await chat.aask(DEVICE)
        async for _ in chat.astream(DEVICE):
            pass

    awaited(more())
    assert len(chat.turns) == 3


INTERRUPTED = """
import sys, fleming_vl
engine = fleming_vl.Engine(sys.argv[1], threads=1)
options = {"max_new_tokens": 100_000, "prompt": "direct", "ignore_eos": True}
way = sys.argv[2]
try:
    if way == "ask":
        print("asking", flush=True)
        engine.ask("Q", **options)
    elif way == "chat":
        print("asking", flush=True)
        engine.chat().ask("Q", **options)
    else:
        for event in engine.stream("Q", **options):
            if event.text:
                print("asking", flush=True)
except KeyboardInterrupt:
    print("\\ninterrupted", flush=True)
print(engine.ask("Q", max_new_tokens=3, prompt="direct").finish)
"""


@pytest.mark.parametrize("way", ["ask", "stream", "chat"])
def test_ctrl_c_ends_an_answer(way):
    with run(INTERRUPTED, SYNTHETIC, way) as process:
        assert process.stdout.readline() == "asking\n"
        try:
            process.communicate(timeout=0.3)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output.splitlines()[-2:] == ["interrupted", "length"]


FORKED = """
import os, sys, fleming_vl
engine = fleming_vl.Engine(fleming_vl.DEMO, threads=1)
stream = engine.stream(sys.argv[1])
next(stream)
child = os.fork()
if child == 0:
    calls = [
        engine.ask,
        engine.chat().ask,
        lambda question: list(engine.stream(question)),
        lambda question: next(stream),
        lambda question: engine.counts(),
        lambda question: engine.preview(),
        lambda question: engine.ask_all(question, 2),
    ]
    for call in calls:
        try:
            call(sys.argv[1])
        except fleming_vl.EngineError as error:
            print(error, flush=True)
    stream.close()
    del stream, engine
    sys.exit()
_, status = os.waitpid(child, 0)
list(stream)
print(status, stream.reply.finish, engine.ask(sys.argv[1]).finish)
"""


def test_a_fork_is_a_clear_error():
    *child, parent = printed(FORKED, SIDE).splitlines()
    assert len(child) == 7 and all("process" in line for line in child), child
    assert parent == "0 stop stop"


LEFT = """
import sys, fleming_vl
engine = fleming_vl.Engine(sys.argv[1], threads=1)
stream = engine.stream("Q", max_new_tokens=100_000, prompt="direct", ignore_eos=True)
print(next(stream).kind)
"""


def test_a_program_may_end_with_an_answer_under_way():
    assert printed(LEFT, SYNTHETIC) in ("prefilling\n", "encoding\n")


LOGGED = """
import logging, sys, fleming_vl
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s")
logging.getLogger("fleming_vl").setLevel(sys.argv[1])
with fleming_vl.Engine(fleming_vl.DEMO, threads=1) as engine:
    engine.ask("Q")
"""


def test_the_log_is_that_of_python():
    lines = printed(LOGGED, "DEBUG").splitlines()
    assert len(lines) > 2 and all(line.startswith("fleming_vl ") for line in lines), lines
    assert any(" INFO " in line for line in lines)
    assert printed(LOGGED, "ERROR") == ""


GROWTH = """
import gc, os, sys, fleming_vl
engine = fleming_vl.Engine(fleming_vl.DEMO, threads=1)
picture = open(sys.argv[1], "rb").read()
def ask(times):
    for place in range(times):
        if place % 2:
            engine.ask("Is there a nodule?", image=picture, max_new_tokens=2)
        else:
            list(engine.stream("Is there a nodule?", image=picture, max_new_tokens=2))
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = ask(100)
print(ask(500) - before)
"""


def test_500_answers_take_no_memory():
    grown = int(printed(GROWTH, CHEST))
    assert grown < 4 << 20, f"{grown} bytes"
