"""What stands at the two ends of the bottleneck.

Each function returns compressor and decompressor, at full width and with fresh weights. Shapes
and kernels are those of the code released with arXiv 2105.00591.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from testbed.detectors._libraries import SqueezeExcite


class MBConv(nn.Module):
    """One MBConv block: 5x5, expansion 6, squeeze-excitation a quarter of the input, no residual.

    It is the last block of the encoder without its residual, which the released code never adds,
    not even where the channels would allow it. The output is linear, so its values are signed.
    The names of its layers are those of timm's block, which itself rounds hidden channels to a
    multiple of eight and so cannot be used for every C.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        hidden, squeezed = 6 * channels_in, max(1, int(channels_in * 0.25))
        norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        self.conv_pw = nn.Conv2d(channels_in, hidden, 1, bias=False)
        self.bn1 = norm(hidden)
        self.conv_dw = nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden, bias=False)
        self.bn2 = norm(hidden)
        self.se = SqueezeExcite(hidden, rd_channels=squeezed, act_layer=nn.SiLU)
        self.conv_pwl = nn.Conv2d(hidden, channels_out, 1, bias=False)
        self.bn3 = norm(channels_out)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, `channels_out`, H, W) of (N, `channels_in`, H, W)."""
        x = self.act(self.bn1(self.conv_pw(x)))
        x = self.act(self.bn2(self.conv_dw(x)))
        return self.bn3(self.conv_pwl(self.se(x)))  # type: ignore[no-any-return]


def mbconv_pair(features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """Return the last layer of the encoder and its mirror ("EfficientDet LL" of the paper)."""
    return MBConv(features, channels), MBConv(channels, features)


def sru_cru_pair(features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """Return the two units after BottleNet, without its JPEG and without any spatial reduction.

    The decompressor's first convolution pads a 1x1 kernel, so that the 3x3 one needs no padding.
    """
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    compressor = nn.Sequential(
        nn.Conv2d(features, features, 3, padding=1),
        norm(features),
        nn.ReLU(),
        nn.Conv2d(features, channels, 1),
        norm(channels),
        nn.ReLU(),
    )
    decompressor = nn.Sequential(
        nn.Conv2d(channels, features, 1, padding=1),
        norm(features),
        nn.ReLU(),
        nn.Conv2d(features, features, 3),
        norm(features),
    )
    return compressor, decompressor


class ChannelDrop(nn.Module):
    """Sends some of the channels as they are, and computes nothing.

    Args:
        features: Channels that come in.
        channels: Channels to keep; the leading ones, until `keep_largest` chooses others.
    """

    kept: Tensor  # (channels,)

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        if channels > features:
            raise ValueError(f"cannot keep {channels} of {features} channels")
        self.register_buffer("kept", torch.arange(channels))

    def keep_largest(self, magnitudes: Tensor) -> None:
        """Keep the channels of the largest magnitudes (C,), the first of equal ones."""
        order = torch.sort(magnitudes, descending=True, stable=True).indices
        self.kept.copy_(order[: len(self.kept)].sort().values)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, kept, H, W) of (N, C, H, W)."""
        return x[:, self.kept]


def drop_pair(features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """Return a compressor that drops channels, and the MBConv decompressor."""
    return ChannelDrop(features, channels), MBConv(channels, features)


def stack_pair(
    channels: int, features_in: int = 64, features_out: int = 256, *, activated: bool = True
) -> tuple[nn.Module, nn.Module]:
    """Return the 2x2 convolutions that replace the first stage of a ResNet-50.

    After Matsubara and Levorato (GHND, ICPR 2020). Each convolution of the compressor adds a pixel
    to either side and each of the decompressor takes one away. What crosses the link is the output
    of a convolution; its normalisation and activation come on the server's side.

    Args:
        channels: C.
        features_in: Channels that the compressor gets.
        features_out: Channels that the decompressor gives.
        activated: Whether its output ends in an activation, as a stage of a ResNet does and one of
            an EfficientNet does not.
    """
    conv = partial(nn.Conv2d, kernel_size=2, bias=False)
    compressor = nn.Sequential(
        conv(features_in, 64, padding=1),
        nn.BatchNorm2d(64),
        conv(64, 256, padding=1),
        nn.BatchNorm2d(256),
        nn.ReLU(),
        conv(256, 64, padding=1),
        nn.BatchNorm2d(64),
        conv(64, channels, padding=1),
    )
    decompressor = nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        conv(channels, 64),
        nn.BatchNorm2d(64),
        conv(64, 128),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        conv(128, 256),
        nn.BatchNorm2d(256),
        conv(256, features_out),
        nn.BatchNorm2d(features_out),
    )
    if activated:
        decompressor.append(nn.ReLU())
    for layer in (*compressor, *decompressor):
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return compressor, decompressor


def pair_of(compressor: str, features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """Return both ends of an EfficientDet's bottleneck, by the name of its compressor."""
    if compressor == "stack":
        return stack_pair(channels, features, features, activated=False)
    pairs = {"mbconv": mbconv_pair, "sru-cru": sru_cru_pair}
    return pairs.get(compressor, drop_pair)(features, channels)
