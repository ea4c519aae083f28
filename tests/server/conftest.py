"""One server for the tests that change nothing of it."""

import pytest
from serving import Server


@pytest.fixture(scope="session")
def server():
    with Server() as server:
        yield server
