"""A narrow network is the leading channels of the wide one, switched by one number."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")

from torch import nn  # noqa: E402

from testbed.detectors.slimmable import (  # noqa: E402
    SameConv2d,
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    Widths,
    make_slimmable,
    pad_same,
    slice_to,
    slim_layers,
)

L10 = (0.25, 0.33, 0.416, 0.5, 0.58, 0.66, 0.75, 0.83, 0.916, 1.0)


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


class Squeeze(nn.Module):
    def __init__(self, channels, reduced):
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x):
        gate = self.expand(torch.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


def block(cin=8, hidden=48, cout=12):
    return nn.Sequential(
        nn.Conv2d(cin, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden, eps=1e-3),
        nn.SiLU(),
        SameConv2d(hidden, hidden, 5, stride=2, groups=hidden, bias=False),
        nn.BatchNorm2d(hidden, eps=1e-3),
        nn.SiLU(),
        Squeeze(hidden, 4),
        nn.Conv2d(hidden, cout, 1, bias=False),
        nn.BatchNorm2d(cout, eps=1e-3),
    )


def randomised(module):
    generator = torch.Generator().manual_seed(2)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            with torch.no_grad():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


def test_channels_are_rounded_half_to_even_for_each_layer_by_itself():
    widths = Widths(L10)

    assert widths.channels(48) == (12, 16, 20, 24, 28, 32, 36, 40, 44, 48)
    assert widths.channels(144) == (36, 48, 60, 72, 84, 95, 108, 120, 132, 144)
    assert widths.channels(288) == (72, 95, 120, 144, 167, 190, 216, 239, 264, 288)
    assert Widths((0.25, 0.75)).channels(6) == (2, 4)
    assert Widths((0.25, 0.75)).channels(10) == (2, 8)


@pytest.mark.parametrize("bad", [(), (0.0, 1.0), (0.5, 1.1)])
def test_widths_lie_above_zero_and_up_to_one(bad):
    with pytest.raises(ValueError, match="widths must be in"):
        Widths(bad)


def test_a_width_that_is_not_listed_is_refused_by_name():
    with pytest.raises(ValueError, match=r"no width 0\.4; it has 0\.25, 0\.5, 1"):
        Widths((0.25, 0.5, 1.0)).use(0.4)


def test_the_width_before_comes_back_after_a_block_even_if_it_fails():
    widths = Widths((0.5, 1.0))

    def fail():
        with widths.at(0.5):
            raise RuntimeError(widths.now)

    with pytest.raises(RuntimeError, match=r"0\.5"):
        fail()

    assert widths.now == 1.0


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_a_convolution_at_a_width_is_that_of_its_leading_channels(width):
    conv = seeded(lambda: nn.Conv2d(8, 12, 3, padding=1))
    slim = SlimmableConv2d(conv, widths := Widths((0.25, 0.5, 1.0)))
    widths.use(width)
    n, m = round(8 * width), round(12 * width)
    x = normal(2, n, 7, 7)

    expected = nn.functional.conv2d(x, conv.weight[:m, :n], conv.bias[:m], padding=1)
    assert torch.equal(slim(x), expected)


def test_a_depthwise_convolution_narrows_its_groups():
    conv = seeded(lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False))
    slim = SlimmableConv2d(conv, widths := Widths((0.5, 1.0)))
    x = normal(1, 8, 5, 5)
    full = slim(x)
    widths.use(0.5)

    assert torch.equal(slim(x[:, :4]), full[:, :4])


def test_one_end_alone_can_narrow():
    conv = seeded(lambda: nn.Conv2d(8, 12, 1))
    widths = Widths((0.5, 1.0))
    widths.use(0.5)

    assert SlimmableConv2d(conv, widths, slim_in=False)(normal(1, 8, 3, 3)).shape[1] == 6
    assert SlimmableConv2d(conv, widths, slim_out=False)(normal(1, 4, 3, 3)).shape[1] == 12


@pytest.mark.parametrize(
    ("conv", "options", "message"),
    [
        (lambda: nn.Conv2d(8, 8, 1, groups=2), {}, "plain and depthwise"),
        (lambda: nn.Conv2d(8, 8, 1, groups=8), {"slim_in": False}, "both ends or not at all"),
        (lambda: nn.Conv2d(8, 8, 3, padding="same"), {}, "fixed size"),
    ],
)
def test_a_convolution_that_cannot_be_slimmed_is_refused(conv, options, message):
    with pytest.raises(ValueError, match=message):
        SlimmableConv2d(conv(), Widths((0.5, 1.0)), **options)


def test_batch_norm_shares_scale_and_shift_and_keeps_statistics_apart():
    norm = randomised(nn.BatchNorm2d(4))
    slim = SlimmableBatchNorm2d(norm, widths := Widths((0.5, 1.0)))
    assert slim.running_mean.shape == (2, 4)
    assert torch.equal(slim.running_mean[0], norm.running_mean)  # starts from the leading slice

    slim.train()
    widths.use(0.5)
    before = slim.running_mean.clone()
    x = normal(3, 2, 5, 5)
    slim(x)

    assert torch.equal(slim.running_mean[1], before[1])
    torch.testing.assert_close(
        slim.running_mean[0, :2], 0.9 * before[0, :2] + 0.1 * x.mean((0, 2, 3))
    )
    assert torch.equal(slim.running_mean[0, 2:], before[0, 2:])
    assert slim.num_batches_tracked.tolist() == [1, 0]


def test_batch_norm_without_momentum_takes_the_mean_over_batches():
    slim = SlimmableBatchNorm2d(nn.BatchNorm2d(2), Widths((1.0,))).train()
    slim.reset_running_stats()
    slim.momentum = None
    batches = [normal(2, 2, 4, 4) + k for k in range(3)]
    for batch in batches:
        slim(batch)

    expected = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(slim.running_mean[0], expected)


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("kernel", [3, 5])
def test_same_padding_puts_the_odd_pixel_last(kernel, size):
    x = torch.ones(1, 1, size, size)
    padded = pad_same(x, (kernel, kernel), (2, 2))
    total = padded.shape[-1] - size

    assert total == (kernel - 2 if size % 2 == 0 else kernel - 1)
    assert padded[0, 0, total // 2, total // 2] == 1
    assert padded[0, 0, 0, : total // 2].sum() == 0
    assert (padded.shape[-1] - kernel) // 2 + 1 == -(-size // 2)


def test_a_converted_block_at_full_width_is_the_block():
    plain = randomised(seeded(block))
    slim = make_slimmable(copy.deepcopy(plain), Widths(L10))
    x = normal(2, 8, 16, 16)

    assert torch.equal(slim(x), plain(x))
    assert sum(p.numel() for p in slim.parameters()) == sum(p.numel() for p in plain.parameters())


@pytest.mark.parametrize("width", L10)
def test_a_sliced_block_holds_only_the_weights_in_use_and_computes_the_same(width):
    widths = Widths(L10)
    slim = make_slimmable(randomised(seeded(block)), widths)
    small = slice_to(slim, width)
    widths.use(width)
    x = normal(2, round(8 * width), 16, 16)

    torch.testing.assert_close(small(x), slim(x), rtol=1e-6, atol=1e-6)
    assert not list(slim_layers(small))
    n, m, se = round(48 * width), round(12 * width), round(4 * width)
    cin = round(8 * width)
    assert sum(p.numel() for p in small.parameters()) == (
        cin * n + 2 * n + 25 * n + 2 * n + n * se + se + se * n + n + n * m + 2 * m
    )


def test_the_sliced_copy_owns_its_weights():
    slim = make_slimmable(randomised(seeded(block)), Widths((0.5, 1.0)))
    small = slice_to(slim, 0.5)
    before = small[0].weight.clone()
    with torch.no_grad():
        slim[0].weight.zero_()

    assert torch.equal(small[0].weight, before)


def test_switching_touches_no_weight():
    widths = Widths((0.5, 1.0))
    slim = make_slimmable(randomised(seeded(block)), widths)
    before = [(p.data_ptr(), p._version) for p in slim.parameters()]
    widths.use(0.5)
    slim(normal(1, 4, 8, 8))
    widths.use(1.0)

    assert [(p.data_ptr(), p._version) for p in slim.parameters()] == before


def test_what_is_kept_keeps_its_width():
    widths = Widths((0.5, 1.0))
    slim = make_slimmable(randomised(seeded(block)), widths, keep_in=["0"], keep_out=["7", "8"])
    widths.use(0.5)

    assert slim(normal(1, 8, 8, 8)).shape == (1, 12, 4, 4)
    assert isinstance(slim[8], nn.BatchNorm2d)
    assert slim[3].active_groups == 24


def test_a_layer_keeps_at_least_one_channel():
    assert Widths((0.167, 1.0)).channels(2) == (1, 2)


def test_a_name_that_is_no_layer_is_refused():
    with pytest.raises(ValueError, match=r"no convolution or batch normalisation \['conv'\]"):
        make_slimmable(seeded(block), Widths((0.5, 1.0)), keep_in=["conv"])


def test_a_copy_of_a_network_switches_by_itself():
    widths = Widths((0.5, 1.0))
    slim = make_slimmable(randomised(seeded(block)), widths)
    copied = copy.deepcopy(slim)
    copied[0].widths.use(0.5)

    assert widths.now == 1.0
    assert copied(normal(1, 4, 8, 8)).shape[1] == 6


def test_weights_of_every_width_travel_in_one_state():
    widths = Widths((0.5, 1.0))
    trained = make_slimmable(randomised(seeded(block)), widths).train()
    for width in widths.values:
        with widths.at(width):
            trained(normal(2, round(8 * width), 8, 8))
    fresh_widths = Widths((0.5, 1.0))
    fresh = make_slimmable(seeded(block), fresh_widths)
    fresh.load_state_dict(trained.state_dict())
    trained.eval(), fresh.eval()

    for width in widths.values:
        x = normal(1, round(8 * width), 8, 8)
        with widths.at(width), fresh_widths.at(width):
            assert torch.equal(fresh(x), trained(x))
