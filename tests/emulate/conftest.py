"""What tests over a kernel network need of a machine."""

from __future__ import annotations

import pytest

from testbed.emulate import backends
from testbed.errors import EnvironmentLacks


@pytest.fixture(autouse=True)
def _network_or_skip(request):
    """Skip tests marked `root` where no network can be emulated, and say why."""
    if request.node.get_closest_marker("root") is not None:
        try:
            backends.choose("auto")
        except EnvironmentLacks as error:
            pytest.skip(str(error))
