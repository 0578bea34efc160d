"""HAProxy between clients and the gateway, as a TCP proxy that checks the gateway with a login."""

from __future__ import annotations

import contextlib
import csv
import io
import socket
import subprocess
from typing import TYPE_CHECKING

from tests.service.cluster import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.drivers import Request

CONFIGURATION = """
global
    stats socket {folder}/stats mode 600
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout check 60s
listen redoubt
    bind fd@{listener}
    option mysql-check user {user}
    server gateway {host}:{port} check inter 5s fall 1 rise 1
"""


class Proxy:
    """A running HAProxy with one server, the gateway."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._stats = str(folder / "stats")

    def checked(self) -> tuple[str, str]:
        """Return the server's state and how its last check ended, once there was a check."""
        return wait_until("HAProxy has checked", self._checked)

    def _checked(self) -> tuple[str, str] | None:
        with socket.socket(socket.AF_UNIX) as asked, contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            asked.connect(self._stats)
            asked.sendall(b"show stat\n")
            told = asked.makefile().read().removeprefix("# ")
            (server,) = (row for row in csv.DictReader(io.StringIO(told)) if row["svname"] == "gateway")
            has_ended = server["check_status"].startswith("L")  # neither INI nor, while the first check runs, empty
            return (server["status"], server["check_status"]) if has_ended else None
        return None


@contextlib.contextmanager
def proxy(folder: Path, matrix: Request, user: str) -> Iterator[Proxy]:
    """Start HAProxy in front of a service; it checks the service by logging in as `user`, without a password."""
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        written = CONFIGURATION.format(
            folder=folder, listener=listener.fileno(), user=user, host=matrix["host"], port=matrix["port"]
        )
        (folder / "haproxy.cfg").write_text(written)
        command = ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()])
        try:
            yield Proxy(folder, listener.getsockname()[1])
        finally:
            process.terminate()
            process.wait(20)
