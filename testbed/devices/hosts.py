"""What programs and a kernel take of a frame's time, beside what profiles and transport say."""

from __future__ import annotations

from dataclasses import dataclass


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
        decode_cv: Coefficient of variation of the time of a batch: lognormal, the mean preserved.
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
    decode_cv: float = 0.0


UNMEASURED = HostTimes()
"""Nothing is added."""
