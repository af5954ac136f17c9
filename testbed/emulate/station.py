"""The process of the server of an emulated run: what `testbed serve` runs, for one scenario."""

from __future__ import annotations

import socket
import sys
from typing import Any

from testbed.emulate.messages import Ended, Messages
from testbed.errors import TestbedError


def main() -> None:
    """Serve for the engine that started this process, until it is gone."""
    control = Messages(socket.socket(fileno=int(sys.argv[1])))
    try:
        plan, _ = control.receive()
        try:
            serve(plan, control)
        except (TestbedError, OSError) as error:
            control.send({"op": "failed", "reason": str(error)})
    except Ended:
        sys.exit(1)  # nobody is left to tell


def serve(plan: dict[str, Any], control: Messages) -> None:
    """Listen, say so, and serve.

    Args:
        plan: `scenario` (a file), `network` (what decodes; None for a stand-in) and `port`.
        control: From and to the engine.
    """
    from testbed.emulate.decoding import Decoder, of_scenario
    from testbed.emulate.decoding_live import Live, Network
    from testbed.emulate.serving import Rules, Server
    from testbed.links import transports
    from testbed.links.datagram import Datagram
    from testbed.parts import make
    from testbed.scenario import load

    scenario = load(plan["scenario"])
    decoder: Decoder
    if plan["network"] is None:
        decoder = of_scenario(scenario)
    else:
        names = [client.detector.name for client in scenario.clients]
        workers = scenario.spec.server.workers
        decoder = Live(Network(**plan["network"]), names, workers=workers)
    listener = socket.create_server(("0.0.0.0", plan["port"]))  # noqa: S104 - a network of its own
    datagrams = None
    if isinstance(make(transports, scenario.spec.network.transport), Datagram):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("0.0.0.0", plan["port"]))  # noqa: S104
    server = Server(listener, decoder, Rules.of(scenario.spec.server), datagrams=datagrams)
    control.send({"op": "ready"})
    server.run()


if __name__ == "__main__":
    main()
