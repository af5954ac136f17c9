"""The two halves of a split detector as something to run. The one module here that needs torch."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from testbed.detectors import published
from testbed.detectors.configurations import find
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.profiling.measure import Task

if TYPE_CHECKING:
    from testbed.detectors.split import SplitDetector

Part = Literal["encoder", "decoder"]

PARTS = {"encoder": ("encoder", "compressor"), "decoder": ("decompressor", "decoder")}
"""What runs on the device, and what on the server; the latter without non-maximum suppression."""

YARDSTICK = "yardstick-matmul-512"
YARDSTICK_SIDE = 512


@dataclass(frozen=True)
class Subject:
    """One part of a network at one width, ready to be timed."""

    width: float
    mac: int
    task: Task


def config_name(name: str) -> str:
    """Return the name of the network that a user or a point of a file names."""
    plain = name.removeprefix(published.PREFIX).partition("@")[0]
    return find(plain).name


def widths_of(name: str, wanted: Sequence[float] | None) -> tuple[float, ...]:
    """Return the widths to measure, rising. Raise a `TestbedError` for one it does not have."""
    known = find(name).widths
    if wanted is None:
        return known
    if unknown := sorted(set(wanted) - set(known)):
        listed = ", ".join(f"{width:g}" for width in known)
        raise TestbedError(f"{name} has no width {unknown[0]:g}; it has {listed}")
    return tuple(sorted(set(wanted)))


def subjects(name: str, side: int, widths: Sequence[float], part: Part) -> list[Subject]:
    """Return one part of a network, with random weights, at several widths.

    Its speed does not depend on the weights; its input is a random picture of `side` pixels. Raise
    `EnvironmentLacks` without torch, a `TestbedError` for a picture that does not fit.
    """
    with needs_torch():
        import torch

        from testbed.detectors.macs import count_detector
        from testbed.detectors.split import build
    config = find(name)
    if side < 128 or (config.family == "efficientdet" and side % 128):
        raise TestbedError(f"{name} takes pictures of a side that is a multiple of 128, not {side}")
    detector = build(config)
    counts = count_detector(detector, side=side, decoder=part == "decoder")
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(1, 3, side, side, generator=generator)
    found = []
    for width in widths:
        mac = sum(c.mac for c in counts if c.width == width and c.part in PARTS[part])
        run: Callable[[], object]
        if part == "encoder":
            run = partial(_encode, detector, picture)
        else:
            with torch.inference_mode(), detector.widths.at(width):
                bottleneck = detector.bottleneck(picture)
            run = partial(_decode, detector, bottleneck)
        found.append(Subject(width, mac, Task(partial(detector.widths.use, width), run)))
    return found


def _encode(detector: SplitDetector, picture: object) -> object:
    import torch

    with torch.inference_mode():
        return detector.bottleneck(picture)  # type: ignore[arg-type]


def _decode(detector: SplitDetector, bottleneck: object) -> object:
    import torch

    with torch.inference_mode():
        return detector.decoder(detector.decompressor(bottleneck))


def yardstick() -> Task:
    """Return a matrix product, whose time says how fast the machine itself is at the moment."""
    with needs_torch():
        import torch
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(YARDSTICK_SIDE, YARDSTICK_SIDE, generator=generator)
    return Task(lambda: None, lambda: torch.mm(a, a))


def engine() -> str:
    """Return what runs the networks, for the source of a figure."""
    with needs_torch():
        import torch
    return f"PyTorch {torch.__version__} eager, fp32, batch 1, weights sliced in place"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with that many threads within the block."""
    with needs_torch():
        import torch
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def needs_torch() -> Iterator[None]:
    """Say which extra brings what could not be imported."""
    try:
        yield
    except ImportError as error:
        missing = error.name or str(error)
        raise EnvironmentLacks(
            f"measuring a detector needs '{missing}', which is not installed; "
            "`pip install 'split-testbed[detect]'` brings it"
        ) from None


def peak_bytes(task: Task, proc: Path = Path("/proc/self")) -> int | None:
    """Return what a run needs beyond what the process holds before it; None where nobody tells.

    Linux keeps the peak of the resident set, and forgets it on request. Memory that the allocator
    kept from earlier runs is handed back first, or the run would take from there unseen.
    """
    task.prepare()
    task.run()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        (proc / "clear_refs").write_text("5", encoding="ascii")
        before = _resident_bytes(proc, "VmRSS")
        task.run()
        return max(0, _resident_bytes(proc, "VmHWM") - before)
    except (OSError, AttributeError):
        return None


def _resident_bytes(proc: Path, key: str) -> int:
    status = (proc / "status").read_text(encoding="ascii")
    found = re.search(rf"^{key}:\s*(\d+) kB", status, re.MULTILINE)
    if found is None:
        raise OSError(f"no {key} in {proc / 'status'}")
    return int(found[1]) * 1024
