"""Runs a job in a child process: the service itself neither compresses nor lays log."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress

import structlog

from redoubt.control.child_messages import LONGEST_LINE, messages_from
from redoubt.messages.jobs import Failed, Message, Outcome, Progress, Request, from_line, to_line

_END_PATIENCE = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_log = structlog.get_logger("redoubt.control.job")


async def run_job(request: Request, progress: Callable[[int, int], None]) -> Outcome:
    """Run a job; `progress` is called with the bytes done and the total bytes.

    Cancelling the task kills the job and waits for its end. An error in the job, or a kill, gives the outcome `Failed`.
    """
    process = await _started()
    assert process.stdin is not None
    assert process.stdout is not None
    _log.info("job started", job=type(request).__name__, pid=process.pid)
    outcome: Message | None = None
    try:
        process.stdin.write(to_line(request))
        with suppress(ConnectionError):  # the process was just killed: its status says so
            await process.stdin.drain()
        async for message in messages_from(process.stdout, from_line):
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


async def _started() -> Process:
    """The job's process, once the machine has room for another process."""
    pause, told = _FIRST_PAUSE, ""
    while True:
        try:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "redoubt.job"),
                stdin=PIPE,
                stdout=PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        except OSError as error:
            if told != str(error):
                _log.error("cannot start a job's process, retrying", cause=str(error))
            told = str(error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
