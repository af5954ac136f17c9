"""A server and clients in two network namespaces with a plain cable between: no link of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from testbed import records

pytest.importorskip("pyroute2")
pytestmark = [pytest.mark.root, pytest.mark.timeout(280)]

HOSTS = """
import signal, subprocess, sys
from pyroute2 import IPRoute

def plug(name, address):
    with IPRoute() as ip:
        own = ip.link_lookup(ifname=name)[0]
        ip.addr("add", index=own, address=address, prefixlen=24)
        ip.link("set", index=own, state="up")

if sys.argv[1] == "server":
    sys.stdin.readline()
    plug("there", "192.0.2.2")
    sys.argv = ["testbed", "serve", *sys.argv[2:]]
    from testbed.cli import main
    main()

token, out = sys.argv[2:]
plain = [sys.executable, sys.argv[0]]
server = subprocess.Popen(
    ["unshare", "--net", *plain, "server", "quickstart", "--listen", "192.0.2.2:7070",
     "--token-file", token],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)
try:
    import os, time
    while os.readlink(f"/proc/{server.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)
    with IPRoute() as ip:
        ip.link("add", ifname="here", kind="veth",
                peer={"ifname": "there", "net_ns_pid": server.pid})
    plug("here", "192.0.2.1")
    server.stdin.write("go\\n")
    server.stdin.flush()
    assert server.stdout.readline().startswith("listening on 192.0.2.2:7070")
    run = [sys.executable, "-m", "testbed", "run", "quickstart", "--emulate", "--out", out,
           "--server", "192.0.2.2:7070", "--set", "seeds=[1]", "--set", "duration_s=3",
           "--set", "policies={narrow: {kind: fixed, width: 0.167}}"]
    refused = subprocess.run(run, capture_output=True, text=True)
    print("without:", refused.returncode, refused.stderr.strip())
    served = subprocess.run([*run, "--token-file", token], capture_output=True, text=True)
    print("with:", served.returncode, served.stderr.strip())
    server.send_signal(signal.SIGINT)
    print(server.communicate(timeout=60)[0].strip())
    print("server:", server.returncode)
finally:
    server.kill()
"""


def test_a_run_before_a_server_in_another_namespace(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` on this machine")
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    script = tmp_path / "hosts.py"
    script.write_text(HOSTS)
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "-Ur", "--net"]

    done = subprocess.run(
        [*alone, sys.executable, str(script), "clients", str(token), str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=270,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("without: 3 ")
    assert "the server wants a token" in lines[0]
    assert lines[1].startswith("with: 0")
    assert "decoded 6" in lines[-2]
    assert lines[-1] == "server: 130"
    (folder,) = (tmp_path / "runs").iterdir()
    frames = records.read(folder).frames
    assert len(frames) == 6
    assert set(frames["fate"]) == {"on_time"}
    crossed = frames["arrived_ns"] - frames["send_start_ns"]
    assert (crossed >= 0).all()
