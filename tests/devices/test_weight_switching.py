import pytest

from testbed import catalog
from testbed.devices.figures import Figure
from testbed.devices.profile import load_device
from testbed.devices.sheets import WeightsSheet
from testbed.devices.weights import Cost, Residency, streaming_ns, switch_cost

MB = 1_000_000


def weights(**figures) -> WeightsSheet:
    return WeightsSheet(
        **{key: Figure(float(value), "assumed", "this test") for key, value in figures.items()}
    )


def catalogue(name):
    return load_device(catalog.find("devices/devices", name))


def test_a_slimmable_network_switches_for_nothing_anywhere():
    assert switch_cost(10 * MB, Residency.SLIMMABLE, None) == Cost(0, 0.0)


def test_ten_megabytes_from_dram():
    """0.4 ms at 25.6 GB/s; 1.6 mJ at the 20 pJ/bit (640 pJ per 32-bit word) of 45 nm."""
    cost = switch_cost(10 * MB, Residency.DRAM, weights(dram_mb_per_s=25_600, dram_pj_per_bit=20))

    assert cost.ns == pytest.approx(0.39e6, rel=0.01)
    assert cost.joules == pytest.approx(1.6e-3, rel=1e-12)


def test_the_energy_is_per_bit_and_not_per_word_or_megabyte():
    """
    One open simulator multiplies 640 pJ by megabytes, seven orders of magnitude too little.
    """
    words = 10 * MB / 4
    cost = switch_cost(10 * MB, Residency.DRAM, weights(dram_mb_per_s=1, dram_pj_per_bit=20))

    assert cost.joules == pytest.approx(words * 640e-12, rel=1e-12)


def test_storage_costs_time_and_the_same_energy_twice():
    sheet = weights(dram_mb_per_s=25_600, dram_pj_per_bit=6, storage_mb_per_s=160, open_s=0.01)
    dram, storage = (
        switch_cost(10 * MB, where, sheet) for where in (Residency.DRAM, Residency.STORAGE)
    )

    assert storage.ns - dram.ns == 62_500_000 + 10_000_000
    assert storage.joules == 2 * dram.joules


def test_setting_up_the_runtime_again_outweighs_the_rest():
    nano = catalogue("jetson-nano").sheet.weights
    swap = switch_cost(10 * MB, Residency.STORAGE, nano)
    fresh = switch_cost(10 * MB, Residency.STORAGE, nano, restart=True)

    assert fresh.ns - swap.ns == 9_978_000_000
    assert fresh.ns > 50 * swap.ns


@pytest.mark.parametrize(
    ("weight_mb", "gmac", "published_s"),
    [(138.36, 15.5, 0.296), (60.2, 11.6, 0.128), (42.7, 12.3, 0.085)],
)
def test_what_does_not_fit_an_edge_tpu_is_streamed_with_every_inference(
    weight_mb, gmac, published_s
):
    """
    VGG-16, ResNet-152 and Inception v4 on a Coral: 8 MB resident, the rest at one rate.
    """
    coral = catalogue("coral-usb").sheet.weights
    seconds = streaming_ns(round(weight_mb * MB), coral) / 1e9 + gmac / 2000

    assert seconds == pytest.approx(published_s, rel=0.04)


def test_what_fits_is_not_streamed():
    coral = catalogue("coral-usb").sheet.weights

    assert streaming_ns(8 * MB, coral) == 0
    assert switch_cost(4 * MB, Residency.SRAM, coral).ns == 0


def test_reloading_is_a_small_part_of_an_inference_on_a_pi():
    """Below 1 % of the 0.89 J that ResNet-50 takes above idle."""
    cost = switch_cost(25 * MB, Residency.DRAM, catalogue("raspberry-pi-4").sheet.weights)

    assert cost.joules < 0.01 * 0.89


def test_a_figure_the_device_lacks_is_named():
    with pytest.raises(ValueError, match="lack 'storage_mb_per_s'"):
        switch_cost(MB, Residency.STORAGE, weights(dram_mb_per_s=1, dram_pj_per_bit=1))
    with pytest.raises(ValueError, match="'dram' needs its key 'weights'"):
        switch_cost(MB, Residency.DRAM, None)
