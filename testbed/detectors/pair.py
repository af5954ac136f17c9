"""Both ends of a split detector: `encode(image, point) -> bytes`, `decode(bytes) -> Detections`.

Two processes that have the same network with the same weights can each run one end.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from testbed.detectors.deploy import EagerEncoder, Engine
from testbed.detectors.detections import Detections, Fit
from testbed.detectors.payload import Bottleneck, Layout, read, write
from testbed.detectors.quantise import Floats, Scheme
from testbed.detectors.split import SplitDetector
from testbed.model import Mode, OperatingPoint


class SplitPair:
    """A split detector with real bytes between its halves.

    Args:
        detector: The network, with the weights that both ends share.
        engine: What runs the device's side; torch on this machine if left out.
        scheme: Of the quantiser.
        crop: Whether the padding of a letterboxed picture is left out; its mean per channel is
            sent instead, with two bytes a channel.
    """

    def __init__(
        self,
        detector: SplitDetector,
        *,
        engine: Engine | None = None,
        scheme: Scheme = Scheme.CHANNEL,
        crop: bool = True,
    ) -> None:
        if detector.config.kind == "teacher":
            raise ValueError(f"{detector.config.name} has no bottleneck to send")
        self.detector, self.scheme, self.crop = detector.eval(), scheme, crop
        self._engine = engine
        self.layout = Layout(detector.config, fingerprint(detector))

    @property
    def engine(self) -> Engine:
        """What runs the device's side, made when it is first used."""
        if self._engine is None:
            self._engine = EagerEncoder(self.detector)
        return self._engine

    def encode(self, image: NDArray[np.uint8], point: OperatingPoint) -> bytes:
        """Return what the device sends for a picture (H, W, 3) in RGB at an operating point.

        Raise a `ValueError` for a mode that is not `split`, a width that the network lacks, bits
        that are not 1 to 8 or 16, and a `UnknownName` for a codec there is not.
        """
        if point.mode is not Mode.SPLIT:
            raise ValueError(f"a split detector encodes frames of mode split, not {point.mode}")
        x, fit = self.detector.prepare(image)
        values = self.engine.bottleneck(x[None], point.width)[0].float().cpu().numpy()
        return self.pack(values, fit, point)

    def pack(self, values: Floats, fit: Fit, point: OperatingPoint) -> bytes:
        """Return a bottleneck (n, h, w) as bytes."""
        fill = None
        h, w = self.detector.config.grid(*fit.resized)
        if self.crop and (h, w) != values.shape[1:]:
            fill = _mean_of_padding(values, h, w)
            values = values[:, :h, :w]
        index = self.detector.widths.find(point.width)
        sent = Bottleneck(np.ascontiguousarray(values), fill, index, fit)
        return write(sent, self.layout, bits=point.bits, codec=point.codec, scheme=self.scheme)

    def unpack(self, payload: bytes) -> tuple[Tensor, float, Fit]:
        """Return the bottleneck (1, n, h, w) with its padding, its width, and how it lay.

        Raise a `PayloadError` for bytes that are none of this network's.
        """
        sent = read(payload, self.layout)
        values = torch.from_numpy(np.ascontiguousarray(sent.values))
        if sent.fill is not None:
            h, w = self.detector.config.grid(*sent.fit.canvas)
            whole = torch.from_numpy(sent.fill.copy()).view(-1, 1, 1).repeat(1, h, w)
            whole[:, : values.shape[1], : values.shape[2]] = values
            values = whole
        width = self.detector.widths.values[sent.width_index]
        return values[None], width, sent.fit

    @torch.inference_mode()
    def decode(self, payload: bytes) -> Detections:
        """Return what is in the picture. Raise a `PayloadError` for bytes of no sense."""
        values, width, fit = self.unpack(payload)
        device = next(self.detector.parameters()).device
        with self.detector.widths.at(width):
            return self.detector.detect(values.to(device), [fit])[0]


def _mean_of_padding(values: Floats, h: int, w: int) -> Floats:
    """Return the mean of each channel outside the leading h rows and w columns."""
    total = values.sum(axis=(1, 2), dtype=np.float64)
    inside = values[:, :h, :w].sum(axis=(1, 2), dtype=np.float64)
    cells = values.shape[1] * values.shape[2] - h * w
    mean: Floats = ((total - inside) / cells).astype(np.float32)
    return mean


def fingerprint(detector: SplitDetector) -> int:
    """Return a checksum of the shape of the network and of the weights at its bottleneck."""
    value = zlib.crc32(repr(detector.config).encode())
    for part in (detector.compressor, detector.decompressor):
        for name, tensor in part.state_dict().items():
            value = zlib.crc32(name.encode(), value)
            value = zlib.crc32(tensor.cpu().contiguous().numpy().tobytes(), value)
    return value
