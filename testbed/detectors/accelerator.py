"""The device of torch that somebody names."""

from __future__ import annotations

import torch

from testbed.errors import EnvironmentLacks, TestbedError


def device_of(name: str) -> torch.device:
    """Return a device of torch by its name, such as `cpu` or `cuda:1`.

    Raise a `TestbedError` for a name that torch has not, `EnvironmentLacks` for a device that this
    machine has not.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "meta":
        raise TestbedError(f"no device '{name}'; torch has cpu, cuda, cuda:1 …")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EnvironmentLacks(
            f"this machine has no device '{name}': {str(error).splitlines()[0]}"
        ) from error
    return device
