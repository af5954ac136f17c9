"""TLS contexts out of files: what a server shows, whom it trusts, and the same for a client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.emulate.keys import read_token
from testbed.errors import TestbedError

SYSTEM = "system"
"""Instead of a file of authorities: those that this machine trusts."""


def for_server(certificate: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """Return what a server needs to speak TLS, 1.2 or later.

    Args:
        certificate: PEM, with those between it and the root.
        key: Its private key; in the same file if left out.
        client_ca: Who signs the certificates of clients; if left out they need none.

    Raises:
        TestbedError: A file is missing or holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # no session is resumed, so no ticket can be replayed
    _load(context, certificate, key)
    if client_ca is not None:
        _trust(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def for_client(
    ca: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return what a client needs to speak TLS, 1.2 or later, with a server whose name it checks.

    Args:
        ca: Who signs the server's certificate; if left out, whom this machine trusts.
        certificate: What it shows if asked; PEM.
        key: Its private key; in the same file if left out.

    Raises:
        TestbedError: A file is missing or holds something else.
    """
    context = (
        ssl.create_default_context() if ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        _trust(context, ca)
    if certificate is not None:
        _load(context, certificate, key)
    return context


@dataclass(frozen=True)
class Trust:
    """How a client and a server elsewhere know each other; paths, so that it can be passed on.

    Args:
        token_file: Holds the shared secret.
        ca: Who signs the server's certificate, or `SYSTEM`; turns TLS on.
        certificate: What the client shows; turns TLS on.
        key: Its private key; in the same file if left out.
    """

    token_file: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def open(self) -> dict[str, Any]:
        """Return what `testbed.emulate.connection.connect` takes: `token` and `tls`.

        Raise a `TestbedError` for files that hold something else.
        """
        token = None if self.token_file is None else read_token(Path(self.token_file))
        if self.ca is None and self.certificate is None:
            if self.key is not None:
                raise TestbedError(f"{self.key}: a key without a certificate to go with it")
            return {"token": token, "tls": None}
        tls = for_client(
            None if self.ca in (None, SYSTEM) else Path(self.ca),
            Path(self.certificate) if self.certificate else None,
            Path(self.key) if self.key else None,
        )
        return {"token": token, "tls": tls}


def why(error: ssl.SSLError) -> str:
    """Return what went wrong, in words."""
    said = (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        said += f": {error.verify_message}"
    return f"TLS: {said}"


def _load(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    _readable(certificate, *([key] if key else []))

    def no_password() -> str:
        raise TestbedError(
            f"{key or certificate}: the key is locked by a password; unlock it first"
        )

    try:
        context.load_cert_chain(certificate, key, no_password)
    except (ssl.SSLError, ValueError) as error:
        where = certificate if key is None else f"{certificate}, {key}"
        reason = getattr(error, "reason", None)
        what = str(reason).replace("_", " ").lower() if reason else "not PEM"
        raise TestbedError(f"{where}: no certificate with its key: {what}") from None


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    _readable(ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise TestbedError(f"{ca}: no certificate in PEM") from None


def _readable(*paths: Path) -> None:
    for path in paths:
        try:
            path.open("rb").close()
        except OSError as error:
            raise TestbedError(f"{path}: cannot be read: {error.strerror}") from None
