"""What a camera sees where the detector is a recording, and what each frame of it weighs."""

from __future__ import annotations

from fractions import Fraction

from testbed.detectors.recording import Recording
from testbed.model import Rung
from testbed.scenario import Client as ClientSetup
from testbed.streams import stream


class Film:
    """The frames of a recording as one client captures them.

    Frame k of a camera of f frames a second sees frame (start + ⌊k·r/f⌋) mod n of a recording of n
    frames at r a second: the recording is played in its own time, from the beginning again at its
    end. Pictures that are no video come one by one. The start is drawn from the seed for each
    client, so that policies see the same and clients do not.

    Args:
        recording: What is played.
        fps: Of the camera.
        start: The first frame that is seen.
        frames: How many are captured.
        rungs: The ladder of the client.
    """

    def __init__(
        self, recording: Recording, fps: float, start: int, frames: int, rungs: tuple[Rung, ...]
    ) -> None:
        ratio = Fraction(1)
        if recording.fps is not None:  # as they are written: 29.97 is 2997/100
            ratio = Fraction(str(recording.fps)) / Fraction(str(fps))
        over, under, n = ratio.numerator, ratio.denominator, recording.frames
        self.seen = [(start + k * over // under) % n for k in range(frames)]
        self._bytes: dict[int, list[int]] = {
            id(rung): recording.payload_bytes[recording.index(rung.point)].tolist()
            for rung in rungs
            if rung.payload_bytes
        }

    def payload_bytes(self, rung: Rung, dataset_frame: int) -> int:
        """Return what the point of a rung sends of a frame of the recording."""
        return self._bytes[id(rung)][dataset_frame]


def film_of(setup: ClientSetup, seed: int, name: str, frames: int) -> Film | None:
    """Return what a client sees of the recording it has; None if its detector is a table."""
    recording = setup.detector
    if not isinstance(recording, Recording):
        return None
    start = int(stream(seed, name, "film").integers(recording.frames))
    return Film(recording, setup.spec.source.fps, start, frames, setup.ladder.rungs)
