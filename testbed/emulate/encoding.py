"""The live encoder of a client: a process that makes payloads, for a loop around `select`."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

from testbed.emulate.bodies import Kind
from testbed.emulate.clock import WallClock
from testbed.emulate.decoding_live import START_S, Network, receive
from testbed.emulate.encoding_worker import arguments, request
from testbed.errors import EnvironmentLacks
from testbed.model import FrameRecord, Mode, OperatingPoint, Rung


class LiveEncoder:
    """Encodes one picture at a time with a real network.

    Args:
        clock: Calls back.
        network: What encodes.
        seed: Of the pictures.
        client: Whose they are.

    Raises:
        EnvironmentLacks: The process does not start: no torch, no such weights.
    """

    wants_write = False

    def __init__(self, clock: WallClock, network: Network, seed: int, client: str) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-P", "-m", "testbed.emulate.encoding_worker"),
                    *(str(theirs.fileno()), arguments(network, seed, client)),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._done: Callable[[bytes], None] | None = None
        self._payloads: dict[int, bytes] = {}
        self._sock.settimeout(START_S)
        try:
            receive(self._sock)
        except (OSError, EOFError):
            raise EnvironmentLacks(f"{client}: the encoder's process did not start") from None
        self._sock.settimeout(None)
        clock.watch(self, self._read, lambda: None)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._sock.fileno()

    def kind_of(self, point: OperatingPoint) -> Kind | None:
        """Return what frames of a point are sent as; None if nothing here encodes them."""
        if point.mode is Mode.OFFLOAD:
            return Kind.PICTURE
        return Kind.BOTTLENECK if point.mode is Mode.SPLIT else None

    def begin(self, frame: FrameRecord, rung: Rung, done: Callable[[], None]) -> None:
        """Encode a frame and call `done`."""

        def keep(payload: bytes) -> None:
            self._payloads[frame.frame] = payload
            done()

        assert self._done is None, "one frame at a time"
        self._done = keep
        self._sock.sendall(request(rung.point))

    def _read(self) -> None:
        payload = receive(self._sock)
        done, self._done = self._done, None
        assert done is not None
        done(payload)

    def payload(self, frame: FrameRecord, rung: Rung) -> bytes:
        """Return what is sent for a frame that is encoded; forget it."""
        return self._payloads.pop(frame.frame)

    def close(self) -> None:
        """End the process."""
        self._sock.close()
        self._process.kill()
        self._process.wait()
