"""TLS around the protocol: who is trusted is served, who is not never reaches the protocol."""

from __future__ import annotations

import socket
import ssl

import pytest
from wire_world import ask, client, ends, eventually, hello, serving, stranger

from testbed.emulate.bodies import Status
from testbed.emulate.certificates import for_client, for_server
from testbed.emulate.connection import Unreachable
from testbed.emulate.protocol import Fault
from testbed.emulate.serving_peer import Limits
from testbed.errors import TestbedError

trustme = pytest.importorskip("trustme")

TOKEN = b"a token of sufficient length"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Return the paths of an authority's, a server's and a client's certificate, and a rogue's."""
    folder = tmp_path_factory.mktemp("pem")
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other-ca.pem"))
    for name, issuer in (("server", authority), ("client", authority), ("rogue", other)):
        issued = issuer.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    return lambda name: folder / name


@pytest.fixture
def mutual(pem):
    """Return a server's context that wants a certificate of its clients."""
    return for_server(pem("server.pem"), pem("server.key"), pem("ca.pem"))


def test_a_client_with_a_certificate_is_served(pem, mutual):
    own = for_client(pem("ca.pem"), pem("client.pem"), pem("client.key"))
    with serving(tls=mutual) as server, client(server, tls=own) as line:
        for number in range(3):
            assert ask(line, number, bytes(200_000)).status is Status.DECODED
        assert line._sock.version() == "TLSv1.3"


def test_a_client_without_a_certificate_is_not(pem, mutual):
    with serving(tls=mutual) as server:
        with pytest.raises(Unreachable, match="TLS: "):
            client(server, tls=for_client(pem("ca.pem")))
        eventually(lambda: server.journal.faults == {Fault.GARBLED: 1})

    assert server.lines == ["127.0.0.1: garbled: TLS: peer did not return a certificate"]


def test_a_client_with_a_certificate_of_somebody_else_is_not(pem, mutual):
    rogue = for_client(pem("ca.pem"), pem("rogue.pem"), pem("rogue.key"))
    with serving(tls=mutual) as server:
        with pytest.raises(Unreachable, match="TLS: "):
            client(server, tls=rogue)
        eventually(lambda: server.journal.faults == {Fault.GARBLED: 1})


def test_a_server_that_nobody_vouches_for_is_refused(pem):
    plain = for_server(pem("server.pem"), pem("server.key"), None)
    with serving(tls=plain) as server:
        with pytest.raises(Unreachable, match="TLS: certificate verify failed"):
            client(server, tls=for_client(pem("other-ca.pem")))
        with pytest.raises(Unreachable, match="TLS: certificate verify failed"):
            client(server, tls=for_client(pem("ca.pem")), server_name="elsewhere.example")


def test_a_token_works_under_tls(pem):
    plain = for_server(pem("server.pem"), pem("server.key"), None)
    with (
        serving(tls=plain, token=TOKEN) as server,
        client(server, tls=for_client(pem("ca.pem")), token=TOKEN) as line,
    ):
        assert ask(line).status is Status.DECODED


def test_peers_that_do_not_speak_tls_cost_others_nothing(pem, mutual):
    own = for_client(pem("ca.pem"), pem("client.pem"), pem("client.key"))
    limits = Limits(handshake_s=1.5)
    with serving(tls=mutual, limits=limits) as server, client(server, tls=own) as line:
        with stranger(server) as rogue, stranger(server) as silent, stranger(server) as torn:
            rogue.sendall(hello())
            torn.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
            ends(rogue)
            assert ask(line).status is Status.DECODED
            assert ends(silent)[1] < 4
            assert ends(torn)[1] < 4
        assert ask(line, 1).status is Status.DECODED

    assert server.journal.faults[Fault.SLOW] == 2
    assert server.journal.faults[Fault.GARBLED] == 1


def test_tls_before_1_2_is_not_spoken(mutual):
    assert mutual.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_hold_no_certificate_are_named(pem, tmp_path):
    (tmp_path / "junk.pem").write_text("nothing")
    with pytest.raises(TestbedError, match=r"junk\.pem: no certificate with its key"):
        for_server(tmp_path / "junk.pem", None, None)
    with pytest.raises(TestbedError, match=r"junk\.pem: no certificate in PEM"):
        for_server(pem("server.pem"), pem("server.key"), tmp_path / "junk.pem")
    with pytest.raises(TestbedError, match=r"none\.pem: cannot be read: No such file"):
        for_client(tmp_path / "none.pem")
    with pytest.raises(TestbedError, match=r"client\.key: no certificate with its key: .*mismatch"):
        for_server(pem("server.pem"), pem("client.key"), None)


def test_a_plain_client_of_a_server_with_tls_is_told_nothing_it_could_misread(pem, mutual):
    with serving(tls=mutual) as server, pytest.raises(Unreachable):
        client(server)


def test_a_tls_client_of_a_plain_server_is_logged_as_such(pem):
    with serving() as server:
        with pytest.raises(Unreachable, match="TLS: "):
            client(server, tls=for_client(pem("ca.pem")))
        eventually(lambda: server.connections == 0)

    assert server.lines == ["127.0.0.1: garbled: speaks TLS, which this server was not told to"]


def test_a_connection_that_is_reset_within_the_handshake_is_closed(mutual):
    with serving(tls=mutual) as server:
        rogue = stranger(server)
        rogue.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        rogue.close()
        eventually(lambda: server.connections == 0)
