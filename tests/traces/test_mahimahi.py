"""Reading Mahimahi packet-delivery opportunities."""

import os
import time
import tracemalloc

import numpy as np
import pytest

from testbed.errors import TraceError
from testbed.traces import read


def write(tmp_path, text, name="x.up"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_each_line_is_one_packet_at_its_millisecond(tmp_path):
    trace = read(write(tmp_path, "0\n0\n5\n12\n"))

    assert trace.kind == "opportunities"
    assert trace.stamps_ns.tolist() == [0, 0, 5_000_000, 12_000_000]
    assert trace.period_ns == 12_000_000
    assert trace.direction == "up"
    assert trace.samples == 4
    assert trace.mean_bps == 4 * 1500 * 8 / 0.012


@pytest.mark.parametrize("text", ["1\r\n2\r\n", "1\n2", "1\n2\n\n\n", " 1 \n2\n", "\ufeff1\n2\n"])
def test_line_ends_blanks_and_a_byte_order_mark_do_not_matter(tmp_path, text):
    assert read(write(tmp_path, text)).stamps_ns.tolist() == [1_000_000, 2_000_000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\nabc\n3\n", ":2: 'abc' is not a time; allowed: whole milliseconds, such as 1250"),
        ("1\n2.5\n3\n", ":2: '2.5' is not a time"),
        ("1\n-2\n3\n", ":2: time '-2' is negative"),
        ("1\nnan\n3\n", ":2: 'nan' is not a time"),
        ("1\ninf\n3\n", ":2: 'inf' is not a time"),
        ("1\n1 2\n3\n", ":2: '1 2' is not a time"),
        ("1\n\n3\n", ":2: empty line; allowed only at the end of the file"),
        ("5\n9\n7\n", ":3: time 7 ms is before 9 ms; allowed: non-decreasing"),
        ("1\n²\n3\n", ":2: '²' is not a time"),
        ("1\n9999999999999999999999\n", ":2: '9999999999999999999999' is not a time"),
        ("1\n99999999999\n", ":2: time 99999999999 ms is beyond a year"),
        ("0\n", ": every stamp is 0, so the period is 0"),
        ("0\n0\n0\n", ": every stamp is 0, so the period is 0"),
        (b"1\n\xff\xfe\n3\n", ":2: byte 0xff in column 1 is not UTF-8"),
        (b"1\n\0\n3\n", ":2: holds a NUL byte"),
        ("", ": is empty"),
        (" \n\n", ": is empty"),
    ],
)
def test_a_broken_file_is_refused_with_the_line_and_what_is_allowed(tmp_path, text, message):
    path = write(tmp_path, text)

    with pytest.raises(TraceError) as caught:
        read(path)

    assert str(caught.value).startswith(f"{path}{message}")


def test_every_broken_line_is_named_at_once(tmp_path):
    path = write(tmp_path, "1\nx\n3\ny\n")

    with pytest.raises(TraceError) as caught:
        read(path)

    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}:2: 'x'")
    assert second.startswith(f"{path}:4: 'y'")


def test_what_is_no_file_says_so(tmp_path):
    os.mkfifo(tmp_path / "pipe.up")
    for name, message in (
        ("", "is a folder"),
        ("none.up", "no such file"),
        ("pipe.up", "is not a regular file"),
    ):
        with pytest.raises(TraceError, match=message):
            read(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path):
    path = write(tmp_path, "1\n")
    path.chmod(0)
    with pytest.raises(TraceError, match="cannot be read: Permission denied"):
        read(path)


def test_a_million_lines_load_fast_and_stay_small(tmp_path):
    """
    The bound is on the machine the tests run on: 2 s and 8 bytes a line, with room for the file.
    """
    stamps = np.sort(np.random.default_rng(1).integers(0, 1_000_000, 1_000_000))
    path = write(tmp_path, "\n".join(map(str, stamps.tolist())) + "\n")

    began = time.perf_counter()
    trace = read(path)
    took = time.perf_counter() - began
    tracemalloc.start()
    held = read(path)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert np.array_equal(trace.stamps_ns, stamps * 1_000_000)
    assert took < 2
    assert held.stamps_ns.nbytes == 8 * 1_000_000
    assert now < 8.1 * 1_000_000
    assert peak < 4 * path.stat().st_size
