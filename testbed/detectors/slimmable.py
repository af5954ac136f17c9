"""Layers that run at any of a list of widths with one set of weights.

A narrow network is the leading channels of the wide one (Yu et al., Slimmable Neural Networks,
ICLR 2019); only the statistics of batch normalisation are kept per width (Yu and Huang,
Universally Slimmable Networks, ICCV 2019). The layers of a network share one `Widths`, so that
changing the width of all of them is one assignment.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Widths:
    """The widths a network can run at, and the one it runs at now, the largest at first.

    Args:
        values: In (0, 1], at least one; kept in rising order.
    """

    def __init__(self, values: Iterable[float] = (1.0,)) -> None:
        self.values = tuple(sorted(set(values)))
        if not self.values or not 0 < self.values[0] <= self.values[-1] <= 1:
            raise ValueError(f"widths must be in (0, 1], and at least one, not {list(self.values)}")
        self.index = len(self.values) - 1

    @property
    def now(self) -> float:
        """The width in use."""
        return self.values[self.index]

    def use(self, width: float) -> None:
        """Switch every layer that shares this object. Raise a `ValueError` if it is not listed."""
        self.index = self.find(width)

    def find(self, width: float) -> int:
        """Return the place of `width` in `values`. Raise a `ValueError` if it is not listed."""
        for index, value in enumerate(self.values):
            if abs(value - width) <= 1e-9:
                return index
        known = ", ".join(f"{value:g}" for value in self.values)
        raise ValueError(f"the network has no width {width:g}; it has {known}")

    @contextmanager
    def at(self, width: float) -> Iterator[None]:
        """Use `width` within the block, and the former one after it."""
        before = self.index
        self.use(width)
        try:
            yield
        finally:
            self.index = before

    def channels(self, full: int) -> tuple[int, ...]:
        """Return how many of `full` channels each width keeps: round(full·α), halves to even.

        At least one, which matters only to the squeezed channels of very narrow networks.
        """
        return tuple(max(1, round(full * value)) for value in self.values)


def pad_same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Pad height and width as TensorFlow's SAME does, the odd pixel at the right and the bottom."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, for a stride above one."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the convolution of (N, C, H, W)."""
        return super().forward(pad_same(input, self.kernel_size, self.stride))


class SlimmableConv2d(nn.Conv2d):
    """A convolution that runs on the leading share of its channels.

    Args:
        source: The convolution whose weights it takes over, grouped not at all or fully.
        widths: Shared by the layers of a network.
        slim_in: Whether the input narrows.
        slim_out: Whether the output narrows.
    """

    def __init__(
        self, source: nn.Conv2d, widths: Widths, *, slim_in: bool = True, slim_out: bool = True
    ) -> None:
        depthwise = source.groups == source.in_channels == source.out_channels > 1
        if source.groups != 1 and not depthwise:
            raise ValueError(f"only plain and depthwise convolutions can be slimmed, not {source}")
        if depthwise and slim_in != slim_out:
            raise ValueError("a depthwise convolution narrows at both ends or not at all")
        if source.padding_mode != "zeros" or isinstance(source.padding, str):
            raise ValueError(f"only zero padding of a fixed size can be slimmed, not {source}")
        super().__init__(
            source.in_channels,
            source.out_channels,
            source.kernel_size,  # type: ignore[arg-type]
            source.stride,  # type: ignore[arg-type]
            source.padding,  # type: ignore[arg-type]
            source.dilation,  # type: ignore[arg-type]
            source.groups,
            source.bias is not None,
            device="meta",
        )
        self.weight, self.bias = source.weight, source.bias
        self.widths, self.depthwise = widths, depthwise
        self.slim_in, self.slim_out = slim_in, slim_out
        # By class name as well, so that this module does not need timm, whose class it is.
        self.same = isinstance(source, SameConv2d) or type(source).__name__ == "Conv2dSame"
        all_in = (self.in_channels,) * len(widths.values)
        all_out = (self.out_channels,) * len(widths.values)
        self.ins = widths.channels(self.in_channels) if slim_in else all_in
        self.outs = widths.channels(self.out_channels) if slim_out else all_out

    @property
    def active_in(self) -> int:
        """Input channels at the width in use."""
        return self.ins[self.widths.index]

    @property
    def active_out(self) -> int:
        """Output channels at the width in use."""
        return self.outs[self.widths.index]

    @property
    def active_groups(self) -> int:
        """Groups at the width in use."""
        return self.active_out if self.depthwise else 1

    def sliced(self) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias at the width in use, as views of the full ones."""
        weight = self.weight[: self.active_out]
        if not self.depthwise:
            weight = weight[:, : self.active_in]
        return weight, None if self.bias is None else self.bias[: self.active_out]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return (N, `active_out`, H', W') of (N, `active_in`, H, W)."""
        x = pad_same(input, self.kernel_size, self.stride) if self.same else input
        weight, bias = self.sliced()
        return F.conv2d(
            x, weight, bias, self.stride, self.padding, self.dilation, self.active_groups
        )

    def plain(self) -> nn.Conv2d:
        """Return an ordinary convolution that holds a copy of the weights in use."""
        weight, bias = self.sliced()
        conv = (SameConv2d if self.same else nn.Conv2d)(
            self.active_in,
            self.active_out,
            self.kernel_size,  # type: ignore[arg-type]
            self.stride,  # type: ignore[arg-type]
            self.padding,  # type: ignore[arg-type]
            self.dilation,  # type: ignore[arg-type]
            self.active_groups,
            bias is not None,
            device="meta",
        )
        conv.weight = nn.Parameter(weight.detach().clone())
        if bias is not None:
            conv.bias = nn.Parameter(bias.detach().clone())
        return conv


class SlimmableBatchNorm2d(nn.Module):
    """Batch normalisation with one scale and shift for all widths, and statistics for each.

    Args:
        source: The layer whose values it takes over; every width starts from its statistics. An
            activation that it holds as `act`, as timm's do, is kept.
        widths: Shared by the layers of a network.
        slim: Whether a width uses its share of the channels only, or all with own statistics.
    """

    running_mean: Tensor  # (widths, channels); a row uses its leading share
    running_var: Tensor
    num_batches_tracked: Tensor  # (widths,)

    def __init__(self, source: nn.BatchNorm2d, widths: Widths, *, slim: bool = True) -> None:
        super().__init__()
        if source.running_mean is None or source.running_var is None or not source.affine:
            raise ValueError(f"needs scale, shift and running statistics, which {source} lacks")
        self.widths, self.num_features = widths, source.num_features
        self.eps, self.momentum = source.eps, source.momentum
        full = source.num_features
        self.counts = widths.channels(full) if slim else (full,) * len(widths.values)
        self.weight, self.bias = source.weight, source.bias
        rows = len(widths.values)
        self.register_buffer("running_mean", source.running_mean.repeat(rows, 1))
        self.register_buffer("running_var", source.running_var.repeat(rows, 1))
        self.register_buffer("num_batches_tracked", torch.zeros(rows, dtype=torch.long))
        self.act = getattr(source, "act", None) or nn.Identity()
        self.training = source.training

    @property
    def active(self) -> int:
        """Channels at the width in use."""
        return self.counts[self.widths.index]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, `active`, H, W), and apply the activation if there is one."""
        row, n = self.widths.index, self.active
        momentum = self.momentum
        if self.training:
            self.num_batches_tracked[row] += 1
            if momentum is None:  # a cumulative mean, as for statistics taken after training
                momentum = 1.0 / float(self.num_batches_tracked[row])
        x = F.batch_norm(
            x,
            self.running_mean[row, :n],
            self.running_var[row, :n],
            self.weight[:n],
            self.bias[:n],
            self.training,
            momentum or 0.0,
            self.eps,
        )
        return self.act(x)  # type: ignore[no-any-return]

    def reset_running_stats(self) -> None:
        """Forget the statistics of all widths."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def plain(self) -> nn.Module:
        """Return an ordinary layer that holds a copy of the values in use."""
        row, n = self.widths.index, self.active
        norm = nn.BatchNorm2d(n, self.eps, self.momentum, device="meta")
        norm.weight = nn.Parameter(self.weight[:n].detach().clone())
        norm.bias = nn.Parameter(self.bias[:n].detach().clone())
        norm.running_mean = self.running_mean[row, :n].clone()
        norm.running_var = self.running_var[row, :n].clone()
        norm.num_batches_tracked = self.num_batches_tracked[row].clone()
        norm.train(self.training)
        act = copy.deepcopy(self.act)
        return norm if isinstance(act, nn.Identity) else nn.Sequential(norm, act)


def make_slimmable(
    module: nn.Module,
    widths: Widths,
    *,
    keep_in: Collection[str] = (),
    keep_out: Collection[str] = (),
) -> nn.Module:
    """Replace convolutions and batch normalisations in place by slimmable ones of the same weights.

    Squeeze-excitation follows from its two convolutions. Return the module, or its replacement if
    it is a convolution or a batch normalisation itself.

    Args:
        module: A block, or a whole network, of a library.
        widths: The widths it shall have; shared with whatever else is to switch with it.
        keep_in: Names, as `named_modules` gives them, of convolutions that keep all their input.
        keep_out: Of convolutions that keep all their output, and of batch normalisations to leave
            as they are.

    Raise a `ValueError` for a name that is neither, or a convolution that cannot be slimmed.
    """
    named = dict(module.named_modules())
    layers = {n: m for n, m in named.items() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)}
    if unknown := sorted({*keep_in, *keep_out} - set(layers)):
        raise ValueError(f"no convolution or batch normalisation {unknown}; there are {[*layers]}")
    for name, layer in layers.items():
        new: nn.Module
        if isinstance(layer, nn.Conv2d):
            slim_in, slim_out = name not in keep_in, name not in keep_out
            if not slim_in and not slim_out:
                continue
            new = SlimmableConv2d(layer, widths, slim_in=slim_in, slim_out=slim_out)
        elif name in keep_out:
            continue
        else:
            new = SlimmableBatchNorm2d(layer, widths)
        if not name:
            return new
        parent, _, attribute = name.rpartition(".")
        setattr(named[parent], attribute, new)
    return module


def slice_to(module: nn.Module, width: float) -> nn.Module:
    """Return a copy made of ordinary layers that hold only the weights of one width.

    It computes the same, and can be exported. Raise a `ValueError` if the width is not listed.
    """
    copied = copy.deepcopy(module)
    slim = {
        name: layer
        for name, layer in copied.named_modules()
        if isinstance(layer, SlimmableConv2d | SlimmableBatchNorm2d)
    }
    for name, layer in slim.items():
        with layer.widths.at(width):
            plain = layer.plain()
        if not name:
            return plain
        parent, _, attribute = name.rpartition(".")
        setattr(copied.get_submodule(parent), attribute, plain)
    return copied


def slim_layers(module: nn.Module) -> Iterator[Any]:
    """Yield every slimmable layer of a network."""
    for layer in module.modules():
        if isinstance(layer, SlimmableConv2d | SlimmableBatchNorm2d):
            yield layer
