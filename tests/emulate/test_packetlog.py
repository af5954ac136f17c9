"""The log of packets and the captures."""

from __future__ import annotations

import struct

import pytest

from testbed.emulate.packetlog import (
    DOWNLINK,
    LOST,
    PASSED,
    SNAP_BYTES,
    UPLINK,
    Capture,
    PacketLog,
    read_packets,
)
from testbed.errors import RunError


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "packets.log"
    log = PacketLog(path, {"clients": ["camera"], "seed": 7})
    log.add(UPLINK, PASSED, 0, 1500, -5, 10, 12)
    log.add(DOWNLINK, LOST, 299, 60, 2**40, 2**40, 2**40)
    log.close()
    packets, about = read_packets(path)
    assert about == {"clients": ["camera"], "seed": 7}
    assert packets.tolist() == [
        (UPLINK, PASSED, 0, 1500, -5, 10, 12),
        (DOWNLINK, LOST, 299, 60, 2**40, 2**40, 2**40),
    ]


def test_nothing_is_written_before_it_is_worth_it(tmp_path):
    path = tmp_path / "packets.log"
    log = PacketLog(path, {})
    log.add(UPLINK, PASSED, 0, 1500, 0, 0, 0)
    log.flush()
    assert len(read_packets(path)[0]) == 0
    log.flush(0)
    assert len(read_packets(path)[0]) == 1
    log.close()


def test_a_log_that_breaks_off_within_a_record_is_read_up_to_there(tmp_path):
    path = tmp_path / "packets.log"
    log = PacketLog(path, {})
    for size in (100, 200, 300):
        log.add(UPLINK, PASSED, 0, size, 0, 0, 0)
    log.close()
    path.write_bytes(path.read_bytes()[:-1])
    assert read_packets(path)[0]["size_bytes"].tolist() == [100, 200]


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    with pytest.raises(RunError, match=r"notes.txt: is not a packet log"):
        read_packets(path)


def test_a_description_that_is_too_long_is_left_out(tmp_path):
    path = tmp_path / "packets.log"
    PacketLog(path, {"clients": ["camera" * 1000]}).close()
    assert read_packets(path)[1] == {}


def test_a_capture_has_the_form_of_pcap_with_nanoseconds_and_raw_ip(tmp_path):
    # The form: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, section 4 and 5.
    path = tmp_path / "host.pcap"
    capture = Capture(path)
    capture.add(0, bytes(range(20)))
    capture.add(1_500_000_000, bytes(1500))
    capture.close()
    data = path.read_bytes()
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B23C4D, 2, 4, 0, 0, SNAP_BYTES, 101)
    first, second = struct.unpack_from("<IIII", data, 24), struct.unpack_from("<IIII", data, 60)
    assert first[2:] == (20, 20)
    assert data[40:60] == bytes(range(20))
    assert second[2:] == (SNAP_BYTES, 1500)
    assert len(data) == 76 + SNAP_BYTES
    apart_ns = (second[0] - first[0]) * 10**9 + second[1] - first[1]
    assert apart_ns == 1_500_000_000
