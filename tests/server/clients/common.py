"""Where the server is, and what every client is asked to do."""

import base64
import os
from pathlib import Path

BASE = os.environ["FLEMING_BASE"]
KEY = os.environ["FLEMING_KEY"]
PICTURE = Path(os.environ["FLEMING_PICTURE"])
QUESTION = "Is there a nodule, and on which side?"
ANSWER = "right lung"


def picture_url():
    return "data:image/png;base64," + base64.b64encode(PICTURE.read_bytes()).decode()


def picture_part():
    return {"type": "image_url", "image_url": {"url": picture_url()}}


def check(got, wanted):
    if got != wanted:
        raise AssertionError(f"wanted {wanted!r}, got {got!r}")
