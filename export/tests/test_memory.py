"""The memory that an export needs does not depend on the size of the model."""

from __future__ import annotations

import subprocess
import sys

from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options

ROWS, WIDTH = 400_000, 192
#: Imports, a block of 16 Mi values as stored and as float32, and the graphs. The embedding alone is 307 MB.
LIMIT = 340e6

PROGRAM = """
import sys
from pathlib import Path
from fleming_export import export
from fleming_export.quality.peak import peak_bytes
export(sys.argv[1], Path(sys.argv[2]))
print(peak_bytes())
"""


def test_peak_memory(tmp_path):
    def widen(config: dict) -> None:
        config["llm_config"] |= {"hidden_size": WIDTH, "intermediate_size": 64}
        config["hidden_size"] = WIDTH

    folder = tmp_path / "checkpoint"
    write_checkpoint("tiny", folder, Options(tied=True, patch_size=28, vocabulary=ROWS), widen)
    command = [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "package")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "package/decoder.onnx.data").stat().st_size > 4 * ROWS * WIDTH
    assert float(done.stdout) < LIMIT
