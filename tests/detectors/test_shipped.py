"""Weights that come along are found by name, and are stored in half precision."""

from pathlib import Path

import pytest

from testbed.detectors import shipped
from testbed.errors import TestbedError


def test_a_file_is_taken_as_it_is_named(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.touch()
    assert shipped.locate(path) == path


def test_a_bare_name_is_that_of_shipped_weights(tmp_path, monkeypatch):
    (tmp_path / "net.safetensors").touch()
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path)

    assert shipped.names() == ["net"]
    assert shipped.locate(Path("net")) == tmp_path / "net.safetensors"
    with pytest.raises(TestbedError, match="Did you mean 'net'"):
        shipped.locate(Path("nett"))
    with pytest.raises(TestbedError, match=r"net.pth: no such file$"):
        shipped.locate(Path("net.pth"))


def test_half_precision_halves_the_file_and_is_read_back_as_single(tmp_path):
    torch = pytest.importorskip("torch")
    from testbed.detectors import weights
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build

    network = build(find("tiny-d0"))
    weights.save(network, tmp_path / "full.safetensors")
    weights.save(network, tmp_path / "half.safetensors", half=True)

    full, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("full", "half"))
    assert half < 0.55 * full
    loaded = weights.load(tmp_path / "half.safetensors")
    for key, value in network.state_dict().items():
        own = loaded.state_dict()[key]
        assert own.dtype == value.dtype
        torch.testing.assert_close(own, value, rtol=1e-3, atol=1e-6)
