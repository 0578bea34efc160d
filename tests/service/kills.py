"""SIGKILL for the parts of a service, as a machine that is short of memory deals it out."""

from __future__ import annotations

import os
import signal

from tests.processes import is_alive
from tests.service.cluster import ServiceUnderTest, wait_until


def kill_part(service: ServiceUnderTest, part: str) -> None:
    """Kill the worker (and wait for the next), an engine, the sys engine, or the service, which is started again."""
    if part == "worker":
        pid = service.worker_pid()
        _kill(pid)
        wait_until("another worker", lambda: service.worker_pid() not in {0, pid})
    elif part == "service":
        children = service.children()
        service.kill()
        wait_until("its children are gone", lambda: not any(is_alive(child) for child in children))
        service.start()
    else:
        _kill(service.engine_pid({"engine": service.main_dir, "sys engine": service.home / "sys"}[part]))


def _kill(pid: int) -> None:
    assert pid, "it does not run"  # the kernel takes 0 for the group of processes that this one is in
    os.kill(pid, signal.SIGKILL)
