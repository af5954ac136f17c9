from collections.abc import Callable

import pytest

from testbed import catalog
from testbed.devices.profile import load_radio
from testbed.devices.radio import Radio


@pytest.fixture
def radio() -> Callable[[str], Radio]:
    """Makes a fresh radio of the catalogue by name."""
    return lambda name: Radio(load_radio(catalog.find("devices/radios", name)))
