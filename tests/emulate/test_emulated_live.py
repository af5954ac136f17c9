"""A network in the loop that really encodes and decodes: bottlenecks, whole pictures, datagrams."""

from __future__ import annotations

import pytest
from realtime import measured
from small_recording import OFFLOAD, WIDE

from testbed.emulate.decoding_live import Network
from testbed.emulate.engine import Options, emulate
from testbed.emulate.run import refuse_inimitable
from testbed.errors import TestbedError
from testbed.model import OperatingPoint

BASE = (
    "clients.0.device", "jetson-xavier-nx",
    "duration_s", 2,
    "deadline_ms", 2000,
    "network.transport", {"kind": "tcp", "idle_restart": False},
)  # fmt: skip


@pytest.fixture
def road(world, small_recording):
    """Return a function that loads a scenario over a recording of `tiny-d0-bw`."""

    def make(policy, *changes):
        ladder = {"modes": ["split", "offload"], "widths": [1.0], "codecs": ["raw", "jpeg-75"]}
        return world(
            *BASE,
            "clients.0.detector", str(small_recording.folder),
            "clients.0.ladder", ladder,
            "policies", {"only": policy},
            *changes,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return a network with a teacher, both with fresh weights."""
    pytest.importorskip("torch")
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    folder = tmp_path_factory.mktemp("weights")
    for name in ("tiny-d0-bw", "tiny-d0"):
        save(build(find(name)), folder / f"{name}.safetensors")
    files = [str(folder / f"{name}.safetensors") for name in ("tiny-d0-bw", "tiny-d0")]
    return Network(files[0], threads=1, teacher=files[1])


SPLIT = {"kind": "fixed", "width": WIDE.width, "bits": WIDE.bits}
WHOLE = {"kind": "fixed", "mode": "offload", "codec": OFFLOAD.codec}


def frames_of(scenario, network):
    """Return the rows of a run, on time or not: a busy machine is no matter here."""
    run = emulate(scenario, "only", 1, Options(tries=1, network=network))
    assert run.report["clients"]["camera"]["stand_in"] is False
    return run.rows.frames.to_pandas()


@measured
@pytest.mark.root
@pytest.mark.slow
def test_offloaded_frames_are_the_cameras_pictures_as_jpeg_and_the_teacher_reads_them(
    road, network
):
    from testbed.detectors.configurations import find
    from testbed.detectors.pictures import PictureCodec
    from testbed.emulate.encoding_worker import pictures

    frames = frames_of(road(WHOLE), network)

    seen = pictures(find("tiny-d0-bw").side, 1, "camera")
    codec = PictureCodec.parse("jpeg-75")
    sizes = [len(codec.encode(next(seen))) for _ in range(len(frames))]
    assert list(frames["payload_bytes"]) == sizes
    assert len(set(sizes)) == 8  # as many as there are pictures
    assert set(frames["fate"]) <= {"on_time", "late"}  # and none undecodable, which is lost


@measured
@pytest.mark.root
@pytest.mark.slow
def test_a_live_network_sends_datagrams(road, network):
    frames = frames_of(road(SPLIT, "network.transport", {"kind": "datagram"}), network)

    assert set(frames["fate"]) <= {"on_time", "late"}
    [size] = set(frames["payload_bytes"])
    packets = -(-size // 1400)
    assert (frames["wire_bytes"] == size + 40 * packets).all()


def test_pictures_that_nobody_would_decode_are_refused_before_anything_runs(road):
    alone = Options(network=Network("w.safetensors"))

    with pytest.raises(TestbedError, match=r"mode offload sends pictures.*--teacher"):
        refuse_inimitable(road(WHOLE), alone)

    refuse_inimitable(road(WHOLE))
    refuse_inimitable(road(WHOLE), Options(network=Network("w", teacher="t")))
    refuse_inimitable(road(WHOLE), Options(network=Network("w"), server=("elsewhere", 7070)))


def test_the_encoder_says_what_a_frame_is_sent_as():
    from testbed.emulate.bodies import Kind
    from testbed.emulate.encoding import LiveEncoder
    from testbed.model import LOCAL

    encoder = LiveEncoder.__new__(LiveEncoder)

    assert encoder.kind_of(OperatingPoint(0.5)) is Kind.BOTTLENECK
    assert encoder.kind_of(OFFLOAD) is Kind.PICTURE
    assert encoder.kind_of(LOCAL) is None
