"""A trained policy: its features, its network, its file, and what it does with them."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
from networks import random_network, written

from testbed.errors import InputErrors, UnknownName
from testbed.model import (
    NS_PER_MS,
    SKIP,
    Fate,
    Ladder,
    Observation,
    OperatingPoint,
    Outcome,
    Rung,
)
from testbed.policies.features import FIXED, Features
from testbed.policies.learned import Learned
from testbed.policies.network import Network, read
from testbed.testing import check_policy, example_ladder

MS = NS_PER_MS
TWO = Ladder((Rung(OperatingPoint(0.5), 1000, 0.3), Rung(OperatingPoint(1.0), 2000, 0.4)))


def seen(now_ms=0, **more):
    more = {"captured_ns": now_ms * MS, "deadline_ns": (now_ms + 100) * MS} | more
    return Observation(now_ms * MS, 0, period_ns=50 * MS, **more)


def uploaded(now_ms, payload_bytes, busy_ms, latency_ms):
    fate = Fate.ON_TIME if latency_ms else Fate.LOST
    latency_ns = latency_ms and latency_ms * MS
    return Outcome(
        now_ms * MS, 0, OperatingPoint(0.5), fate, payload_bytes, busy_ms * MS, latency_ns
    )


def test_goodput_is_seen_relative_to_what_the_largest_payload_needs():
    """2000 bytes in 100 ms are 160 kbit/s; 1000 bytes in 5 ms are 1.6 Mbit/s, ten times that."""
    features = Features(TWO)
    features.encode(seen())
    features.learn(uploaded(40, 1000, 5, 60))
    features.learn(uploaded(50, 1000, 50, 60))
    features.chosen(1)

    x = features.encode(seen(60, backlog_bytes=1000, outstanding=2, oldest_outstanding_ns=35 * MS))

    assert x.dtype == np.float32
    assert x[0] == 0.0  # the newest: 1000 bytes in 50 ms is just R
    assert x[1:8] == pytest.approx([0.5] * 7)  # ln 10 / ln 100, the oldest standing for the rest
    assert x[8] == np.float32(2 / 8)
    assert x[9] == np.float32(10 / 800)
    assert x[10:18].tolist() == pytest.approx([0.3, 0.3, 0, 0, 0, 0, 0, 0])
    assert x[18] == np.float32(1000 / 8000)
    assert x[19] == pytest.approx(50 / 400)
    assert x[20] == 1.0
    assert x[21] == np.float32(0.75)
    assert x[22:24].tolist() == [0.0, 0.25]
    assert x[FIXED:].tolist() == [0.0, 1.0]


def test_what_is_not_known_has_a_value_of_its_own():
    features = Features(TWO)

    fresh = features.encode(seen())
    features.learn(Outcome(0, 0, SKIP, Fate.SKIPPED, 0, None, None))
    after_skip = features.encode(seen())
    features.learn(uploaded(0, 1000, 0, None))
    after_loss = features.encode(seen())

    assert fresh[:10].tolist() == [0.0] * 9 + [1.0]
    assert fresh[FIXED:].tolist() == [0.0, 0.0]
    assert (after_skip == fresh).all()  # a skipped frame says nothing about the link
    assert after_loss[10] == 1.0
    assert after_loss[8] == 0.0


def test_values_out_of_range_are_cut_off():
    features = Features(TWO)
    features.encode(seen())
    features.learn(uploaded(0, 1_000_000, 1, 10_000))
    x = features.encode(
        seen(
            10_000,
            captured_ns=0,
            deadline_ns=100 * MS,
            backlog_bytes=10**9,
            queued_frames=99,
            outstanding=99,
            oldest_outstanding_ns=0,
            rtt_ns=10**12,
            battery=0.5,
            temperature_c=150.0,
        )
    )

    assert x.min() >= -1.0
    assert x.max() <= 1.0
    assert x[[0, 10, 18, 20, 21, 22, 23, 24]].tolist() == [1, 1, 1, -1, -1, 1, 1, 1]
    assert x[26:28].tolist() == [0.5, 1.0]


def test_a_network_is_what_its_formula_says():
    """One hidden unit: score = w₂ · tanh(w₁ · x + b₁) + b₂, relu likewise."""
    one = np.ones((3, 1), np.float32)
    two = np.array([[2.0, -3.0]], np.float32)
    bias = (np.array([-7.0], np.float32), np.array([0.5, 0.25], np.float32))
    points = tuple(rung.point for rung in TWO)
    x = np.array([1, 2, 3], np.float32)

    tanh = Network(((one, bias[0]), (two, bias[1])), "tanh", points, {})
    relu = Network(((one, bias[0]), (two, bias[1])), "relu", points, {})

    assert tanh.scores(x) == pytest.approx([2 * math.tanh(-1) + 0.5, -3 * math.tanh(-1) + 0.25])
    assert relu.scores(x).tolist() == [0.5, 0.25]
    assert (tanh.best(x), relu.best(x)) == (1, 0)


def test_a_network_is_read_back_as_it_was_written(tmp_path):
    network = random_network(example_ladder(skip=True), about={"seed": "3"})

    back = read(written(tmp_path, network))

    assert back.bytes() == network.bytes()
    assert back.about == {"seed": "3"}
    assert back.points == network.points
    for ours, theirs in zip(back.layers, network.layers, strict=True):
        assert (ours[0] == theirs[0]).all()
        assert (ours[1] == theirs[1]).all()


def test_the_file_is_one_that_safetensors_reads(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    network = random_network(example_ladder())

    arrays = numpy.load_file(written(tmp_path, network))

    assert sorted(arrays) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert (arrays["1.weight"] == network.layers[1][0]).all()


def changed(network, **metadata):
    content = network.bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] |= metadata
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda n: b"", "not a network that `testbed train-policy` wrote"),
        (lambda n: b"PK\x03\x04" + b"\0" * 100, "not a network that `testbed train-policy` wrote"),
        (lambda n: n.bytes()[:-4], "the array 1.bias is not whole"),
        (lambda n: changed(n, format="9"), "written in format 9; this version reads 1"),
        (lambda n: changed(n, features="0"), "trained on features of version 0"),
        (lambda n: changed(n, activation="sine"), "activation sine; known: tanh, relu"),
        (lambda n: changed(n, points="[]"), "its layers do not fit"),
    ],
)
def test_a_file_that_is_no_network_is_refused_with_the_reason(tmp_path, content, said):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content(random_network(example_ladder())))

    with pytest.raises(ValueError, match=r"model broken\.safetensors: ") as error:
        Learned(model=str(path))
    assert said in str(error.value)


@pytest.mark.parametrize("skip", [False, True])
def test_a_trained_policy_keeps_the_promises_of_policies(tmp_path, skip):
    ladder = example_ladder(skip=skip)
    path = written(tmp_path, random_network(ladder))

    check_policy(lambda: Learned(model=str(path)), ladder)


def test_a_network_for_another_ladder_is_refused_by_the_scenario(tmp_path, world):
    path = written(tmp_path, random_network(example_ladder()))

    with pytest.raises(InputErrors) as error:
        world("policies.learned", {"kind": "learned", "model": str(path)})

    assert "policies.learned: model was trained for the ladder α=0.25 8 bit;" in str(error.value)


def test_a_network_that_is_not_there_is_said_with_what_is():
    with pytest.raises(UnknownName, match="no trained policy 'lte-or-skp'"):
        Learned(model="lte-or-skp")


def test_a_scenario_keeps_the_checksum_of_the_network(tmp_path, world):
    ladder = world().clients[0].ladder
    path = written(tmp_path, random_network(ladder))
    options = {"kind": "learned", "model": str(path)}

    first = world("policies.learned", options)
    again = world("policies.learned", options)
    written(tmp_path, random_network(ladder, seed=1))
    other = world("policies.learned", options)

    spec = first.spec.policies["learned"]
    assert first.digest == again.digest != other.digest
    with pytest.raises(ValueError, match="model has changed since this scenario was resolved"):
        Learned(model=spec.model, sha256=spec.sha256)
    assert other.spec.policies["learned"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
