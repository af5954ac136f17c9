"""The engine's end of a conversation with one of its processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from select import select
from typing import Any

from testbed.emulate.messages import Ended, Messages
from testbed.errors import EnvironmentLacks

_STEP_S = 0.25


class Child:
    """A process that gets a plan and says when it is ready and what came of it.

    Args:
        name: What people call it.
        control: From and to it.
    """

    def __init__(self, name: str, control: Messages) -> None:
        self.name = name
        self._control = control

    def tell(self, **message: Any) -> None:
        """Send it a message. Raise `EnvironmentLacks` if it is gone."""
        try:
            self._control.send(message)
        except Ended:
            raise self._gone() from None

    def hear(
        self, op: str, timeout_s: float, meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Wait for a message and return it.

        Args:
            op: What it must be.
            timeout_s: How long to wait.
            meanwhile: Called a few times a second.

        Raises:
            EnvironmentLacks: The process failed, ended, or says nothing.
        """
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            if not select([self._control], [], [], min(left_s, _STEP_S))[0]:
                meanwhile()
                continue
            try:
                message, _ = self._control.receive()
            except Ended:
                raise self._gone() from None
            if message["op"] == op:
                return message
            raise EnvironmentLacks(f"{self.name}: {message.get('reason', message['op'])}")
        raise EnvironmentLacks(f"{self.name}: said nothing for {timeout_s:.0f} s")

    def close(self) -> None:
        """Let it end."""
        self._control.close()

    def _gone(self) -> EnvironmentLacks:
        return EnvironmentLacks(f"{self.name}: its process ended before its time")
