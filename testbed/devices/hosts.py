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
        transfer_ns: From the last byte at the server's link until the server has it.
        server_wait_ns: From there until the frame may be decoded.
        decode_ns: From the end of a batch until the server hears of it.
        downlink_ns: From there until the device has the answer, the link aside.
        frame_bytes: What the protocol sends before each payload.
        decode_cv: Coefficient of variation of the time of a batch: lognormal, the mean preserved.
    """

    queue_ns: int = 0
    encode_ns: int = 0
    uplink_wait_ns: int = 0
    transfer_ns: int = 0
    server_wait_ns: int = 0
    decode_ns: int = 0
    downlink_ns: int = 0
    frame_bytes: int = 0
    decode_cv: float = 0.0


UNMEASURED = HostTimes()
"""Nothing is added."""
