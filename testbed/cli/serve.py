"""`testbed serve`: the server's half of an emulation, for clients on this or other machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import socket
    import ssl

    from testbed.emulate.decoding import Decoder
    from testbed.emulate.decoding_live import Network
    from testbed.emulate.serving import Rules, Server
    from testbed.emulate.serving_peer import Limits
    from testbed.scenario import Scenario

EXAMPLES = """
[bold]Examples[/bold]

  testbed serve quickstart

  testbed serve --weights best.safetensors --listen :7070 --token-file token

  testbed serve --detector published/efficientdet-d2-bw --profile t4-trt-int8 --batch 8 --batch-wait-ms 2

  testbed serve quickstart --listen :7070 --tls-cert server.pem --tls-key server.key --client-ca ca.pem
"""  # noqa: E501

MB = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", epilog=EXAMPLES)(serve)


def serve(
    scenario: Annotated[
        str | None,
        typer.Argument(help="Whose server part and detectors to take; a file or a shipped one."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the scenario."),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Port 0 takes a free one; :PORT everybody.")
    ] = "127.0.0.1:7070",
    weights: Annotated[
        Path | None, typer.Option(help="Decode with this network instead of standing in.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="With --weights: decode whole pictures with this network.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="What somebody's file holds, such as efficientdet-d2-bw.")
    ] = None,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            help="A published table to stand in for; with --weights one more name of the network. "
            "May be repeated.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Server profile whose times to take when standing in.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Batches at the same time.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Most frames decoded together.")] = None,
    batch_wait_ms: Annotated[
        float | None, typer.Option(min=0, help="How long a frame waits for others.")
    ] = None,
    queue: Annotated[int | None, typer.Option(min=1, help="Most frames waiting.")] = None,
    drop_expired: Annotated[
        bool | None,
        typer.Option("--drop-expired/--keep-expired", help="Give up frames past their deadline."),
    ] = None,
    device: Annotated[str, typer.Option(help="Of --weights: cpu, cuda, cuda:1 …")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of --weights, in each worker.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate; PEM. Turns TLS on.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, if in another file.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="Serve only clients with a certificate signed by this.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Serve only clients that know what is in this file.")
    ] = None,
    max_payload_mb: Annotated[
        float, typer.Option(min=0.001, max=1000, help="Most of one frame.")
    ] = 4.0,
    max_connections: Annotated[int, typer.Option(min=1, max=900, help="At a time.")] = 256,
) -> None:
    """Decode the frames of clients, here or on other machines, until Ctrl-C.

    Peers that break the protocol are told so, closed and logged once; docs/serve.md has the limits.
    """
    from testbed.detectors.shipped import locate
    from testbed.emulate import address, keys
    from testbed.emulate.decoding_live import Network
    from testbed.emulate.serving import Rules
    from testbed.emulate.serving_peer import Limits
    from testbed.errors import TestbedError
    from testbed.scenario.schema import to_ns

    place = address.parse(listen)
    tls = _tls(tls_cert, tls_key, client_ca)
    token = keys.read_token(token_file) if token_file else None
    loaded = _scenario(scenario, overrides)
    rules = Rules.of(loaded.spec.server) if loaded else Rules()
    changed: dict[str, Any] = {
        "batch_max": batch,
        "batch_wait_ns": None if batch_wait_ms is None else to_ns(batch_wait_ms, 10**6),
        "queue_limit": queue,
        "drop_expired": drop_expired,
    }
    rules = replace(rules, **{name: it for name, it in changed.items() if it is not None})
    count = workers or (loaded.spec.server.workers if loaded else 1)
    if weights is None and (network or device != "cpu" or threads or teacher):
        raise TestbedError("--teacher, --network, --device and --threads are of --weights")
    if weights is not None and profile is not None:
        raise TestbedError("--profile says how long to wait when nothing decodes; --weights does")
    listener = address.listen(place)
    with listener:
        if weights is None:
            decoder, what = _stand_in(loaded, detectors or [], profile, count)
        else:
            whole = None if teacher is None else str(locate(teacher))
            its = Network(str(locate(weights)), network, device, threads, whole)
            decoder, what = _live(its, loaded, detectors or [], count)
        try:
            limits = Limits(payload_bytes=round(max_payload_mb * MB), connections=max_connections)
            _run(listener, decoder, rules, limits, token, tls, what)
        finally:
            decoder.close()


def _scenario(name: str | None, overrides: Sequence[str] | None) -> Scenario | None:
    from testbed.errors import TestbedError
    from testbed.scenario import load

    if name is not None:
        return load(name, overrides or [])
    if overrides:
        raise TestbedError("--set overrides a key of a scenario; name one")
    return None


def _tls(cert: Path | None, key: Path | None, ca: Path | None) -> ssl.SSLContext | None:
    from testbed.emulate import certificates
    from testbed.errors import TestbedError

    if cert is not None:
        return certificates.for_server(cert, key, ca)
    if key is not None or ca is not None:
        raise TestbedError("--tls-key and --client-ca need --tls-cert")
    return None


def _stand_in(
    loaded: Scenario | None, detectors: Sequence[str], profile: str | None, workers: int
) -> tuple[Decoder, str]:
    from testbed import catalog
    from testbed.detectors import published
    from testbed.devices.profile import load_server
    from testbed.emulate.decoding import of_scenario, of_tables
    from testbed.errors import TestbedError

    if loaded is not None:
        if detectors or profile:
            raise TestbedError("the scenario says --detector and --profile; --set changes it")
        names = ", ".join(dict.fromkeys(client.detector.name for client in loaded.clients))
        stand_in = of_scenario(loaded)
        stand_in.workers = workers
        return stand_in, f"stands in for {names} on {loaded.server.name}"
    if not detectors or profile is None:
        raise TestbedError(
            "what to decode with? name a scenario, --weights FILE, or --detector and --profile"
        )
    server = load_server(catalog.find("devices/servers", profile))
    tables = [published.load(name) for name in dict.fromkeys(detectors)]
    return (
        of_tables(tables, server, workers),
        f"stands in for {', '.join(dict.fromkeys(detectors))} on {server.name}",
    )


def _live(
    network: Network, loaded: Scenario | None, detectors: Sequence[str], workers: int
) -> tuple[Decoder, str]:
    from testbed.emulate.decoding_live import Live, names_of

    names = {*names_of(Path(network.weights), network.network), *detectors}
    if loaded is not None:
        names |= {client.detector.name for client in loaded.clients}
    live = Live(network, names, workers=workers, say=_say)
    what = f"decodes {', '.join(sorted(names))} with {network.weights} on {network.device}"
    return live, what if network.teacher is None else f"{what}, pictures with {network.teacher}"


def _run(
    listener: socket.socket,
    decoder: Decoder,
    rules: Rules,
    limits: Limits,
    token: bytes | None,
    tls: ssl.SSLContext | None,
    what: str,
) -> None:
    import signal

    from testbed.emulate import address
    from testbed.emulate.serving import Server

    server = Server(listener, decoder, rules, limits=limits, token=token, tls=tls, say=_say)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    place = server.address
    if token is None and not (tls and tls.verify_mode) and not address.is_local(place):
        _say("whoever reaches this address is served; --token-file or --client-ca changes that")
    typer.echo(f"listening on {address.text(place)}: {what}")
    try:
        server.run()
    finally:
        typer.echo(_summary(server))


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _summary(server: Server) -> str:
    counts = [f"{status.name.lower()} {count}" for status, count in sorted(server.counts.items())]
    faults = [f"{fault} {count}" for fault, count in sorted(server.journal.faults.items())]
    said = f"frames: {', '.join(counts) or 'none'}"
    return f"{said}; peers at fault: {', '.join(faults)}" if faults else said
