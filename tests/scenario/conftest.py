"""A scenario small enough to see whole, as text, because its lines matter here."""

from __future__ import annotations

import pytest

from testbed.errors import InputErrors
from testbed.scenario import load_text

TEXT = """\
schema: 1
name: small
seeds: [1, 2]
duration_s: 10
deadline_ms: 300
server:
  profile: t4-trt-int8
network:
  uplink:
    kind: replay
    trace: lte/drive-a.up
  downlink: {kind: constant, mbps: 20}
clients:
  - name: camera
    device: raspberry-pi-5
    radio: lte-2021
    detector: published/efficientdet-d2-bw
    source: {fps: 5}
policies:
  narrow: {kind: fixed, width: 0.25}
  adaptive:
    kind: goodput
"""


@pytest.fixture
def text():
    """Return a function that gives the scenario with some of its text replaced.

    `text("fps: 5", "fps: 0", ...)` takes pairs; what is to be replaced must be there.
    """

    def make(*changes):
        result = TEXT
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in result, old
            result = result.replace(old, new)
        return result

    return make


@pytest.fixture
def problems(tmp_path):
    """Return a function that gives what is wrong with a text, as `line: key: message` lines."""

    def find(text, *overrides):
        with pytest.raises(InputErrors) as caught:
            load_text(text, file="s.yaml", folder=tmp_path, overrides=overrides)
        return [str(problem).removeprefix("s.yaml:") for problem in caught.value.problems]

    return find
