import hashlib
from pathlib import Path

import pytest

from testbed import catalog
from testbed.devices.profile import load_device, load_radio, load_server
from testbed.errors import InputErrors

GOOD = """\
title: A board
rate_gmac_per_s: {value: 10, kind: published, source: a table}
idle_w: {value: 2, kind: measured, source: our meter}
active_w: {value: 5, kind: assumed, source: a guess}
jitter_cv: {value: 0.1, kind: assumed, source: a guess}
"""


def write(folder: Path, text: str, name: str = "board.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        load_device(path)
    return [str(problem).replace(f"{path}:", "") for problem in caught.value.problems]


def test_a_device_answers_in_the_units_of_the_engines(tmp_path):
    path = write(tmp_path, GOOD)
    device = load_device(path)

    assert device.name == "board"
    assert device.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert device.encode_ns(2_000_000_000) == 200_000_000
    assert device.encode_j(2_000_000_000) == pytest.approx(0.2 * 3, abs=1e-12)
    assert (device.idle_w, device.compute_w, device.jitter_cv) == (2.0, 3.0, 0.1)


def test_every_figure_is_listed_with_its_key_kind_and_source(tmp_path):
    figures = load_device(write(tmp_path, GOOD)).figures()

    assert [(key, figure.value, figure.kind, figure.source) for key, figure in figures] == [
        ("rate_gmac_per_s", 10.0, "published", "a table"),
        ("idle_w", 2.0, "measured", "our meter"),
        ("active_w", 5.0, "assumed", "a guess"),
        ("jitter_cv", 0.1, "assumed", "a guess"),
    ]


def test_a_server_takes_the_floor_or_the_rate_whichever_is_longer():
    server = load_server(catalog.find("devices/servers", "t4-eager-amp"))
    resnet50 = 4_100_000_000

    assert server.decode_ns(resnet50) == 12_900_000
    assert server.decode_ns(resnet50, batch=8) == 12_900_000
    assert server.decode_ns(resnet50, batch=256) == round(256 * 4.1 / 4700 * 1e9)


@pytest.mark.parametrize(
    ("batch", "published_ms"), [(1, 12.96), (8, 12.82), (32, 29.5), (256, 226)]
)
def test_the_published_batches_of_a_t4_are_within_eleven_percent(batch, published_ms):
    server = load_server(catalog.find("devices/servers", "t4-eager-amp"))

    assert server.decode_ns(4_100_000_000, batch) / 1e6 == pytest.approx(published_ms, rel=0.11)


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        (
            "idle_w: {value: 2, kind: measured, source: our meter}",
            "idle_w: 2",
            "needs its kind and source",
        ),
        ("source: our meter", "", "no source: say where the value comes from"),
        ("kind: measured, ", "", "no kind; allowed: measured, published, assumed"),
        ("kind: measured", "kind: guessed", "'guessed' is not a kind"),
        ("value: 2", "value: -2", "-2 is not at least 0"),
        ("value: 2", "value: two", "expected a number, not 'two'"),
        ("value: 2", "value: .nan", "expected a number, not 'nan'"),
        ("value: 2", "value: true", "expected a number"),
        ("value: 2", "value: 7", "active_w: not above the idle power (7)"),
        ("value: 10,", "value: 0,", "0 is not above 0"),
        ("idle_w", "idel_w", "idel_w: no such key. Did you mean 'idle_w'?"),
        ("title: A board", "title: [A, board]", "expected text, not a list of 2"),
        ("value: 0.1", "valu: 0.1", "no such key. Did you mean 'value'?"),
    ],
)
def test_a_bad_value_is_refused_and_named(tmp_path, line, instead, message):
    assert line in GOOD

    assert any(message in told for told in problems(write(tmp_path, GOOD.replace(line, instead))))


def test_all_problems_are_told_at_once_with_their_lines(tmp_path):
    path = write(
        tmp_path,
        GOOD.replace("value: 10", "value: -1").replace("source: our meter", "")
        + "colour: {value: 1, kind: measured, source: eyes}\n",
    )

    assert problems(path) == [
        "2: rate_gmac_per_s: -1 is not above 0",
        "3: idle_w: no source: say where the value comes from",
        problems(path)[2],
    ]
    assert problems(path)[2].startswith("6: colour: no such key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping with keys, not nothing"),
        ("- 1\n", "expected a mapping with keys, not a list of 1"),
        ("title: A\ntitle: B\n", "2: not YAML: found duplicate key"),
        ("title: [\n", "not YAML"),
        ("a: b: c\n", "1: not YAML: mapping values are not allowed here"),
    ],
)
def test_what_is_no_sheet_is_refused(tmp_path, text, message):
    assert message in problems(write(tmp_path, text))[0]


def test_a_missing_file_a_folder_and_bytes_are_told_without_a_traceback(tmp_path):
    assert "cannot be read: No such file" in problems(tmp_path / "none.yaml")[0]
    assert "a folder, not a YAML file" in problems(tmp_path)[0]
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not YAML" in problems(tmp_path / "bytes.yaml")[0]


def test_a_slip_of_units_in_a_tail_is_refused(tmp_path):
    """
    1060 mW written as 1060 W draws more than sending does, which nothing after sending can.
    """
    text = (
        catalog.find("devices/radios", "lte-2012")
        .read_text()
        .replace("value: 1.06\n", "value: 1060\n")
    )
    path = write(tmp_path, text, "slip.yaml")

    with pytest.raises(
        InputErrors, match=r"'inactivity' draws 1060 W, more than the connected base"
    ):
        load_radio(path)


def test_discontinuous_reception_needs_a_cycle_it_fits_in(tmp_path):
    text = catalog.find("devices/radios", "lte-2012-aro").read_text()
    path = write(tmp_path, text.replace("on_s: {value: 0.002", "on_s: {value: 0.1"), "drx.yaml")

    with pytest.raises(InputErrors, match=r"tail\[1\].on_s: longer than the cycle \(0.02 s\)"):
        load_radio(path)
