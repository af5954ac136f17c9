"""How two ends prove that they know the same token without sending it, and whose clock is whose.

A client opens with a `HELLO`. A server without a token answers with a `WELCOME`, and a client may
send frames without waiting for it. A server with a token answers with a `CHALLENGE`. From the token
and the bytes of both messages, which hold 16 random bytes each, both ends derive a key for either
direction: HMAC-SHA256. Every message after that bears a check made with it, beginning with the
client's empty `PROOF` and the server's `WELCOME`, so that each end has proved itself to the other,
no message can be changed, left out or repeated, and a recording of one connection opens no other.
Nothing is hidden: that takes TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from testbed.emulate.bodies import NONCE_BYTES
from testbed.emulate.protocol import Key, Message
from testbed.errors import TestbedError

LEAST_TOKEN_BYTES = 16
MOST_TOKEN_BYTES = 4096


def derive(token: bytes, hello: Message, challenge: Message) -> tuple[Key, Key]:
    """Return the keys of what the client sends and of what the server sends."""
    opened = b"".join(hashlib.sha256(m.raw + m.body).digest() for m in (hello, challenge))
    return (
        Key(hmac.digest(token, b"split-testbed wire 1: from the client" + opened, "sha256")),
        Key(hmac.digest(token, b"split-testbed wire 1: from the server" + opened, "sha256")),
    )


def read_token(path: Path) -> bytes:
    """Return the token in a file, without blanks around it.

    Raise a `TestbedError` for a file that cannot be read or whose token is too short: who has
    recorded a handshake can try tokens at leisure.
    """
    try:
        with path.open("rb") as file:
            token = file.read(MOST_TOKEN_BYTES + 1).strip()
    except OSError as error:
        raise TestbedError(f"{path}: cannot be read: {error.strerror}") from None
    if not LEAST_TOKEN_BYTES <= len(token) <= MOST_TOKEN_BYTES:
        raise TestbedError(
            f"{path}: a token has {LEAST_TOKEN_BYTES} to {MOST_TOKEN_BYTES} bytes, this one "
            f"{len(token)}; `openssl rand -hex 32` makes one"
        )
    return token


def nonce() -> bytes:
    """Return random bytes that nobody has used before."""
    return secrets.token_bytes(NONCE_BYTES)


def clock() -> bytes:
    """Return 16 bytes that are the same for all processes whose CLOCK_MONOTONIC is the same.

    Random ones where the kernel does not say when it was started.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        offsets = Path("/proc/self/timens_offsets")
        boot += offsets.read_bytes() if offsets.exists() else b""
    except OSError:
        return nonce()
    return hashlib.sha256(b"testbed clock" + boot).digest()[:NONCE_BYTES]
