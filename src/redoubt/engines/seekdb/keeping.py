"""Keeping an engine reachable: restart the service's own engine, or wait for an application's engine.

A keeper's `trouble` says why its engine cannot be used now; empty if the engine can be used.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from redoubt.engines.seekdb import external
from redoubt.engines.seekdb.account import accepts_empty_root, ensure_account
from redoubt.engines.seekdb.closed import without_engine
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.orphans import OrphansLeftError, end_orphans, may_have_orphans
from redoubt.engines.seekdb.pausing import resume_stopped
from redoubt.engines.seekdb.proven import UnprovenEngineError
from redoubt.engines.seekdb.replaying import first_sizes, flush_replayed
from redoubt.engines.seekdb.standby_role import RoleError, become_primary_again
from redoubt.model.keeping import AccountError, EngineSizes, EngineStartError, KeptEngine, OpenDoorError
from redoubt.model.log import LogDamagedError

_READY_TIMEOUT = 120.0
_RESTORED_TIMEOUT = 6 * 3600.0
"""Seconds for a restored engine, which replays all laid log before it answers."""
_POLL = 0.05
_WATCH_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_EXTERNAL_PAUSE = 0.5
_NOT_ROLLED_BACK = (LogDamagedError, OrphansLeftError, UnprovenEngineError)
_log = structlog.get_logger("redoubt.engines.keeping")


class Keeper(ABC):
    """The common part of both keepers. For the event loop. `is_exposed`: other machines can reach the gateway."""

    def __init__(self, base: BaseDir, *, is_exposed: bool = False) -> None:
        self.base = base
        self.engine = SeekdbEngine(base)
        self.trouble = "the engine has not been started yet"
        self.was_tried = asyncio.Event()
        """Set after the first attempt to reach the engine, whether or not the attempt succeeded."""
        self.is_open_door = False
        """Whether the keeper refuses the engine because anybody could log in to the engine as root."""
        self.may_be_new = False
        """Whether the directory may be empty: then the engine initializes it."""
        self.reached: Callable[[KeptEngine], None] = lambda _: None
        """Called in a thread whenever the engine becomes reachable. May raise OSError."""
        self._is_exposed = is_exposed

    @property
    def directory(self) -> Path:
        """The engine's directory."""
        return self.base.path

    async def start(self) -> None:
        """Make the engine reachable now. Raises EngineStartError, AccountError."""
        try:
            await self._reach()
            await asyncio.to_thread(self.reached, self.engine)
            self.is_open_door = self._is_exposed and await asyncio.to_thread(accepts_empty_root, self.base)
            if self.is_open_door:
                raise OpenDoorError(
                    f"root has no password on {self.base.socket}, and the gateway can be reached from other machines: "
                    "log in on that socket and run ALTER USER root IDENTIFIED BY '…', or set allow_empty_password"
                )
        except OSError as error:
            self._complain(str(error))
            raise EngineStartError(str(error)) from error
        except (EngineStartError, AccountError) as error:
            self._complain(str(error))
            raise
        finally:
            self.was_tried.set()
        self.trouble = ""

    async def keep(self) -> None:
        """Keep the engine reachable from now on; runs until cancelled."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                resume_stopped(self.base)
                if self.trouble or not await self._is_there():
                    await self.start()
                pause = self._pause
            except (EngineStartError, AccountError):
                pause = min(max(pause, self._pause) * 2, self._longest_pause)
            except OSError as error:  # of the directory; the engine may be well
                self._complain(str(error))
                pause = min(max(pause, self._pause) * 2, self._longest_pause)

    async def stop(self) -> None:
        """Release the engine."""
        await asyncio.to_thread(self.engine.close)

    async def kill(self) -> None:
        """Release the engine at once, for good."""
        await self.stop()

    _pause = _WATCH_PAUSE
    _longest_pause = _LONGEST_PAUSE

    @abstractmethod
    async def _reach(self) -> None:
        """Reach the engine. Raises OSError, EngineStartError, AccountError."""

    @abstractmethod
    async def _is_there(self) -> bool:
        """Whether the reached engine still runs and answers."""

    def _complain(self, trouble: str) -> None:
        if trouble != self.trouble:  # once: the trouble may last for days
            _log.error("cannot reach the engine, retrying", directory=str(self.base.path), cause=trouble)
        self.trouble = trouble


class EmbeddedKeeper(Keeper):
    """Runs the engine. Without `may_be_new`, an empty directory counts as damaged."""

    def __init__(self, base: BaseDir, sizes: EngineSizes, *, may_be_new: bool, is_exposed: bool = False) -> None:
        super().__init__(base, is_exposed=is_exposed)
        self._sizes = sizes
        self._instance = Instance(base, sizes)
        self._was_in_vain = False
        self.may_be_new = may_be_new

    async def stop(self) -> None:
        """Stop the engine."""
        await super().stop()
        await asyncio.to_thread(self._instance.stop)

    async def kill(self) -> None:
        """Kill the engine."""
        await super().stop()
        await asyncio.to_thread(self._instance.kill)

    async def _reach(self) -> None:
        if not self._instance.is_running():
            await (self._end_orphans() if self._is_to_be_settled() else asyncio.to_thread(self.start_process))
        await self.wait_until_ready()
        if self._is_to_be_settled():  # the service could not log in when it was started
            await self._end_orphans()
            await self.wait_until_ready()
        if self._instance.sizes is not self._sizes:
            _log.info("engine has replayed the log, flushing", directory=str(self.base.path))
            await asyncio.to_thread(flush_replayed, self.base, self.engine.run)
            await asyncio.to_thread(self.start_process)
            await self.wait_until_ready()
        if self.trouble:
            _log.info("engine started", directory=str(self.base.path), pid=self._instance.pid)

    async def _is_there(self) -> bool:
        if self._instance.is_running():
            return True
        _log.error("engine ended, restarting", directory=str(self.base.path))
        self.trouble = "the engine ended, and is being restarted"
        return False

    def _is_to_be_settled(self) -> bool:
        """Whether transactions that a restore left open still have to be rolled back; this is tried once."""
        return may_have_orphans(self.base) and not self._was_in_vain

    async def _end_orphans(self) -> None:
        """Start the engine of a restored directory, and roll back the transactions that the restore left open."""
        restored = _Restored(self, asyncio.get_running_loop())
        try:
            ended = await asyncio.to_thread(end_orphans, self.base, restored)
        except _NOT_ROLLED_BACK as error:  # the engine can be used, except the rows that they have locked
            _log.error("cannot roll back open transactions", directory=str(self.base.path), cause=str(error))
            self._was_in_vain = True
            if not self._instance.is_running():
                await asyncio.to_thread(self.start_process)
        else:
            _log.info("open transactions rolled back", directory=str(self.base.path), transactions=len(ended))

    def start_process(self) -> None:
        """Start a new process with the memory that the process needs. Raises EngineStartError."""
        if not self.may_be_new and not self.base.log.is_dir():
            raise EngineStartError(
                f"the engine's data in {self.base.path} is gone: put the directory back, or drop the tenant"
            )
        self._instance.stop()
        self._be_primary()
        self._instance.sizes = first_sizes(self.base, self._sizes) or self._sizes
        self._instance.start()

    def _be_primary(self) -> None:
        """Let the engine write, if it was a standby's until it was killed in a takeover. Raises EngineStartError."""
        if self.base.parameters_before.exists():
            try:
                with without_engine(self.base):
                    become_primary_again(self.base)
            except (RoleError, OSError) as error:
                raise EngineStartError(str(error)) from error

    def stop_process(self) -> None:
        """Stop the process."""
        self._instance.stop()

    async def wait_until_ready(self) -> None:
        """Wait until the service can log in to the engine; kill an engine that does not answer in time."""
        is_restored = self.base.restored_from.exists()
        deadline = asyncio.get_running_loop().time() + (_RESTORED_TIMEOUT if is_restored else _READY_TIMEOUT)
        while True:
            self._instance.check_alive()
            try:
                await asyncio.to_thread(ensure_account, self.base)
            except OSError as error:
                if asyncio.get_running_loop().time() > deadline:
                    await asyncio.to_thread(self._instance.kill)
                    raise EngineStartError(f"the engine in {self.base.path} does not answer: {error}") from error
                await asyncio.sleep(_POLL)
            else:
                return


class _Restored:
    """See `Restartable`: a keeper's engine, for a thread."""

    def __init__(self, keeper: EmbeddedKeeper, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        self._loop = loop

    def start(self) -> None:
        """See `Restartable`."""
        self._keeper.start_process()
        asyncio.run_coroutine_threadsafe(self._keeper.wait_until_ready(), self._loop).result()

    def stop(self) -> None:
        """See `Restartable`."""
        self._keeper.engine.close()
        self._keeper.stop_process()

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """See `Restartable`."""
        return self._keeper.engine.run(sql)


class ExternalKeeper(Keeper):
    """Waits for an engine that an application runs, and never starts or stops it."""

    _pause = _EXTERNAL_PAUSE
    _longest_pause = _EXTERNAL_PAUSE

    async def leave(self, *, force: bool) -> str:
        """See `ApplicationKeeper`."""
        return await asyncio.to_thread(external.leave, self.engine, force=force)

    async def _reach(self) -> None:
        await asyncio.to_thread(external.enter, self.base)

    async def _is_there(self) -> bool:
        try:
            await asyncio.to_thread(self.engine.end_of_log)
        except OSError as error:
            self._complain(external.absence(self.base.path, error))
            return False
        return True
