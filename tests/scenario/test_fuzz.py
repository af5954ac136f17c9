"""Whatever a file says, it is a scenario or a list of problems; nothing else ever comes out."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from testbed.errors import InputErrors
from testbed.scenario import dump, load_text

EXAMPLE = """\
schema: 1
name: small
seeds: [1, 2]
duration_s: 10
deadline_ms: 300
server: {profile: t4-trt-int8, batch: {max: 2, wait_ms: 1}, queue: {limit: 5}}
network:
  uplink: {kind: replay, trace: lte/drive-a.up, start_s: random, sha256: null}
  downlink: {kind: constant, mbps: 20, delay_ms: 5, queue_bytes: 1000, sharing: none}
  transport: {kind: ideal}
clients:
  - name: camera
    count: 2
    device: raspberry-pi-5
    radio: lte-2021
    detector: published/efficientdet-d2-bw
    source: {fps: 5, phase: 0}
    ladder: {widths: [0.25, 0.5], bits: [8], modes: [split, skip], codecs: [raw]}
policies:
  narrow: {kind: fixed, width: 0.25}
  adaptive: {kind: goodput, safety: 0.5}
claims:
  - {metric: on_time_map, better: adaptive, than: best-fixed}
"""
DATA = YAML(typ="safe").load(EXAMPLE)


def paths(value, path=()):
    """Yield the path of everything inside."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in children:
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from paths(child, (*path, key))


PATHS = list(paths(DATA))
KEYS = sorted({key for path in PATHS for key in path if isinstance(key, str)})

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.sampled_from([2**31, 2**63, 2**64, -(10**30), 1e308, 5e-324, 1e-10])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "10ms",
            "fixed",
            "random",
            "replay",
            "all",
            ".",
            "..",
            "/",
            "~",
            "a/b.up",
            "x" * 5000,
            "\0",
        ]
    )
    | st.sampled_from(KEYS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def changed(data, path, act, value, key):
    """Change one thing inside `data`, if it is still there."""
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    last = path[-1]
    try:
        if act == "set":
            data[last] = value
        elif act == "remove":
            del data[last]
        elif isinstance(data, dict):
            data[key] = value
    except (KeyError, IndexError, TypeError):
        return


def outcome(text, **given_too):
    """Load a text; return the scenario, or None after looking at its problems."""
    try:
        return load_text(text, file="s.yaml", **given_too)
    except InputErrors as error:
        messages = [problem.message for problem in error.problems]
    assert messages
    assert all(messages)
    return None


def test_the_example_is_sound():
    assert outcome(EXAMPLE) is not None


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PATHS),
            st.sampled_from(["set", "remove", "add"]),
            values,
            st.sampled_from(KEYS) | st.text(max_size=5),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_change_gives_a_scenario_or_problems(wishes):
    data = copy.deepcopy(DATA)
    for wish in wishes:
        changed(data, *wish)

    found = outcome(json.dumps(data))

    if found is not None:
        assert load_text(dump(found)) == found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PATHS), values | st.text(max_size=30))
def test_any_override_gives_a_scenario_or_problems(path, value):
    written = value if isinstance(value, str) else json.dumps(value)

    outcome(EXAMPLE, overrides=[f"{'.'.join(map(str, path))}={written}"])


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!#|>'\"%@`,? \n\t019.~<=\x00\ufeffé", max_size=60))
def test_any_text_gives_problems(text):
    assert outcome(text) is None


@pytest.mark.parametrize("override", ["=", "", ".", "..", ".=1", "a.=1", ".a=1", "a..b=1", "=="])
def test_odd_overrides_give_problems(override):
    assert outcome(EXAMPLE, overrides=[override]) is None
