"""The program under test and where the repository's parts are, for every test in Python of what it says."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The one that `cargo test` builds, unless another is named.
FLEMING = Path(os.environ.get("FLEMING_BINARY", ROOT / "target" / "debug" / "fleming"))
#: The package that `make test` exports of random weights.
SYNTHETIC = ROOT / "models" / "synthetic"
