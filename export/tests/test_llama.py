"""The comparison with llama.cpp; what needs llama.cpp itself runs where the extra ``llama`` is installed."""

from __future__ import annotations

import numpy as np
import pytest

from fleming_export import ExportError
from fleming_export.quality import llama
from fleming_export.quality.__main__ import main
from fleming_export.source import open_checkpoint


def test_every_tensor_of_the_language_model_has_a_name(tiny):
    names = [name for name in open_checkpoint(str(tiny.checkpoint)).tensors if "language_model" in name]
    given = [llama._gguf_name(name) for name in names]
    assert len(set(given)) == len(names) > 20
    assert {"blk.1.ffn_down.weight", "blk.0.attn_q.bias", "output_norm.weight"} <= set(given)


def test_without_llama_it_is_said(plain, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "llama_cpp", None)
    assert main(["llama", str(plain)]) == 1
    assert "llama-cpp-python" in capsys.readouterr().err
    with pytest.raises(ExportError):
        llama.require_llama()


def test_llama_computes_the_same_model(plain, tmp_path):
    pytest.importorskip("llama_cpp")
    found = dict(llama._compared(str(plain), tmp_path, 40))
    assert set(found) == {"int8", "int4", "llama.cpp F32", "llama.cpp Q8_0", "llama.cpp Q4_K_M"}
    assert found["llama.cpp F32"][1].report()["kl_divergence"]["mean"] < 1e-6
    assert found["llama.cpp Q8_0"][0] < found["llama.cpp F32"][0]
    assert np.isfinite(found["llama.cpp Q4_K_M"][1].divergence).all()
