"""Shapes, parameters and MACs equal every published figure, to the last digit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")

from testbed.detectors import published  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.macs import count_detector  # noqa: E402
from testbed.detectors.split import build  # noqa: E402


def counted(name, *, decoder=True):
    """Return {width: {part: count}}."""
    found = {}
    for one in count_detector(build(find(name)), decoder=decoder):
        found.setdefault(one.width, {})[one.part] = one
    return found


@pytest.mark.parametrize("name", ["efficientdet-d1-bw", "efficientdet-d2-bw"])
def test_every_figure_of_a_bandwidth_configurable_efficientdet(name):
    parts = counted(name)
    table = published.load(f"published/{name}")
    assert tuple(parts) == table.widths

    for point in table.points:
        here = parts[point.width]
        server = here["decompressor"], here["decoder"]
        assert here["encoder"].mac == point.encoder_mac
        assert here["compressor"].mac_published == point.compressor_mac
        assert here["compressor"].mac == point.compressor_mac_clean
        assert sum(part.mac_published for part in server) == point.decoder_mac
        assert sum(part.mac for part in server) == point.decoder_mac_clean
        assert here["compressor"].shape == (point.channels, *table.grid)


@pytest.mark.parametrize(
    "name",
    [
        "efficientdet-d2-cp-c48-min25",
        "efficientdet-d2-cp-c48-min50",
        "efficientdet-d2-cp-c24-min50",
    ],
)
def test_every_figure_of_a_computation_configurable_efficientdet(name):
    parts = counted(name)
    table = published.load(f"published/{name}")
    assert tuple(parts) == table.widths

    for point in table.points:
        here = parts[point.width]
        device = here["encoder"], here["compressor"]
        assert sum(part.mac for part in device) == point.device_mac
        assert sum(part.mac_published for part in device) == point.device_mac_biased
        assert here["decompressor"].mac + here["decoder"].mac == point.decoder_mac
        assert here["compressor"].shape == (point.channels, *table.grid)


@pytest.mark.parametrize(
    ("name", "channels", "compressor", "decoder", "sizes"),
    [
        ("d1", 10, 121_477_050, 4_782_005_530, (24_030, 5_122)),
        ("d1", 20, 136_965_050, 4_820_022_553, (26_450, 12_085)),
        ("d1", 30, 152_453_050, 4_865_719_935, (28_870, 20_607)),
        ("d1", 40, 167_941_050, 4_919_098_278, (31_290, 31_290)),
        ("d2", 12, 236_452_908, 8_928_321_226, (32_868, 7_011)),
        ("d2", 24, 268_524_588, 9_003_303_973, (36_348, 16_518)),
        ("d2", 36, 300_596_268, 9_094_212_832, (39_828, 28_617)),
        ("d2", 48, 332_667_948, 9_201_047_803, (43_308, 43_308)),
    ],
)
def test_every_figure_of_an_efficientdet_of_one_width(name, channels, compressor, decoder, sizes):
    here = counted(f"efficientdet-{name}-c{channels}")[1.0]
    base, rest = {"d1": (108_342, 6_517_556), "d2": (133_546, 7_963_493)}[name]

    assert here["compressor"].mac == here["compressor"].mac_published == compressor
    assert here["decompressor"].mac + here["decoder"].mac == decoder
    assert [here[part].parameters for part in here] == [base, *sizes, rest]


@pytest.mark.parametrize(
    ("name", "mac", "parameters"),
    [("d1", 6_195_833_730, 6_625_898), ("d2", 11_141_140_809, 8_097_039)],
)
def test_the_teachers(name, mac, parameters):
    here = counted(f"efficientdet-{name}")[1.0]

    assert sum(part.mac for part in here.values()) == mac
    assert sum(part.parameters for part in here.values()) == parameters


def test_the_units_after_bottlenet():
    here = counted("efficientdet-d2-c12-sru-cru")[1.0]

    assert here["compressor"].parameters == 21_492
    assert round(here["compressor"].mac / 1e6, 1) == 198.6
    assert here["decompressor"].shape == (48, 96, 96)


def test_active_parameters_of_the_encoder_shrink_with_its_width():
    """At widths a quarter, a half, three quarters and one."""
    parts = counted("efficientdet-d2-cp-c48-min25", decoder=False)

    assert [
        sum(part.active_parameters for part in parts[width].values())
        for width in (0.25, 0.5, 0.75, 1.0)
    ] == [21_040, 55_889, 107_538, 176_854]


def test_the_device_side_of_a_bandwidth_configurable_rcnn():
    parts = counted("faster-rcnn-bw", decoder=False)

    for point in published.load("published/faster-rcnn-bw").points:
        here = parts[point.width]
        assert here["encoder"].mac == point.encoder_mac == 1_525_760_000
        assert here["compressor"].mac == point.compressor_mac
        assert here["compressor"].shape == (point.channels, 204, 204)
        assert (here["encoder"].parameters, here["compressor"].parameters) == (9_408, 151_296)


def test_the_device_side_of_a_computation_configurable_rcnn():
    parts = counted("faster-rcnn-cp", decoder=False)

    for point in published.load("published/faster-rcnn-cp").points:
        here = parts[point.width]
        assert here["encoder"].mac + here["compressor"].mac == point.device_mac
    assert [round(sum(part.mac for part in here.values()) / 1e9, 3) for here in parts.values()] == [
        0.782,
        1.185,
        1.749,
        2.335,
        2.979,
        3.712,
        4.659,
        5.543,
        6.663,
        7.753,
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_server_side_of_an_rcnn():
    """A thousand proposals, as in the source, whose own count they make wander."""
    parts = counted("faster-rcnn-bw")

    for point in published.load("published/faster-rcnn-bw").points:
        here = parts[point.width]
        server = here["decompressor"], here["decoder"]
        assert sum(part.mac_published for part in server) == point.decoder_mac
        assert sum(part.mac for part in server) == point.decoder_mac + 16_143_761
