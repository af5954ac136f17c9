"""The device's side, made ready: every width cut out once, normalisation folded, or as ONNX.

All widths of the encoder of EfficientDet-D2 together take 3.6 MB. Switching between them is a
look-up in a list.
"""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from testbed.detectors.onnx_graph import keep_blocks
from testbed.detectors.slimmable import slice_to
from testbed.detectors.split import SplitDetector
from testbed.errors import EnvironmentLacks

_GRAPH_VERSION = 2  # of the files that `OnnxEncoder` finds again; other graphs, other names


class Engine(Protocol):
    """What runs encoder and compressor on a device."""

    def bottleneck(self, x: Tensor, width: float) -> Tensor:
        """Return the bottleneck (N, n, h, w) of pictures (N, 3, H, W) at a width."""


def fold_batch_norms(module: nn.Module, example: Tensor) -> nn.Module:
    """Fold each batch normalisation into the convolution whose output it gets, in place.

    Which that is comes from one pass of `example`. The module must be in evaluation mode, and its
    convolutions must hand their outputs to the normalisation alone, as those of all our networks.
    """
    made_by: dict[int, nn.Conv2d] = {}
    kept: list[Tensor] = []  # so that no number of a tensor is used twice
    pairs: list[tuple[nn.Conv2d, str, Any]] = []
    named = dict(module.named_modules())
    handles = []
    for name, layer in named.items():
        if isinstance(layer, nn.Conv2d):

            def made(conv: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
                made_by[id(output)] = conv  # type: ignore[assignment]
                kept.append(output)

            handles.append(layer.register_forward_hook(made))
        elif hasattr(layer, "running_mean"):

            def wanted(norm: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                if conv := made_by.get(id(inputs[0])):
                    pairs.append((conv, name, norm))

            handles.append(layer.register_forward_pre_hook(wanted))
    try:
        with torch.no_grad():
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    for conv, name, norm in pairs:
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        parent, _, attribute = name.rpartition(".")
        act = getattr(norm, "act", None) or nn.Identity()
        setattr(module.get_submodule(parent), attribute, act)
    return module.requires_grad_(False)


def cut_out(detector: SplitDetector, width: float) -> nn.Module:
    """Return encoder and compressor at one width as one plain module, normalisation folded."""
    whole = nn.Sequential(slice_to(detector.encoder, width), slice_to(detector.compressor, width))
    example = next(detector.encoder.parameters()).new_zeros(1, 3, 64, 64)
    return fold_batch_norms(whole.eval(), example)


class EagerEncoder:
    """Encoder and compressor at every width, ready to run in torch.

    Args:
        detector: Whose weights are copied.
        channels_last: The memory layout; faster on most processors.
    """

    def __init__(self, detector: SplitDetector, *, channels_last: bool = True) -> None:
        self.widths = detector.widths
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.modules = [
            cut_out(detector, width).to(memory_format=self.format)
            for width in detector.widths.values
        ]

    def bottleneck(self, x: Tensor, width: float) -> Tensor:
        """Return the bottleneck (N, n, h, w) of pictures (N, 3, H, W) of any device."""
        module = self.modules[self.widths.find(width)]
        device = next(module.parameters()).device
        with torch.inference_mode():
            x = x.to(device).contiguous(memory_format=self.format)
            return module(x)  # type: ignore[no-any-return]


def export_onnx(detector: SplitDetector, width: float, path: Path, *, side: int = 0) -> None:
    """Write encoder and compressor at one width as an ONNX file for one picture of fixed size.

    The graph is the one that ONNX Runtime is fastest with; see `onnx_graph`.

    Args:
        detector: Whose weights are written.
        width: One of its list.
        path: The file.
        side: Of the square picture; the network's own if left out.
    """
    side = side or detector.config.side
    module = cut_out(detector, width)
    example = next(detector.encoder.parameters()).new_zeros(1, 3, side, side)
    temporary = path.with_name(path.name + ".part")
    try:
        import onnx

        with warnings.catch_warnings():
            # What torch and onnxscript say to each other about what either deprecates.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (example,), temporary, input_names=["picture"],
                output_names=["bottleneck"], dynamo=True, external_data=False, verbose=False,
                optimize=True,
            )  # fmt: skip
        onnx.save(keep_blocks(onnx.load(str(temporary))), str(temporary))
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(f"exporting to ONNX needs {error.name}: install it") from error
    temporary.replace(path)


class OnnxEncoder:
    """Encoder and compressor at every width in ONNX Runtime, the fast engine on a CPU.

    Args:
        detector: Whose weights are exported.
        folder: Where the files are put, one per width, named after it and its weights; one that
            is there is used again.
        threads: Of one run.
        side: Of the square picture; the network's own if left out.
    """

    def __init__(
        self, detector: SplitDetector, folder: Path, *, threads: int = 1, side: int = 0
    ) -> None:
        import onnxruntime

        self.widths = detector.widths
        folder.mkdir(parents=True, exist_ok=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.sessions: list[Any] = []
        for width in detector.widths.values:
            checksum = _GRAPH_VERSION
            for tensor in cut_out(detector, width).state_dict().values():
                checksum = zlib.crc32(tensor.numpy().tobytes(), checksum)
            path = folder / f"{width:g}-{side or detector.config.side}-{checksum:08x}.onnx"
            if not path.exists():
                export_onnx(detector, width, path, side=side)
            self.sessions.append(
                onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            )

    def bottleneck(self, x: Tensor, width: float) -> Tensor:
        """Return the bottleneck (1, n, h, w) of a picture (1, 3, H, W) at a width."""
        session = self.sessions[self.widths.find(width)]
        picture = np.ascontiguousarray(x.numpy())
        return torch.from_numpy(session.run(None, {"picture": picture})[0])
