"""Meters that tell a power: the sensor of a Jetson board, or the log of a meter of one's own.

Their joules are the integral of the power, straight lines between samples.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from testbed.errors import EnvironmentLacks, InputErrors, Problem

Sample = tuple[float, float]
"""Seconds, watts."""


def integral_j(samples: Sequence[Sample]) -> float:
    """Return the joules under samples in order of time."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(samples))


class Sampled:
    """A meter that reads a power again and again while its window is open.

    Args:
        name: Which meter, and what it covers.
        read_w: Returns the power now.
        period_s: Between two readings; sensors of boards average over some milliseconds.
    """

    def __init__(self, name: str, read_w: Callable[[], float], period_s: float = 0.01) -> None:
        self.name, self.read_w, self.period_s = name, read_w, period_s
        self._samples: list[Sample] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin a window."""
        self._samples = []
        self._over.clear()
        self._sample()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """End the window and return its joules."""
        assert self._thread is not None, "end without begin"
        self._over.set()
        self._thread.join()
        self._sample()
        return integral_j(self._samples)

    def _watch(self) -> None:
        while not self._over.wait(self.period_s):
            self._sample()

    def _sample(self) -> None:
        self._samples.append((time.perf_counter(), self.read_w()))


def ina3221(sysfs: Path) -> Sampled | None:
    """Return the INA3221 sensors of a Jetson board, None where there are none.

    JetPack 4 tells milliwatts per rail (`in_power0_input`), JetPack 5 and later millivolts and
    milliamperes (`in1_input`, `curr1_input`). Rails are fed by one another: where there is an
    input rail (`VDD_IN`, `POM_5V_IN`) it holds all others and is taken alone, else the sum.
    """
    rails = _rails_in_iio(sysfs) or _rails_in_hwmon(sysfs)
    if not rails:
        return None
    inputs = [label for label in rails if label.upper().endswith("_IN")]
    taken = inputs or sorted(rails)
    what = "rail" if inputs else "the sum of the rails, less than the whole board:"
    for label in taken:
        rails[label]()
    return Sampled(
        f"INA3221 ({what} {', '.join(taken)})", lambda: sum(rails[label]() for label in taken)
    )


def _rails_in_iio(sysfs: Path) -> dict[str, Callable[[], float]]:
    rails: dict[str, Callable[[], float]] = {}
    for power in sorted((sysfs / "bus/i2c/drivers/ina3221x").glob("*/iio:device*/in_power*_input")):
        index = power.name.removeprefix("in_power").removesuffix("_input")
        label = _text(power.with_name(f"rail_name_{index}")) or f"{power.parts[-3]}/{index}"
        rails[label] = partial(_watts, power)
    return rails


def _rails_in_hwmon(sysfs: Path) -> dict[str, Callable[[], float]]:
    rails: dict[str, Callable[[], float]] = {}
    for amperes in sorted((sysfs / "bus/i2c/drivers/ina3221").glob("*/hwmon/hwmon*/curr*_input")):
        index = amperes.name.removeprefix("curr").removesuffix("_input")
        volts = amperes.with_name(f"in{index}_input")
        label = _text(amperes.with_name(f"in{index}_label"))
        if label == "NC" or not volts.exists():  # a channel that is not connected
            continue
        rails[label or f"{amperes.parts[-4]}/{index}"] = partial(_watts, amperes, volts)
    return rails


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _watts(milli: Path, millivolts: Path | None = None) -> float:
    """Return milliwatts, or milliamperes times millivolts, as watts."""
    return _number(milli) / 1e3 * (_number(millivolts) / 1e3 if millivolts else 1.0)


def _number(path: Path) -> float:
    try:
        return float(path.read_text(encoding="ascii"))
    except OSError as error:
        raise EnvironmentLacks(f"{path} cannot be read: {error.strerror}") from None


class MeterFile:
    """The log of a meter, a CSV file `time_s,power_w` that may still be growing.

    Args:
        path: Its first line is the heading; times are Unix seconds and rise.
        clock: Returns the Unix time.
        patience_s: How long to wait for the log to reach the end of a window.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.time, patience_s: float = 10.0
    ) -> None:
        self.path, self.clock, self.patience_s = path, clock, patience_s
        self.name = f"a meter's log ({path.name})"
        self._began = 0.0
        self._read()

    def begin(self) -> None:
        """Begin a window."""
        self._began = self.clock()

    def end(self) -> float:
        """End the window and return its joules.

        Raises:
            EnvironmentLacks: The log does not cover the window.
        """
        ended = self.clock()
        deadline = time.monotonic() + self.patience_s
        samples = self._read()
        while (not samples or samples[-1][0] < ended) and time.monotonic() < deadline:
            time.sleep(0.2)
            samples = self._read()
        return self.between(samples, self._began, ended)

    def between(self, samples: Sequence[Sample], began: float, ended: float) -> float:
        """Return the joules from one instant to another."""
        if not samples or samples[0][0] > began or samples[-1][0] < ended:
            covers = f"{samples[0][0]:.1f} to {samples[-1][0]:.1f}" if samples else "nothing"
            raise EnvironmentLacks(
                f"{self.path} covers {covers}, not the measurement from {began:.1f} to "
                f"{ended:.1f}; its times must be Unix seconds, and it must be written meanwhile"
            )
        times = [at for at, _ in samples]
        inner = samples[bisect_right(times, began) : bisect_left(times, ended)]
        edges = (began, _power_at(samples, times, began)), (ended, _power_at(samples, times, ended))
        return integral_j([edges[0], *inner, edges[1]])

    def _read(self) -> list[Sample]:
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise InputErrors([Problem(str(self.path), None, "", message)]) from None
        if lines[0].replace(" ", "").rstrip("\r") != "time_s,power_w":
            raise InputErrors(
                [Problem(str(self.path), 1, "", "the heading of a meter's log is time_s,power_w")]
            )
        samples: list[Sample] = []
        for number, line in enumerate(lines[1:-1], start=2):  # the last line may be half written
            try:
                at, power = map(float, line.split(","))
            except ValueError:
                at, power = 0.0, -1.0
            if not power >= 0 or (samples and at <= samples[-1][0]):
                message = f"expected a later time and watts, not '{line.strip()}'"
                raise InputErrors([Problem(str(self.path), number, "", message)])
            samples.append((at, power))
        return samples


def _power_at(samples: Sequence[Sample], times: Sequence[float], at: float) -> float:
    after = bisect_left(times, at)
    if times[after] == at:
        return samples[after][1]
    (t0, p0), (t1, p1) = samples[after - 1], samples[after]
    return p0 + (p1 - p0) * (at - t0) / (t1 - t0)
