"""Programs that speak OpenAI's protocol, unchanged, and judges of it. `make clients` installs them."""

import json
import os
import subprocess

import pytest
from serving import CHEST, Server

from program import ROOT

HERE = ROOT / "tests" / "server" / "clients"
#: Environments that `make clients` makes.
INSTALLED = os.environ.get("FLEMING_CLIENTS", str(ROOT / ".venv" / "clients"))
KEY = "key-of-a-test-0123456789abcdef"
PROGRAMS = [
    ("current", "openai_python.py"),
    ("current", "langchain_chat.py"),
    ("others", "openai_python.py"),
    ("others", "langchain_chat.py"),
    ("others", "litellm_call.py"),
    ("others", "instructor_form.py"),
    ("others", "pydantic_ai_form.py"),
    ("node", "openai_node.mjs"),
    ("current", "once.py"),
    ("current", "schema.py"),
    ("others", "schema.py"),
    ("schema", "published.py"),
    ("schema", "described.py"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEY)
    keys.chmod(0o600)
    with Server("--keys", keys, "--max-body", 4_000_000) as server:
        yield server


@pytest.mark.parametrize(("place", "program"), PROGRAMS)
def test_a_client_works_unchanged(guarded, place, program):
    folder = f"{INSTALLED}/{place}"
    runner = ["node"] if place == "node" else [f"{folder}/bin/python"]
    if not os.path.isdir(folder):
        pytest.skip(f"{folder} is not there; `make clients` makes it")
    env = {
        **os.environ,
        "FLEMING_BASE": f"http://127.0.0.1:{guarded.port}/v1",
        "FLEMING_KEY": KEY,
        "FLEMING_PICTURE": str(CHEST),
        "PYTHONPATH": str(HERE),
    }
    script = HERE / program
    if place == "node":
        # Modules are looked for beside a script.
        script = f"{folder}/{program}"
        with open(script, "w") as copy:
            copy.write((HERE / program).read_text())
    ended = subprocess.run(
        [*runner, script], check=False, env=env, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    if program == "once.py":
        sent = json.loads(ended.stdout)
        assert guarded.said().count("status=413") == sent["refused"], ended.stdout
