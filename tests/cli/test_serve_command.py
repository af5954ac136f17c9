"""`testbed serve`, as a user meets it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from testbed.cli import app
from testbed.emulate.bodies import Kind, Request, Status
from testbed.emulate.connection import connect
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.model import OperatingPoint

D2 = "published/efficientdet-d2-bw"


def said(*arguments):
    """Return exit code and message of a command that is not to get as far as serving."""
    with pytest.raises(TestbedError) as raised:
        CliRunner().invoke(
            app, ["serve", *arguments], catch_exceptions=False, standalone_mode=False
        )
    return raised.value.exit_code, str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "what to decode with? name a scenario, --weights FILE, or --detector and --profile"),
        (["quickstart", "--listen", "foo"], "'foo' is no HOST:PORT, such as 127.0.0.1:7070"),
        (["quickstart", "--listen", "a:70000"], "'a:70000' is no HOST:PORT"),
        (["quickstart", "--listen", "::1:80"], "an IPv6 address goes into brackets"),
        (["quikstart"], "Did you mean 'quickstart'?"),
        (["quickstart", "--tls-key", "a"], "--tls-key and --client-ca need --tls-cert"),
        (["quickstart", "--tls-cert", "/none"], "/none: cannot be read: No such file or directory"),
        (["quickstart", "--token-file", "/dev/null"], "a token has 16 to 4096 bytes, this one 0"),
        (["quickstart", "--device", "cuda"], "--network, --device and --threads are of --weights"),
        (["quickstart", "--profile", "cpu"], "the scenario says --detector and --profile"),
        (["--set", "a=1", "--weights", "x"], "--set overrides a key of a scenario; name one"),
        (["--listen", ":0", "--weights", "/none"], "/none: no such file"),
        (["--detector", D2, "--profile", "t4", "--listen", ":0"], "no server 't4'. Known: "),
        (["--detector", "published/x", "--profile", "cpu", "--listen", ":0"], "no detector"),
    ],
)
def test_a_slip_is_a_line_that_says_what_is_allowed(arguments, message):
    code, line = said(*arguments)

    assert code == 2
    assert message in line
    assert "\n" not in line


def test_an_address_of_another_machine_is_for_the_machine_to_mend():
    with pytest.raises(EnvironmentLacks, match="Cannot assign requested address"):
        CliRunner().invoke(
            app, ["serve", "quickstart", "--listen", "192.0.2.1:70"], catch_exceptions=False,
            standalone_mode=False,
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "code", "message"),
    [
        ("cuda:99", 3, "this machine has no device 'cuda:99': "),
        ("tpu", 2, "no device 'tpu'; torch"),
    ],
)
def test_a_device_that_is_not_there_is_said_as_training_says_it(tmp_path, device, code, message):
    pytest.importorskip("torch")
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    save(build(find("tiny-d0-bw")), tmp_path / "tiny.safetensors")
    weights = str(tmp_path / "tiny.safetensors")

    given, line = said("--weights", weights, "--listen", "127.0.0.1:0", "--device", device)

    assert (given, line.startswith(message)) == (code, True), line


def test_a_scenario_is_served_until_ctrl_c_and_the_end_is_clean(tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "testbed", "serve", "quickstart", "--listen", "127.0.0.1:0"),
            *("--set", "server.workers=2", "--token-file", str(token)),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        found = re.fullmatch(
            rf"listening on 127\.0\.0\.1:(\d+): stands in for {D2} on t4-eager-amp\n", line
        )
        address = ("127.0.0.1", int(found[1]))
        with connect(
            address, client="camera", detector=D2, token=b"0123456789abcdef", timeout_s=20
        ) as own:
            own.send(Request(0, OperatingPoint(0.25), Kind.STAND_IN), b"x" * 1000)
            while own.wants_write:
                own.flush()
            own._sock.settimeout(20)
            (answer,) = own.receive()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()

    assert answer.status is Status.DECODED
    assert answer.stand_in
    assert out == "frames: decoded 1\n"
    assert err == "interrupted\n"
    assert process.returncode == 130


def test_help_has_examples():
    shown = CliRunner().invoke(app, ["serve", "--help"]).output

    assert "testbed serve quickstart" in shown
    assert "--client-ca" in shown
