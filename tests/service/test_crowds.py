"""More clients than there are places: the service, its sessions and its log go on, and root@sys comes in."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, wait_until
from tests.service.kills import kill_part

USUAL = 1024
"""Descriptors that most systems allow a process."""


def test_silent_clients_take_nothing_that_the_service_needs(stopped_service: ServiceUnderTest) -> None:
    """Not its sessions' places, not the worker's restart, not the way in for root@sys.

    Own service: it may open few descriptors, and its worker is killed.
    """
    service = stopped_service
    service.limits = (f"--nofile={USUAL}:{USUAL}",)
    service.start()
    service.keep_engine_log()
    service.archive()
    descriptors = Path(f"/proc/{service.process.pid if service.process else 0}/fd")
    with service.connect("root@main") as before, contextlib.ExitStack() as crowd:
        silent = [crowd.enter_context(socket.create_connection(("127.0.0.1", service.port))) for _ in range(1000)]
        with ThreadPoolExecutor(32) as threads:
            list(threads.map(_await_greeting_or_end, silent))
        most = len(list(descriptors.iterdir()))
        kill_part(service, "worker")
        wait_until("the worker is back", service.worker_pid)
        service.write_log()
        assert service.run("SELECT 1") == [{"1": 1}]
        with before.cursor() as cursor:
            cursor.execute("SELECT 2")
            assert cursor.fetchone() == (2,)
    service.stop_archiving()

    assert most < USUAL / 2
    assert service.process
    assert service.process.poll() is None
    assert_archive_equals_engine(service)


def _await_greeting_or_end(client: socket.socket) -> None:
    client.settimeout(20)
    with contextlib.suppress(ConnectionResetError):
        client.recv(200)
