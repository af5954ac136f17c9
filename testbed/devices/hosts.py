"""What a machine really takes of a frame's time, beside or instead of what profiles say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

from testbed.model import OperatingPoint, Rung


@dataclass(frozen=True)
class HostTimes:
    """What a machine adds to the stages of a frame, in nanoseconds, and a protocol to its bytes.

    Nothing, unless somebody has measured it (`testbed.validate.calibrate`): of a device and a
    server that a scenario only describes, nobody knows it. The names are those of the stages of
    `testbed.validate.stages`.

    Args:
        queue_ns: From the instant of a picture until the device hears of it.
        encode_ns: From the end of an encoding until the device hears of it.
        uplink_wait_ns: From there until the first byte is handed to the kernel.
        access_ns: From there until the link has the first packet. On the air it matters apart from
            `transfer_ns`: the link waits for an opportunity, which forgives it or makes it dear.
        round_ns: What a round trip takes beside the links, from the end of a packet at the link
            until what its acknowledgement lets go is there.
        transfer_ns: From the last byte at the server's link until the server has it.
        server_wait_ns: From there until the frame may be decoded.
        decode_ns: From the end of a batch until the server hears of it.
        downlink_ns: From there until the device has the answer, the link aside.
        frame_bytes: What the protocol sends before each payload.
        greeted: Whether the server speaks before the first payload of a long connection.
    """

    queue_ns: int = 0
    encode_ns: int = 0
    uplink_wait_ns: int = 0
    access_ns: int = 0
    round_ns: int = 0
    transfer_ns: int = 0
    server_wait_ns: int = 0
    decode_ns: int = 0
    downlink_ns: int = 0
    frame_bytes: int = 0
    greeted: bool = False


UNMEASURED = HostTimes()
"""Nothing is added."""


@dataclass(frozen=True)
class Taken:
    """What a real network took and made at one operating point, in the order of time.

    Encoder and decoder of one frame stay together, and so do frames that follow each other: a core
    that is slow is slow for both, and for some seconds.

    Args:
        frames: Numbers of the frames, rising.
        encode_ns: Of each, on the device.
        decode_ns: Of each, on the server by itself.
        payload_bytes: Of each.
    """

    frames: tuple[int, ...]
    encode_ns: tuple[int, ...]
    decode_ns: tuple[int, ...]
    payload_bytes: tuple[int, ...]

    def rung(self, rung: Rung, frame: int) -> Rung:
        """Return a rung with what its point took at a frame, or at the last known before it."""
        at = max(0, bisect_right(self.frames, frame) - 1)
        return replace(
            rung,
            encode_ns=self.encode_ns[at],
            decode_ns=self.decode_ns[at],
            payload_bytes=self.payload_bytes[at],
        )

    def looped(self, start: int, count: int) -> Taken:
        """Return `count` frames from 0 on, which take what these took from the `start`-th on.

        After the last comes the first again.
        """
        order = [(start + number) % len(self.frames) for number in range(count)]
        took = (self.encode_ns, self.decode_ns, self.payload_bytes)
        return Taken(tuple(range(count)), *(tuple(each[at] for at in order) for each in took))


Live = Mapping[tuple[str, int, str], Mapping[OperatingPoint, Taken]]
"""Policy, seed and client -> what a real network took there, of the points at which it was run."""
