"""What a mistake in a detector table costs its author: one line that says where and what."""

from __future__ import annotations

import pytest

from testbed.detectors import published
from testbed.errors import InputErrors

GOOD = """\
title: Toy
source: this test
input_side: 8
grid: [2, 3]
full_channels: 4
configurable: true
bits: 8
sources:
  here: {kind: published, text: this test}
columns:
  width: here
  channels: here
  payload_bytes: here
  map: here
  map50: here
  encoder_mac: here
  compressor_mac: here
  decoder_mac: here
points:
  - [0.5, 2, 12, 0.3, 0.4, 100, 10, 500]
  - [1.0, 4, 24, 0.4, 0.5, 100, 20, 600]
teacher: {title: Toy, map: 0.5, map50: 0.6, source: here, note: none}
notes: []
"""


def errors(text):
    with pytest.raises(InputErrors) as caught:
        published.parse("toy", text.encode(), file="toy.yaml")
    return str(caught.value).splitlines()


def test_a_table_of_ones_own_is_read():
    toy = published.parse("toy", GOOD.encode(), file="toy.yaml")

    assert toy.widths == (0.5, 1.0)
    assert toy.at(0.5).device_mac == 110
    assert toy.local is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[0.5, 2, 12,", "[0.5, 2, 13,", "toy.yaml:20: points.0: payload_bytes must be "),
        ("[0.5, 2, 12,", "[0.5, 3, 18,", "toy.yaml:20: points.0: channels must be "),
        ("[0.5, 2, 12,", "[0.5, 12,", "toy.yaml:20: points.0: has 7 figures for 8 columns"),
        ("[1.0, 4, 24,", "[0.5, 2, 12,", "toy.yaml:21: points.1: width must rise"),
        ("0.3, 0.4, 100", "0.5, 0.4, 100", "toy.yaml:20: points.0: 0 < map <= map50 <= 1"),
        ("100, 10, 500", "100, 1.5, 500", "toy.yaml:20: points.0: compressor_mac must be"),
        ("100, 10, 500", "100, -1, 500", "toy.yaml:20: points.0: compressor_mac must be"),
        ("width: here", "width: there", "toy.yaml:11: columns.width: no source 'there'"),
        ("  map50: here\n", "", "toy.yaml:10: columns: lacks 'map50'"),
        ("source: here", "source: there", "toy.yaml:22: teacher.source: no source 'there'"),
        ("note: none", "note: none, mac: 7", "toy.yaml:22: teacher: mac and mac_source come"),
        ("bits: 8", "bits: 32", "toy.yaml:7: bits: Input should be less than or equal to 16"),
        ("bits: 8", "bits: 8\nbit: 8", "toy.yaml:8: bit: Extra inputs are not permitted"),
        ("kind: published", "kind: measured", "toy.yaml:9: sources.here.kind: Input should be"),
        ("source: this test\n", "", "toy.yaml: source: Field required"),
        ("bits: 8", "bits: 8\nbits: 8", "toy.yaml:8: found duplicate key"),
        ("grid: [2, 3]", "grid: [2, 3", "toy.yaml:5: "),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(old, new, expected):
    assert old in GOOD
    (line,) = errors(GOOD.replace(old, new, 1))

    assert line.startswith(expected)


def test_a_file_that_is_no_table_at_all_is_refused():
    assert errors("just words\n")[0].startswith("toy.yaml: ")
    assert errors("a: \x00\n")[0].startswith("toy.yaml: ")


def test_all_mistakes_come_at_once():
    lines = errors(GOOD.replace("12, 0.3", "13, 0.3").replace("24, 0.4", "25, 0.4"))

    assert [line.split(": ")[0] for line in lines] == ["toy.yaml:20", "toy.yaml:21"]
