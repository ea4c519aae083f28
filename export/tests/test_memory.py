"""The memory that an export needs does not depend on the size of the model."""

from __future__ import annotations

import subprocess
import sys

from fleming_export.synthetic.checkpoint import Options, dump, plan, write_weights
from fleming_export.synthetic.sizes import PREPROCESSOR, config_json
from fleming_export.synthetic.tokenizer import special_ids, write_tokenizer

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
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    stop = special_ids(write_tokenizer(folder, "small"))["<|im_end|>"]
    config = config_json("tiny", ROWS)
    config["vision_config"]["patch_size"] = 28
    config["llm_config"]["tie_word_embeddings"] = config["tie_word_embeddings"] = True
    config["llm_config"].update(hidden_size=WIDTH, intermediate_size=64)
    config["hidden_size"] = WIDTH
    dump(folder / "config.json", config)
    dump(folder / "preprocessor_config.json", PREPROCESSOR)
    write_weights(folder, plan(config), stop, Options())
    command = [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "package")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "package/decoder.onnx.data").stat().st_size > 4 * ROWS * WIDTH
    assert float(done.stdout) < LIMIT
