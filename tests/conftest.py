"""Fixtures that every test may use."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

WORLD = {
    "schema": 1,
    "name": "world",
    "seeds": [1],
    "duration_s": 10,
    "deadline_ms": 300,
    "server": {"profile": "t4-trt-int8"},
    "network": {
        "uplink": {"kind": "constant", "mbps": 20, "delay_ms": 25},
        "downlink": {"kind": "constant", "mbps": 20, "delay_ms": 25},
    },
    "clients": [
        {
            "name": "camera",
            "device": "raspberry-pi-5",
            "radio": "lte-2021",
            "detector": "published/efficientdet-d2-bw",
            "source": {"fps": 5, "phase": 0},
            "ladder": {"widths": [0.167, 0.25, 0.416]},
        }
    ],
    "policies": {"narrow": {"kind": "fixed", "width": 0.167}},
}


@pytest.fixture
def world_data():
    """Return the keys of a small scenario, to be changed at will."""
    return copy.deepcopy(WORLD)


@pytest.fixture
def world():
    """Return a function that loads a small scenario with some of its keys changed.

    `world("clients.0.count", 3, ...)` takes pairs of a key path and a value; a value of None
    removes the key.
    """
    from testbed.scenario import load_text

    def make(*changes):
        data = copy.deepcopy(WORLD)
        for path, value in zip(changes[::2], changes[1::2], strict=True):
            keys = path.split(".")
            place = data
            for key in keys[:-1]:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            last = int(keys[-1]) if isinstance(place, list) else keys[-1]
            if value is None:
                del place[last]
            else:
                place[last] = copy.deepcopy(value)  # another call may change a key within
        return load_text(json.dumps(data))

    return make


@pytest.fixture(scope="session")
def shared():
    """Return the folder of measured data beside the checkout; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip("no folder of measured data beside the checkout")
    return SHARED


@pytest.fixture
def small_recording(tmp_path):
    """Return a recording of six frames and four operating points; see `small_recording.py`."""
    from small_recording import write_recording

    return write_recording(tmp_path / "road")
