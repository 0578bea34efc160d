"""Runs a job in a child process: the service itself neither compresses nor lays log."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import suppress

import structlog

from redoubt.messages.jobs import Failed, Message, Outcome, Progress, Request, from_line, to_line

_END_PATIENCE = 5.0
_log = structlog.get_logger("redoubt.control.job")


async def run_job(request: Request, progress: Callable[[int, int], None]) -> Outcome:
    """Run a job; `progress` is called with the bytes done and the total bytes.

    Cancelling the task kills the job and waits for its end. An error in the job, or a kill, gives the outcome `Failed`.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "redoubt.job"), stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    _log.info("job started", job=type(request).__name__, pid=process.pid)
    outcome: Message | None = None
    try:
        process.stdin.write(to_line(request))
        with suppress(ConnectionError):  # the process was just killed: its status says so
            await process.stdin.drain()
        async for line in process.stdout:
            message = from_line(line)
            if isinstance(message, Progress):
                progress(message.done, message.total)
            else:
                outcome = message
        status = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            with suppress(TimeoutError):  # a process stuck in uninterruptible I/O must not delay the service
                async with asyncio.timeout(_END_PATIENCE):
                    await process.wait()
    if isinstance(outcome, Outcome):
        return outcome
    return Failed(f"the job's process ended with status {status}")
