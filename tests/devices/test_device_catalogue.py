import pytest

from testbed import catalog
from testbed.devices.figures import KINDS
from testbed.devices.predict import predictions
from testbed.devices.profile import load_device, load_radio, load_server

LOADERS = {
    "devices/devices": load_device,
    "devices/radios": load_radio,
    "devices/servers": load_server,
}
ENTRIES = [(shelf, name) for shelf in LOADERS for name, _ in catalog.entries(shelf)]
DEVICES = {name: load_device(path) for name, path in catalog.entries("devices/devices")}


@pytest.mark.parametrize(("shelf", "name"), ENTRIES)
def test_every_figure_of_the_catalogue_says_where_it_comes_from(shelf, name):
    profile = LOADERS[shelf](catalog.find(shelf, name))

    assert profile.name == name
    assert profile.figures()
    for key, figure in profile.figures():
        assert figure.kind in KINDS, key
        assert len(figure.source) > 8, key
        unsure = any(
            word in figure.source for word in ("not verified", "not measured", "not found")
        )
        assert not unsure or figure.kind == "assumed", (
            f"{key} is not published if it is not verified"
        )


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_draws_more_the_more_it_does(name):
    device = DEVICES[name]
    for mode in device.modes or ("",):
        moded = device.in_mode(mode) if mode else device
        assert 0 <= moded.idle_w <= moded.idle_w + moded.waiting_w < moded.active_w < 100
        low, high = moded.spread
        assert low <= moded.rate <= high


@pytest.mark.parametrize(
    ("name", "mac", "low_ms", "high_ms"),
    [
        ("raspberry-pi-4", 0.2e9, 12, 30),
        ("raspberry-pi-4", 2.6e9, 160, 380),
        ("raspberry-pi-5", 2.6e9, 20, 155),
        ("jetson-nano", 2.6e9, 50, 80),
        ("jetson-tx2", 2.6e9, 6, 8),
    ],
)
def test_encoders_take_what_the_fact_sheet_expects(name, mac, low_ms, high_ms):
    fast_ns, slow_ns = DEVICES[name].encode_range_ns(round(mac))

    assert low_ms <= fast_ns / 1e6 <= DEVICES[name].encode_ns(round(mac)) / 1e6
    assert slow_ns / 1e6 <= high_ms


@pytest.mark.parametrize(
    ("name", "worst"),
    [
        ("jetson-nano", 0.21),
        ("raspberry-pi-5", 0.82),
        ("jetson-xavier-nx", 2.02),
        ("agx-xavier", 3.12),
    ],
)
def test_the_error_of_one_rate_per_device_is_what_the_manual_says(name, worst):
    """
    One effective rate predicts other networks badly where they fill the hardware differently.
    """
    errors = [abs(known.error) for known in predictions(DEVICES[name])]

    assert min(errors) < 0.005, "the network the rate comes from"
    assert worst - 0.02 < max(errors) < worst


def test_predictions_of_a_server_know_its_floor():
    server = load_server(catalog.find("devices/servers", "t4-trt-int8"))

    assert [(p.network, round(p.error, 2)) for p in predictions(server)] == [
        ("ssd-mobilenet-v1-300", 0.0),
        ("resnet50", -0.43),
        ("ssd-resnet34-1200", 0.02),
    ]
