"""A proxy before an S3 server that does what networks and busy servers do. One request a connection."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto

_ANSWER = b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
_OK, _REFUSED = b"HTTP/1.1 200 OK", b"HTTP/1.1 412 "


class Fault(Enum):
    """What happens to a request."""

    NONE = auto()
    BUSY = auto()
    """The server says 503, and does nothing."""
    DENIED = auto()
    """The server says 403, and does nothing."""
    CUT_REQUEST = auto()
    """Half of the body arrives, then the connection is gone."""
    CUT_ANSWER = auto()
    """Half of the answer arrives."""
    LOSE_ANSWER = auto()
    """The server does it all; the answer does not arrive."""
    UNCONDITIONAL = auto()
    """A precondition that does not hold passes for one that does."""


_REFUSALS = {Fault.BUSY: (b"503 Slow Down", b"SlowDown"), Fault.DENIED: (b"403 Forbidden", b"AccessDenied")}


@dataclass
class Proxy:
    """The proxy to a port of this machine. `judge(method, path)` chooses each request's fault."""

    target: int
    judge: Callable[[str, str], Fault] = lambda _method, _path: Fault.NONE
    requests: deque[str] = field(default_factory=deque)
    """The methods of all requests so far."""
    port: int = 0

    def once(self, fault: Fault, method: str) -> None:
        """The next request of a method has a fault."""

        def judged(present: str, _path: str) -> Fault:
            if present != method:
                return Fault.NONE
            self.judge = lambda _method, _path: Fault.NONE
            return fault

        self.judge = judged

    def always(self, fault: Fault, method: str) -> None:
        """Every request of a method has a fault from now on."""
        self.judge = lambda present, _path: fault if present == method else Fault.NONE


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A running proxy."""
    running = Proxy(target)
    with socket.create_server(("127.0.0.1", 0)) as server:
        running.port = server.getsockname()[1]
        threading.Thread(target=_serve, args=(server, running), daemon=True).start()
        yield running


def _serve(server: socket.socket, running: Proxy) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return  # the test is over
        threading.Thread(target=_answer, args=(client, running), daemon=True).start()


def _answer(client: socket.socket, running: Proxy) -> None:
    with client, suppress(OSError):
        head, body = _message(client)
        if not head:
            return
        method, path = head.split(b" ", 2)[:2]
        running.requests.append(method.decode())
        fault = running.judge(method.decode(), path.decode())
        if fault in _REFUSALS:
            status, code = _REFUSALS[fault]
            refusal = b"<Error><Code>%s</Code></Error>" % code
            client.sendall(_ANSWER % (status, len(refusal), refusal))
            return
        with socket.create_connection(("127.0.0.1", running.target)) as server:
            if fault is Fault.CUT_REQUEST:
                server.sendall(head + body[: len(body) // 2])
                return
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
            answer = b"".join(iter(lambda: server.recv(1024 * 1024), b""))
        if fault is Fault.LOSE_ANSWER:
            return
        if fault is Fault.UNCONDITIONAL and answer.startswith(_REFUSED):
            answer = _ANSWER % (_OK.partition(b" ")[2], 0, b"")
        client.sendall(answer[: len(answer) // 2] if fault is Fault.CUT_ANSWER else answer)


def _message(sender: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sender.recv(65536)
        if not part:
            return b"", b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(lengths) and (part := sender.recv(1024 * 1024)):
        body += part
    return head + b"\r\n\r\n", body
