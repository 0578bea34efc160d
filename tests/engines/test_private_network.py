"""A program in a network of its own: what it has, who reaches it, and when it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from redoubt.engines.private_network import in_private_network, private_networks_work, received_socket
from tests.processes import is_alive
from tests.service.cluster import wait_until

from .test_namespaces import PRIVILEGES

_PORT = 2999
_FORBIDDEN = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'for kind in user net; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done; exec "$@"',
    "sh",
)
"""Runs a command in a system that lets nobody make namespaces."""
_LOOKS = """\
import socket, sys
print(sorted(name for _, name in socket.if_nameindex()), flush=True)
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
except OSError as error:
    print(type(error).__name__, flush=True)
with socket.create_connection(("127.0.0.1", 2999), 5) as talk:
    print(talk.recv(99).decode(), flush=True)
listening = socket.create_server(("0.0.0.0", 2881))
print("listens", flush=True)
sys.stdin.read()
"""


def _started(
    command: list[str], before: list[str] | tuple[str, ...] = ()
) -> tuple[subprocess.Popen[str], socket.socket]:
    """A program in its network, and the socket that keeps it."""
    ours, theirs = socket.socketpair()
    with theirs:
        measured = [sys.executable, "-m", "redoubt.engines.private_network"]  # `-I -S` would hide it from coverage
        whole = [*before, *measured, *in_private_network(theirs.fileno(), _PORT, command)[4:]]
        pipe = subprocess.PIPE
        run = subprocess.Popen(whole, stdin=pipe, stdout=pipe, stderr=pipe, text=True, pass_fds=[theirs.fileno()])
    return run, ours


def _said(run: subprocess.Popen[str]) -> str:
    assert run.stdout is not None
    return run.stdout.readline().strip()


@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_it_reaches_nothing_but_what_listens_for_it(privilege: str) -> None:
    """It has interfaces of its own, and ports that nobody else sees; the caller serves it by a socket."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        run, control = _started([sys.executable, "-c", _LOOKS, str(port)], PRIVILEGES[privilege])
        with run, control, received_socket(control) as listening:
            assert listening.getsockname() == ("127.0.0.1", _PORT)
            assert _said(run) == "['lo', 'redoubt0', 'redoubt1']"
            assert _said(run) == "ConnectionRefusedError"
            talk, _ = listening.accept()
            with talk:
                talk.sendall(b"from outside")
            assert _said(run) == "from outside"
            assert _said(run) == "listens"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", 2881), 5)
            control.close()
            assert run.wait(20) == 128 + signal.SIGKILL


def _close(run: subprocess.Popen[str], control: socket.socket) -> None:
    control.close()


def _kill(run: subprocess.Popen[str], control: socket.socket) -> None:
    run.kill()


@pytest.mark.parametrize("end", [_close, _kill])
def test_it_ends_with_its_caller_and_with_its_launcher(
    end: Callable[[subprocess.Popen[str], socket.socket], None],
) -> None:
    """No engine is left behind, whoever of the two is killed."""
    run, control = _started(["/bin/sh", "-c", "echo $$; exec sleep 100"])
    with run, control, received_socket(control):
        program = int(_said(run))
        end(run, control)
        wait_until("the program has ended", lambda: not is_alive(program))
        run.wait(20)


def test_it_can_be_told_to_end_and_its_status_is_handed_on() -> None:
    """SIGTERM goes to the program."""
    run, control = _started(["/bin/sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"])
    with run, control, received_socket(control):
        assert _said(run) == "ready"
        run.terminate()
        assert run.wait(20) == 7


def test_a_system_that_forbids_namespaces_is_told() -> None:
    """The trial says why, and the program does not run."""
    assert private_networks_work() == ""
    source = "from redoubt.engines.private_network import private_networks_work; print(private_networks_work())"
    tried = subprocess.run([*_FORBIDDEN, sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert tried.stdout == "cannot give the engine a network of its own: [Errno 28] unshare: No space left on device\n"
    run, control = _started(["/bin/echo", "ran"], _FORBIDDEN)
    with run, control:
        with pytest.raises(OSError, match="the launcher ended without a network"):
            received_socket(control)
        assert run.wait(20) == 1
        assert run.stdout is not None
        assert run.stdout.read() == ""
