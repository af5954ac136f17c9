"""What slimming costs on a CPU: the device's side of a split detector at every width, side by side.

| column | what runs |
|---|---|
| slimmable | the network as it is trained, slicing its weights in every call |
| deployed | `EagerEncoder`: every width cut out once, normalisation folded |
| plain | a network of ordinary layers of that width, folded, in the same memory layout |
| library | encoder and compressor before `make_slimmable`, at full width |
| onnx | `OnnxEncoder`, ONNX Runtime |

All of them take turns within a round; the table shows medians, and the minimum in brackets.

    python benchmarks/slimmable_encoder.py [--network efficientdet-d2-cp-c48-min25] [--side 768]
        [--widths 0.25,0.5,0.75,1] [--rounds 12] [--threads 1] [--onnx FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from testbed.detectors.configurations import find
from testbed.detectors.deploy import EagerEncoder, OnnxEncoder, cut_out
from testbed.detectors.macs import count_detector
from testbed.detectors.split import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="efficientdet-d2-cp-c48-min25")
    parser.add_argument("--side", type=int)
    parser.add_argument("--widths", default="0.25,0.5,0.75,1")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--onnx", type=Path, help="folder for ONNX files; left out: not measured")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = find(given.network)
    side = given.side or config.side
    widths = [float(width) for width in given.widths.split(",")]
    detector = build(config)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))

    deployed = EagerEncoder(detector)
    onnx = (
        OnnxEncoder(detector, given.onnx, threads=given.threads, side=side) if given.onnx else None
    )
    runs: dict[tuple[str, float], Callable[[], Tensor]] = {}
    for width in widths:
        plain = cut_out(detector, width).to(memory_format=torch.channels_last)
        runs["slimmable", width] = lambda w=width: slimmable(detector, w, x)
        runs["deployed", width] = lambda w=width: deployed.bottleneck(x, w)
        runs["plain", width] = lambda m=plain: once(
            m, x.contiguous(memory_format=torch.channels_last)
        )
        if onnx is not None:
            runs["onnx", width] = lambda w=width: onnx.bottleneck(x, w)
    library = build(find(f"efficientdet-d{config.coefficient}-c{config.channels}"))
    whole = nn.Sequential(library.encoder, library.compressor)
    runs["library", 1.0] = lambda: once(whole, x)

    times: dict[tuple[str, float], list[float]] = {key: [] for key in runs}
    for turn in range(given.rounds + 2):
        for key, run in runs.items():
            began = time.process_time() if given.threads == 1 else time.perf_counter()
            run()
            ended = time.process_time() if given.threads == 1 else time.perf_counter()
            if turn > 1:
                times[key].append(1e3 * (ended - began))

    mac: dict[float, int] = {}
    for one in count_detector(detector, side=side, decoder=False):
        mac[one.width] = mac.get(one.width, 0) + one.mac
    names = ["slimmable", "deployed", "plain", "library", *(["onnx"] if onnx else [])]
    clock = "CPU" if given.threads == 1 else "wall"
    print(f"{config.name}, {side} x {side}, {given.threads} thread(s), ms of {clock} time")
    print("α      MAC ratio  deployed ratio  " + "  ".join(f"{name:>15}" for name in names))
    full = statistics.median(times["deployed", widths[-1]])
    for width in widths:
        shown = []
        for name in names:
            found = times.get((name, width))
            shown.append(f"{statistics.median(found):7.1f} ({min(found):5.1f})" if found else "-")
        ratio = statistics.median(times["deployed", width]) / full
        print(
            f"{width:<5g}  {mac[width] / mac[widths[-1]]:9.3f}  {ratio:14.3f}  "
            + "  ".join(f"{cell:>15}" for cell in shown)
        )
    for width in widths:
        pair = [min(times[name, width]) for name in ("deployed", "plain")]
        print(f"α={width:g}: deployed / plain = {pair[0] / pair[1]:.3f} (minima)")
    best = min(times["deployed", widths[-1]]) / min(times["library", 1.0])
    print(f"α=1: deployed / library = {best:.3f} (minima)")
    if onnx is not None:
        for width in widths:
            gain = min(times["slimmable", width]) / min(times["onnx", width])
            print(f"α={width:g}: onnx is {gain:.2f} times as fast as eager torch (minima)")
    print(f"switching width: {switching(detector.widths.use, widths):.2f} µs")


def slimmable(detector, width: float, x: Tensor) -> Tensor:
    with detector.widths.at(width), torch.inference_mode():
        return detector.bottleneck(x)


def once(module: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return module(x)


def switching(use: Callable[[float], None], widths: list[float]) -> float:
    began = time.perf_counter()
    for turn in range(10_000):
        use(widths[turn % len(widths)])
    return 1e6 * (time.perf_counter() - began) / 10_000


if __name__ == "__main__":
    main()
