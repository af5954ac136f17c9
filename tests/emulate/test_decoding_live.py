"""The live decoder: what it finds is what the network finds, and what kills it kills no server."""

from __future__ import annotations

import os
import signal

import pytest
from wire_world import answers, client, eventually, serving

from testbed.emulate.bodies import Kind, Request, Status
from testbed.emulate.serving import Rules
from testbed.errors import TestbedError
from testbed.model import OperatingPoint

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_S = 300  # processes that import torch on a busy machine


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return a file of a tiny network with fresh weights."""
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    path = tmp_path_factory.mktemp("weights") / "fresh.safetensors"
    save(build(find("tiny-d0-bw")), path)
    return path


@pytest.fixture(scope="module")
def pair(weights):
    from testbed.detectors.pair import SplitPair
    from testbed.detectors.weights import load

    return SplitPair(load(weights))


def live(weights, teacher=None, **options):
    from testbed.emulate.decoding_live import Live, Network, names_of

    network = Network(str(weights), threads=1, teacher=teacher)
    return Live(network, names_of(weights, None), **options)


def payloads(pair, count):
    import numpy as np

    rng = np.random.default_rng(3)
    for number in range(count):
        image = rng.integers(0, 255, (90, 160, 3), dtype=np.uint8)
        point = OperatingPoint(pair.detector.config.widths[number // 2 % 4], 8, "zstd")
        yield number, point, pair.encode(image, point)


def test_a_batch_finds_what_the_network_finds_in_each_frame(weights, pair):
    import numpy as np

    from testbed.detectors.answers import written

    rules = Rules(batch_max=6, batch_wait_ns=10**9)
    with serving(live(weights), rules) as server, client(server, detector="tiny-d0-bw") as line:
        assert not line.welcome.stand_in
        sent = {}
        for number, point, payload in payloads(pair, 5):
            line.send(Request(number, point, Kind.BOTTLENECK), payload)
            sent[number] = payload
        line.send(Request(5, point, Kind.BOTTLENECK), b"no payload of this network")
        line.send(Request(6, point, Kind.STAND_IN), b"nor of any")
        found = answers(line, 7, PATIENCE_S)

    assert found[5].status is found[6].status is Status.UNDECODABLE
    for number, payload in sent.items():
        answer = found[number]
        assert (answer.status, answer.stand_in) == (Status.DECODED, False)
        alone = pair.decode(payload)
        edges, levels = written(alone.boxes, alone.scores)
        got = answer.detections()
        # Torch may sum a batch in another order than a frame alone: a step of rounding.
        assert len(got) == len(edges)
        assert np.abs(got.boxes * 16 - edges).max(initial=0) <= 1
        assert np.abs(got.scores * 65_535 - levels).max(initial=0) <= 1


def test_a_worker_that_dies_fails_its_frames_and_is_replaced(weights, pair):
    lines = []
    decoder = live(weights, say=lines.append)
    with serving(decoder) as server, client(server, detector="fresh") as line:
        frames = list(payloads(pair, 2))
        worker = decoder._own[0].process
        os.kill(worker.pid, signal.SIGSTOP)
        number, point, payload = frames[0]
        line.send(Request(number, point, Kind.BOTTLENECK), payload)
        line.flush()
        eventually(lambda: decoder._own[0].batch is not None)
        os.kill(worker.pid, signal.SIGKILL)
        assert answers(line, 1, PATIENCE_S)[0].status is Status.FAILED
        number, point, payload = frames[1]
        line.send(Request(number, point, Kind.BOTTLENECK), payload)
        assert answers(line, 1, PATIENCE_S)[1].status is Status.DECODED

    assert lines == ["decoder 0 is gone; another one is started"]


def test_a_file_without_a_network_is_named(tmp_path):
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"junk")
    with pytest.raises(TestbedError, match=r"junk\.safetensors: no safetensors file"):
        live(junk)


def test_a_picture_is_decoded_by_the_teacher_and_anything_else_is_not(weights, pair, tmp_path):
    import cv2
    import numpy as np
    import torch

    from testbed.detectors.weights import load, save
    from testbed.emulate.decoding_worker import look, picture
    from testbed.model import Mode

    sure = load(weights)  # it sees something everywhere, where the fresh network sees nothing
    with torch.no_grad():
        dict(sure.named_parameters())["decoder.class_net.predict.conv_pw.bias"].fill_(0.0)
    save(sure, tmp_path / "sure.safetensors")
    image = np.random.default_rng(5).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    point = OperatingPoint(1.0, 8, "jpeg-95", Mode.OFFLOAD)
    with (
        serving(live(weights, teacher=str(tmp_path / "sure.safetensors"))) as server,
        client(server, detector="tiny-d0-bw") as line,
    ):
        for number, payload in enumerate((data, b"no picture", b"")):
            line.send(Request(number, point, Kind.PICTURE), payload)
        found = answers(line, 3, PATIENCE_S)

    assert [found[n].status.name for n in range(3)] == ["DECODED", *["UNDECODABLE"] * 2]
    assert len(look(pair.detector, picture(data))) == 0
    alone = look(load(tmp_path / "sure.safetensors"), picture(data))
    assert len(found[0].detections()) == 100
    np.testing.assert_allclose(found[0].detections().scores, alone.scores[:100], atol=1e-3)
