"""The published tables against closed forms, against each other and against what is known of them.

The closed forms rebuild the networks' multiply-accumulates from their shapes, so that a slip in a
table, or a row in the wrong place, cannot pass.
"""

from __future__ import annotations

import dataclasses

import pytest

from testbed.detectors import published
from testbed.errors import UnknownName

ALL = published.names()
L10 = (0.25, 0.33, 0.416, 0.5, 0.58, 0.66, 0.75, 0.83, 0.916, 1.0)
L11 = (0.167, *L10)
L7 = L10[3:]
QUARTERS = (0.25, 0.5, 0.75, 1.0)
SIDE = {"d1": 80, "d2": 96}  # of the bottleneck
FULL = {"d1": 40, "d2": 48}
BASE = {"d1": 1_444_676_502, "d2": 2_272_760_954}


def mbconv(cin, hidden, squeeze, cout, kernel, side_in, side_out, expands=True):
    """MACs of an inverted bottleneck block as ptflops counts: 2 for normalisation, 0 for swish."""
    expand = (cin + 2) * hidden * side_in**2 if expands else 0
    depthwise = (kernel**2 + 2) * hidden * side_out**2
    excite = 2 * hidden * squeeze + hidden + squeeze  # two 1x1 convolutions with bias
    return expand + depthwise + excite + (hidden + 2) * cout * side_out**2


def decompressor(net, channels, hidden, squeeze):
    return mbconv(channels, hidden, squeeze, FULL[net], 5, SIDE[net], SIDE[net])


def d2_base(width):
    """The encoder of D2 up to the compressor: stem and two blocks fixed, six blocks slimmable."""
    stem = 29 * 32 * 384**2
    fixed = mbconv(32, 32, 8, 16, 3, 384, 384, False) + mbconv(16, 16, 4, 16, 3, 384, 384, False)
    slim = 0
    cin = 16  # the input of the first slimmable block comes from a fixed one
    for hidden, squeeze, cout, kernel, side_in, side_out in (
        (96, 4, 24, 3, 384, 192),
        (144, 6, 24, 3, 192, 192),
        (144, 6, 24, 3, 192, 192),
        (144, 6, 48, 5, 192, 96),
        (288, 12, 48, 5, 96, 96),
        (288, 12, 48, 5, 96, 96),
    ):
        kept = [round(full * width) for full in (hidden, squeeze, cout)]
        slim += mbconv(cin, *kept, kernel, side_in, side_out)
        cin = kept[2]
    return stem + fixed + slim


def d2_decoder(channels, hidden, squeeze):
    """The server's part of D2: what follows the decompressor is the same in every network."""
    behind = 9_201_047_803 - decompressor("d2", 48, 288, 12)
    return behind + decompressor("d2", channels, hidden, squeeze)


def table(name):
    return published.load(f"published/{name}")


def column(name, attribute):
    return [getattr(point, attribute) for point in table(name).points]


def test_every_table_the_paper_gives_is_there_under_its_name():
    assert ALL == [
        "published/efficientdet-d1-bw",
        "published/efficientdet-d1-fixed",
        "published/efficientdet-d2-bw",
        "published/efficientdet-d2-cp-c24-min50",
        "published/efficientdet-d2-cp-c48-min25",
        "published/efficientdet-d2-cp-c48-min50",
        "published/efficientdet-d2-fixed",
        "published/faster-rcnn-bw",
        "published/faster-rcnn-cp",
        "published/faster-rcnn-ghnd",
        "published/mask-rcnn-bw",
        "published/mask-rcnn-ghnd",
    ]


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("efficientdet-d1-bw", L11),
        ("efficientdet-d2-bw", L11),
        ("efficientdet-d2-cp-c48-min25", L10),
        ("efficientdet-d2-cp-c48-min50", L7),
        ("efficientdet-d2-cp-c24-min50", L7),
        ("faster-rcnn-bw", L10),
        ("faster-rcnn-cp", L10),
        ("mask-rcnn-bw", L10),
        ("faster-rcnn-ghnd", QUARTERS),
        ("mask-rcnn-ghnd", QUARTERS),
        ("efficientdet-d1-fixed", QUARTERS),
        ("efficientdet-d2-fixed", QUARTERS),
    ],
)
def test_a_table_has_the_widths_that_were_published(name, widths):
    assert table(name).widths == widths


def test_d2_sends_from_73728_to_442368_bytes():
    assert column("efficientdet-d2-bw", "payload_bytes") == [
        73_728,
        110_592,
        147_456,
        184_320,
        221_184,
        258_048,
        294_912,
        331_776,
        368_640,
        405_504,
        442_368,
    ]


@pytest.mark.parametrize("name", ["faster-rcnn-ghnd", "mask-rcnn-ghnd"])
def test_the_r_cnns_of_3_to_12_channels_send_124848_bytes_per_3_channels(name):
    assert column(name, "payload_bytes") == [124_848, 249_696, 374_544, 499_392]


@pytest.mark.parametrize("name", ALL)
def test_bytes_are_channels_times_grid_and_rise_with_width(name):
    loaded = published.load(name)
    height, width = loaded.grid
    sizes = [point.payload_bytes for point in loaded.points]

    assert sizes == [point.channels * height * width for point in loaded.points]
    assert sizes == sorted(set(sizes))
    assert loaded.points[-1].channels == loaded.full_channels


@pytest.mark.parametrize("name", ALL)
def test_four_bits_are_exactly_half_of_eight(name):
    loaded = published.load(name)

    for point in loaded.points:
        assert loaded.payload_bytes_at(point.width, 8) == point.payload_bytes
        assert 2 * loaded.payload_bytes_at(point.width, 4) == point.payload_bytes


def test_bits_that_fill_no_whole_byte_are_rounded_up():
    odd = dataclasses.replace(table("efficientdet-d2-fixed"), grid=(1, 1))

    assert odd.payload_bytes_at(0.25, 3) == 5  # 12 values of 3 bit are 4.5 bytes


def test_bits_outside_1_to_16_are_refused():
    loaded = table("efficientdet-d2-bw")

    for bits in (0, 17, -8):
        with pytest.raises(ValueError, match=f"1 to 16, not {bits}"):
            loaded.payload_bytes_at(1.0, bits)


@pytest.mark.parametrize(
    ("net", "clean", "counted"), [("d2", 22_176, 22_464), ("d1", 16_560, 16_800)]
)
def test_the_compressor_of_a_bandwidth_configurable_network_follows_its_closed_form(
    net, clean, counted
):
    """D2: 9216 (22464 + 291 n) + 7212, with the released counter's bias; 22176 and 290 without."""
    area = SIDE[net] ** 2
    excite = mbconv(FULL[net], 6 * FULL[net], FULL[net] // 4, 0, 5, 0, 0)

    for point in table(f"efficientdet-{net}-bw").points:
        n = point.channels
        hidden = 6 * FULL[net]
        assert point.compressor_mac == area * (counted + (hidden + 3) * n) + excite
        assert point.compressor_mac_clean == area * (clean + (hidden + 2) * n) + excite
        assert point.encoder_mac == BASE[net]


@pytest.mark.parametrize("net", ["d1", "d2"])
def test_the_decoder_of_a_bandwidth_configurable_network_grows_by_one_slim_input(net):
    full, hidden = FULL[net], 6 * FULL[net]
    widest = table(f"efficientdet-{net}-fixed").points[-1].decoder_mac
    bias = SIDE[net] ** 2 * (hidden + full)

    for point in table(f"efficientdet-{net}-bw").points:
        clean = widest - SIDE[net] ** 2 * (full - point.channels) * hidden
        assert point.decoder_mac_clean == clean
        assert point.decoder_mac == clean + bias


@pytest.mark.parametrize("net", ["d1", "d2"])
def test_the_fixed_networks_follow_their_shapes(net):
    full, side = FULL[net], SIDE[net]
    loaded = table(f"efficientdet-{net}-fixed")
    widest = loaded.points[-1].decoder_mac - decompressor(net, full, 6 * full, full // 4)

    for point in loaded.points:
        n = point.channels
        # SE channels are 0.25 C cut down to a whole number: 7 for C = 30
        assert point.decoder_mac == widest + decompressor(net, n, 6 * n, n // 4)
        assert point.compressor_mac == mbconv(full, 6 * full, full // 4, n, 5, side, side)


def test_the_widest_bandwidth_configurable_d2_costs_what_the_fixed_one_does():
    slim = table("efficientdet-d2-bw").points[-1]
    fixed = table("efficientdet-d2-fixed").points[-1]

    assert (slim.compressor_mac_clean, slim.decoder_mac_clean) == (
        fixed.compressor_mac,
        fixed.decoder_mac,
    )
    assert slim.device_mac == 2_272_760_954 + 335_764_524
    assert fixed.device_mac == 2_605_428_902


@pytest.mark.parametrize(
    ("name", "full", "totals"),
    [
        ("c48-min25", 48, {0.25: 613_751_576, 0.416: 905_643_671, 1.0: 2_605_428_902}),
        ("c48-min50", 48, {0.5: 1_083_883_425, 0.75: 1_747_775_578, 1.0: 2_605_428_902}),
        ("c24-min50", 24, {0.5: 1_067_736_993, 0.75: 1_711_611_994, 1.0: 2_541_285_542}),
    ],
)
def test_the_fully_configurable_d2_follows_its_slim_shapes_on_both_sides(name, full, totals):
    points = table(f"efficientdet-d2-cp-{name}").points

    for point in points:
        kept = {n: round(n * point.width) for n in (12, full // 4, full, 6 * full, 48, 288)}
        n = kept[full]
        assert point.encoder_mac == d2_base(point.width)
        assert point.compressor_mac == mbconv(kept[48], kept[288], kept[12], n, 5, 96, 96)
        assert point.decoder_mac == d2_decoder(n, kept[6 * full], kept[full // 4])
        assert point.device_mac_biased is not None
        assert point.device_mac_biased > point.device_mac
    assert {point.width: point.device_mac for point in points if point.width in totals} == totals


def test_a_quarter_of_the_fully_configurable_decoder_is_the_fixed_decoder_of_12_channels():
    quarter = table("efficientdet-d2-cp-c48-min25").at(0.25)

    assert quarter.decoder_mac == table("efficientdet-d2-fixed").at(0.25).decoder_mac


def rcnn_compressor(stem, first, second, third, channels):
    """Four 2x2 convolutions with padding 1: the sides are 201, 202, 203 and 204."""
    return (
        (4 * stem + 2) * first * 201**2
        + (4 * first + 3) * second * 202**2
        + (4 * second + 2) * third * 203**2
        + 4 * third * channels * 204**2
    )


@pytest.mark.parametrize(
    "name", ["faster-rcnn-bw", "mask-rcnn-bw", "faster-rcnn-ghnd", "mask-rcnn-ghnd"]
)
def test_the_compressor_of_an_r_cnn_follows_its_closed_form(name):
    for point in table(name).points:
        assert point.encoder_mac == (147 + 1) * 64 * 400**2 + 64 * 400**2  # ReLU, max-pool
        assert point.compressor_mac == rcnn_compressor(64, 64, 256, 64, point.channels)


def test_the_fully_configurable_faster_r_cnn_follows_its_slim_shapes():
    points = table("faster-rcnn-cp").points

    for point in points:
        n64, n256 = round(64 * point.width), round(256 * point.width)
        assert point.encoder_mac == (147 + 4) * n64 * 400**2  # normalisation, ReLU, max-pool
        assert point.compressor_mac == rcnn_compressor(n64, n64, n256, n64, point.channels)
    assert [f"{point.device_mac / 1e9:.3f}" for point in points] == [
        "0.782",
        "1.185",
        "1.749",
        "2.335",
        "2.979",
        "3.712",
        "4.659",
        "5.543",
        "6.663",
        "7.753",
    ]


@pytest.mark.parametrize("name", ["faster-rcnn-bw", "faster-rcnn-cp", "faster-rcnn-ghnd"])
def test_the_decoder_of_faster_r_cnn_grows_by_one_slim_input(name):
    per_channel = 3 * 204**2 + 4 * 64 * 203**2

    for point in table(name).points:
        assert point.decoder_mac == 141_653_260_537 + per_channel * point.channels


@pytest.mark.parametrize(
    ("name", "title", "mac", "accuracy"),
    [
        ("efficientdet-d1-bw", "EfficientDet-D1", 6_195_833_730, (0.3882, 0.5773)),
        ("efficientdet-d2-bw", "EfficientDet-D2", 11_141_140_809, (0.4216, 0.6130)),
        ("faster-rcnn-cp", "Faster R-CNN ResNet-50-FPN", None, (0.3696, 0.5850)),
        ("mask-rcnn-ghnd", "Mask R-CNN ResNet-50-FPN", None, (0.3788, 0.5915)),
    ],
)
def test_the_teacher_stands_in_the_table(name, title, mac, accuracy):
    teacher = table(name).teacher

    assert (teacher.title, teacher.mac) == (title, mac)
    assert (teacher.map, teacher.map50) == accuracy


def test_a_teacher_with_known_macs_can_run_whole_on_the_device():
    local = table("efficientdet-d2-bw").local

    assert local is not None
    assert (local.device_mac, local.server_mac, local.payload_bytes) == (11_141_140_809, 0, 0)
    assert local.map == 0.4216


def test_a_teacher_without_published_macs_cannot_and_the_table_says_why():
    loaded = table("faster-rcnn-bw")

    assert loaded.local is None
    assert "cannot be placed on the device" in loaded.teacher.note


@pytest.mark.parametrize("name", ALL)
def test_every_student_is_behind_its_teacher_and_every_figure_has_a_source(name):
    loaded = published.load(name)

    assert loaded.source.count("arXiv 2105.00591") == 1
    assert {"map", "payload_bytes", "decoder_mac"} <= set(loaded.columns)
    for point in loaded.points:
        assert point.map < loaded.teacher.map
        assert loaded.columns["map"].text in point.source
    assert loaded.columns["map"].kind == "published"


@pytest.mark.parametrize(
    ("name", "dominated"),
    [
        ("efficientdet-d2-bw", {0.5: 0.416, 0.75: 0.66, 0.83: 0.66, 1.0: 0.916}),
        ("efficientdet-d1-bw", {0.75: 0.66, 0.83: 0.66, 0.916: 0.66, 1.0: 0.66}),
        ("efficientdet-d2-cp-c48-min25", {0.83: 0.75, 0.916: 0.75, 1.0: 0.75}),
        ("efficientdet-d2-cp-c48-min50", {}),
        ("efficientdet-d2-fixed", {}),
    ],
)
def test_the_dominated_points_are_those_a_reader_finds_by_hand(name, dominated):
    ladder = table(name).ladder
    found = {
        rung.point.width: better.point.width
        for rung in ladder
        if (better := ladder.dominator(rung)) is not None
    }

    assert found == dominated


def test_without_any_limit_the_best_width_of_d2_is_not_the_full_one():
    by_accuracy = sorted(table("efficientdet-d2-bw").ladder, key=lambda r: -r.accuracy)

    assert [rung.point.width for rung in by_accuracy[:3]] == [0.916, 0.66, 1.0]
    assert [rung.accuracy for rung in by_accuracy[:3]] == [0.4082, 0.4081, 0.4079]


def test_a_jpeg_of_the_stock_photo_is_smaller_than_the_two_widest_points_of_d2():
    loaded = table("efficientdet-d2-bw")

    assert loaded.jpeg95_bytes == 404_049
    larger = [point.width for point in loaded.points if point.payload_bytes > 404_049]
    assert larger == [0.916, 1.0]


def test_the_rungs_of_the_ladder_carry_the_work_of_both_sides():
    rung = table("efficientdet-d2-bw").ladder[0]

    assert (rung.payload_bytes, rung.accuracy) == (73_728, 0.3705)
    assert (rung.device_mac, rung.server_mac) == (2_501_251_238, 9_097_976_059)


def test_the_input_is_three_bytes_a_pixel():
    assert table("efficientdet-d1-bw").input_bytes == 1_228_800
    assert table("efficientdet-d2-bw").input_bytes == 1_769_472
    assert table("mask-rcnn-bw").input_bytes == 1_920_000


def test_an_unknown_table_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'published/efficientdet-d2-bw'"):
        published.load("published/efficientdet-d2-bv")


def test_an_unknown_width_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no width 0\.3; it has 0\.25, 0\.33"):
        table("mask-rcnn-bw").at(0.3)
