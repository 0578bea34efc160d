"""Gateways for tests: each on an event loop and a thread of its own, so that ordinary clients can be used."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql

from redoubt.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Self

    from redoubt.gateway import EngineSession
    from redoubt.sql.answers import Answer, Column
    from redoubt.sql.statements import Statement

    from .gates import Gate


@dataclass
class Tenants:
    """A tenant directory that is a dictionary."""

    sockets: dict[str, Path]
    cluster_name: str = "Stronghold"
    allows_empty_password: bool = False
    gates: dict[str, Gate] = field(default_factory=dict)

    def socket_of(self, tenant: str) -> Path | None:
        """Return the tenant's socket."""
        return self.sockets.get(tenant)

    def gate_of(self, tenant: str) -> Gate | None:
        """Return the tenant's gate."""
        return self.gates.get(tenant)


@dataclass
class Handler:
    """Answers statements as a test says by their type, and remembers them; leaves the others to the engine."""

    answers: dict[type, Callable[[Any, EngineSession], Awaitable[Answer | None]]] = field(default_factory=dict)
    seen: list[tuple[Statement, str, str]] = field(default_factory=list)
    shown: dict[type, tuple[Column, ...]] = field(default_factory=dict)

    async def handle(self, statement: Statement, session: EngineSession) -> Answer | None:
        """Answer."""
        self.seen.append((statement, session.tenant, session.user))
        answer = self.answers.get(type(statement))
        return await answer(statement, session) if answer else None

    def columns(self, statement: Statement, tenant: str) -> tuple[Column, ...]:
        """Return the columns that a test says."""
        return self.shown.get(type(statement), ())


class Complaints(logging.Handler):
    """Collects what asyncio complains of in a thread: other tests have loops of their own."""

    def __init__(self, thread: threading.Thread) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.thread == self._thread.ident:
            self.messages.append(record.getMessage())


class Door:
    """A running gateway; leaving its context stops it and asserts that nothing is left over."""

    def __init__(self, tenants: Tenants, handler: Handler | None = None, *, debug: bool = True, **options: Any) -> None:
        self.tenants = tenants
        self.handler = handler or Handler()
        self.gateway = Gateway(tenants, self.handler, **options)
        self._debug = debug
        self._started = threading.Event()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._complaints = Complaints(self._thread)

    def __enter__(self) -> Self:
        logging.getLogger("asyncio").addHandler(self._complaints)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        logging.getLogger("asyncio").removeHandler(self._complaints)
        assert not self._thread.is_alive()
        assert self._complaints.messages == [], self._complaints.messages

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self.gateway._sessions)

    def connect(self, user: str = "root", **options: Any) -> Any:
        """Log in with PyMySQL."""
        plain = {"ssl_disabled": True} if self.gateway.tls is None and "ssl" not in options else {}
        defaults = {"host": self.host, "port": self.port, "user": user, "autocommit": True}
        return pymysql.connect(**{**defaults, **plain, **options})

    def _run(self) -> None:
        asyncio.run(self._main(), debug=self._debug)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.slow_callback_duration = 60  # other work on this machine is not the gateway's fault
        for gate in self.tenants.gates.values():
            gate.loop = self.loop
        self._stop = asyncio.Event()
        self.host, self.port = await self.gateway.start("127.0.0.1", 0)
        self._started.set()
        await self._stop.wait()
        await self.gateway.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
