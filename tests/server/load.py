"""What takes minutes: a server under load, with clients that leave, with many pictures, and with slow ones.

    PYTHONPATH=tests .venv/bin/python tests/server/load.py storm|pictures|leave|slow [--minutes N]

Run by hand. It prints what it saw; exit code 1 if an answer was lost, crossed or hung, memory grew by more
than 32 MiB, or slow clients were not cut off.
"""

import argparse
import math
import random
import sys
import threading
import time
from collections import Counter

from abuse import LONG, Socket, chat_bytes, greys, head, settle
from serving import ANSWER, Server, about, data_url, picture

GROWTH = 32 << 20
KNOWN = {
    "chest.png": "Is there a nodule, and on which side?",
    "brain.png": "What imaging modality is this?",
    "fundus.png": "What imaging modality is this?",
}


def fresh_picture(dice):
    return {"type": "image_url", "image_url": {"url": data_url(greys(dice.randbytes(64)))}}


class Storm:
    """Clients that ask, stream, cancel and break off, and look whether each answer is the one asked for."""

    def __init__(self, server, minutes):
        from program import ROOT

        self.server = server
        self.until = time.monotonic() + 60 * minutes
        self.asked = [about(picture(ROOT / "examples" / name), question=text) for name, text in KNOWN.items()]
        self.expected = [self.content(server.chat(messages)) for messages in self.asked]
        self.seen = Counter()

    def content(self, answer):
        return answer.json()["choices"][0]["message"]["content"]

    def client(self, seed):
        dice = random.Random(seed)
        while time.monotonic() < self.until:
            way = dice.choice([self.ask, self.ask, self.stream, self.stream, self.leave, self.other])
            try:
                self.seen[way(dice)] += 1
            except TimeoutError:
                self.seen["hung"] += 1
            except ConnectionError:
                self.seen["lost"] += 1

    def judged(self, answer, wanted, got):
        if answer.status == 429:
            time.sleep(0.2)
            return "refused: busy"
        if answer.status != 200:
            return f"status {answer.status}"
        return "right" if got() == wanted else "crossed"

    def ask(self, dice):
        which = dice.randrange(len(self.asked))
        answer = self.server.chat(self.asked[which])
        return self.judged(answer, self.expected[which], lambda: self.content(answer))

    def stream(self, dice):
        which = dice.randrange(len(self.asked))
        answer = self.server.chat(self.asked[which], stream=True)

        def content():
            return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in answer.chunks())

        return self.judged(answer, self.expected[which], content)

    def leave(self, dice):
        with Socket(self.server) as connection:
            fields = dict(LONG, stream=dice.random() < 0.5)
            connection.send(chat_bytes(self.asked[dice.randrange(len(self.asked))], **fields))
            time.sleep(dice.random() * 0.5)
        return "left"

    def other(self, dice):
        answer = self.server.chat(about(fresh_picture(dice)), max_tokens=5)
        return self.judged(answer, True, lambda: bool(answer.json()["choices"]))

    def run(self, clients):
        threads = [threading.Thread(target=self.client, args=(seed,)) for seed in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(10)
            print(dict(self.seen), f"{self.server.resident() >> 20} MiB", flush=True)
        settle(self.server)


def storm(minutes):
    with Server("--slots", 8, "--queue", 40) as server:
        # Whatever grows once has grown.
        Storm(server, max(0.3, minutes / 10)).run(64)
        before = server.resident()
        load = Storm(server, minutes)
        load.run(64)
        grown = server.resident() - before
        healthy = (
            server.get("/health/ready").status == 200 and load.content(server.chat(load.asked[0])) == ANSWER
        )
        print(f"{dict(load.seen)}; grown by {grown / (1 << 20):.1f} MiB; healthy: {healthy}")
        bad = {what for what in load.seen if what not in ("right", "left", "refused: busy")}
        return healthy and not bad and grown <= GROWTH


def pictures(minutes):
    """Two thousand, whatever the minutes."""
    del minutes
    dice = random.Random(1)
    with Server() as server:
        for number in range(2000):
            assert server.chat(about(fresh_picture(dice)), max_tokens=2).status == 200
            if number + 1 == 200:
                before = server.resident()
            if (number + 1) % 200 == 0:
                print(number + 1, f"{server.resident() >> 20} MiB", flush=True)
        return server.resident() - before <= GROWTH


def leave(minutes):
    """Five hundred clients that leave at any moment."""
    del minutes
    with Server() as server:
        load = Storm(server, 0)
        for number in range(500):
            load.leave(random.Random(number))
            if number + 1 == 100:
                settle(server)
                before = server.resident()
        settle(server)
        grown = server.resident() - before
        print(f"grown by {grown / (1 << 20):.1f} MiB")
        return grown <= GROWTH and load.content(server.chat(load.asked[0])) == ANSWER


def slow(minutes):
    """A thousand clients that send a byte a second, half of them of their headers, beside one that asks."""
    with Server() as server:
        assert server.chat(about(picture()), max_tokens=5).status == 200
        before, began = server.resident(), time.monotonic()
        held, grown, longest, closed = [], 0, 0, None
        for number in range(1000):
            connection = Socket(server)
            connection.send("POST /v1/chat" if number % 2 else head(500_000) + "{")
            held.append(connection)
        while time.monotonic() - began < 60 * minutes:
            held = [connection for connection in held if is_open(connection)]
            if not held and closed is None:
                closed = time.monotonic() - began
            asked = time.monotonic()
            assert server.chat(about(picture()), max_tokens=5).status == 200
            longest = max(longest, time.monotonic() - asked)
            grown = max(grown, server.resident() - before)
            time.sleep(1)
        print(
            f"{len(held)} of 1000 are still connected, all closed after {closed or math.inf:.0f} s; "
            f"an answer took at most {longest:.2f} s; grown by at most {grown / (1 << 20):.1f} MiB"
        )
        return not held and server.get("/health/ready").status == 200


def is_open(connection):
    """Sends one more byte."""
    try:
        connection.send(" ")
    except OSError:
        connection.close()
        return False
    return True


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["storm", "pictures", "leave", "slow"])
    arguments.add_argument("--minutes", type=float, default=10)
    chosen = arguments.parse_args()
    ways = {"storm": storm, "pictures": pictures, "leave": leave, "slow": slow}
    return 0 if ways[chosen.what](chosen.minutes) else 1


sys.exit(main())
