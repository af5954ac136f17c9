"""What became of every packet, on disk: a log that numpy reads, and captures that tcpdump reads."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from testbed.errors import RunError

if TYPE_CHECKING:
    import numpy as np

QUEUE, LOST, PASSED = 0, 1, 2
"""Fates: refused by a full queue, lost on the way, delivered."""

UPLINK, DOWNLINK = 0, 1

_RECORD = struct.Struct("<BBHIqqq")
FIELDS = [
    ("direction", "u1"),
    ("fate", "u1"),
    ("client", "<u2"),
    ("size_bytes", "<u4"),
    ("arrived_ns", "<i8"),
    ("due_ns", "<i8"),
    ("released_ns", "<i8"),
]
"""Of a record: times count from the time zero of the links; of a packet that never got to the other
end, due and released are its arrival."""

_MARK = b"testbed packets 1 "
_HEAD_BYTES = 4096
_BUFFER_BYTES = 1 << 16
SNAP_BYTES = 128
"""What a capture keeps of a packet: its headers."""

_PCAP_NS = 0xA1B2_3C4D
_LINKTYPE_RAW = 101  # begins with the IP header; https://www.tcpdump.org/linktypes.html


class PacketLog:
    """A log that is written as packets pass.

    Args:
        path: The file.
        about: What is said of the run in its first line.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        head = _MARK + json.dumps(about).encode() + b"\n"
        if len(head) > _HEAD_BYTES:
            head = _MARK + b"{}\n"
        self._file: BinaryIO = path.open("wb", buffering=0)
        self._file.write(head.ljust(_HEAD_BYTES, b"\n"))
        self._buffer = bytearray()

    def add(
        self,
        direction: int,
        fate: int,
        client: int,
        size_bytes: int,
        arrived_ns: int,
        due_ns: int,
        released_ns: int,
    ) -> None:
        """Add a packet."""
        self._buffer += _RECORD.pack(
            direction, fate, client, size_bytes, arrived_ns, due_ns, released_ns
        )

    def flush(self, least_bytes: int = _BUFFER_BYTES) -> None:
        """Write what has gathered, if it is worth it."""
        if len(self._buffer) >= least_bytes:
            self._file.write(self._buffer)
            self._buffer.clear()

    def close(self) -> None:
        """Write the rest."""
        self.flush(0)
        self._file.close()


def read_packets(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the records of a log, fields as in `FIELDS`, and what it says of its run.

    Raises:
        RunError: It is not such a log.
    """
    import numpy as np

    data = path.read_bytes()
    if not data.startswith(_MARK):
        raise RunError(f"{path}: is not a packet log of this testbed")
    about = json.loads(data[len(_MARK) : data.index(b"\n")])
    whole = (len(data) - _HEAD_BYTES) // _RECORD.size  # a killed relay leaves part of a record
    return np.frombuffer(data, np.dtype(FIELDS), max(0, whole), _HEAD_BYTES), about


class Capture:
    """A capture of the packets of one host, headers only, as `tcpdump -r` and Wireshark read it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=_BUFFER_BYTES)
        self._file.write(struct.pack("<IHHiIII", _PCAP_NS, 2, 4, 0, 0, SNAP_BYTES, _LINKTYPE_RAW))
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def add(self, at_ns: int, packet: bytes) -> None:
        """Add a packet that passed at an instant of the monotonic clock."""
        seconds, ns = divmod(at_ns + self._offset_ns, 10**9)
        kept = packet[:SNAP_BYTES]
        self._file.write(struct.pack("<IIII", seconds, ns, len(kept), len(packet)) + kept)

    def close(self) -> None:
        """Write the rest."""
        self._file.close()
