"""The library that `cargo test` builds, and an engine for the tests that change nothing of it."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "bindings" / "python"
sys.path.insert(0, str(PACKAGE))
os.environ.setdefault("FLEMING_LIBRARY", str(ROOT / "target" / "debug" / "deps" / "libfleming.so"))


@pytest.fixture(scope="session")
def engine():
    import fleming_vl

    with fleming_vl.Engine(fleming_vl.DEMO, slots=2, threads=1) as engine:
        yield engine
