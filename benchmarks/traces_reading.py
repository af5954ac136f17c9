"""What reading costs: a Mahimahi file of a million lines, and every format with long files.

    python benchmarks/traces_reading.py

Bounds: a million lines in under 2 s, held in at most 8 bytes a line.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from testbed.traces import read


def cost(path: Path) -> tuple[float, int, int]:
    """Return seconds (best of three), bytes held and peak bytes while reading."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        read(path)
        took.append(time.perf_counter() - began)
    tracemalloc.start()
    trace = read(path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trace.stamps_ns)
    return min(took), held, peak


def main() -> None:
    lines = 1_000_000
    stamps = np.sort(np.random.default_rng(1).integers(0, 2_000_000, lines)).tolist()
    texts = {
        "a.up": "\n".join(map(str, stamps)) + "\n",
        "crlf.up": "\r\n".join(map(str, stamps[: lines // 10])) + "\r\n",
        "a.csv": "time_s,rate_mbps\n" + "".join(f"{n},{n % 40}\n" for n in range(lines // 10)),
        "pensieve": "".join(f"{n}.0\t{n % 5}.25\r\n" for n in range(lines // 10)),
    }
    print(f"{'file':<10} {'lines':>8} {'s':>7} {'held B/line':>12} {'peak/file':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder) / name
            path.write_text(text, newline="")
            count = text.count("\n")
            took, held, peak = cost(path)
            row = f"{count:>8} {took:>7.3f} {held / count:>12.2f} {peak / len(text):>10.2f}"
            print(f"{name:<10} {row}")
            if count == lines:
                assert took < 2
                assert held / count < 8.1


if __name__ == "__main__":
    main()
