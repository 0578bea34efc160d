"""The process of a seekdb that follows log: in server mode, because an embedded engine fetches none.

In server mode an engine listens on all addresses, so it runs only where nobody can reach them. It asks for log at an
address in its own network, where we listen. It answers reads on its unix socket, as any engine.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from redoubt.engines.private_network import in_private_network, private_networks_work, received_socket
from redoubt.engines.seekdb.account import accepts_empty_root, answers
from redoubt.engines.seekdb.closed import refuse_opened
from redoubt.engines.seekdb.confinement import confined_command
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.proven import UnprovenEngineError
from redoubt.engines.seekdb.session import Session
from redoubt.engines.seekdb.standby_role import RoleError, become_standby, is_standby
from redoubt.engines.seekdb.taking_over import TakingOver
from redoubt.model.keeping import EngineSizes, EngineStartError
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login, OpenedError
from redoubt.model.standby import FedLog, NoPrivateNetworkError

_SQL_PORT, _SOURCE_PORT = 2881, 2883
"""Ports of the engine's own network."""
_READABLE = """SELECT s.READABLE_SCN, r.unsubmitted_log_scn, r.pending_cnt
  FROM oceanbase.__all_virtual_server_stat s, oceanbase.__all_virtual_replay_stat r"""
_PARAMETERS = (f"log_restore_source=127.0.0.1:{_SOURCE_PORT}", "enable_async_syslog=false")


class StandbySeekdb(Instance):
    """See `StandbyEngine`."""

    def __init__(self, base: BaseDir, sizes: EngineSizes) -> None:
        super().__init__(base, sizes)
        self._control: socket.socket | None = None
        self._session = Session(base)

    def refuse_opened(self) -> None:
        """See `StandbyEngine`."""
        if not is_standby(self._base):
            refuse_opened(self._base)

    def begin(self) -> socket.socket:
        """See `StandbyEngine`."""
        if why := private_networks_work():
            raise NoPrivateNetworkError(f"an engine that follows log must run in a network of its own: {why}")
        self.refuse_opened()
        try:
            if not is_standby(self._base):
                become_standby(self._base)
        except (RoleError, UnprovenEngineError) as error:
            raise OpenedError(str(error)) from error
        self.start()
        if self._control is None:
            raise EngineStartError(f"the engine in {self._base.path} was stopped at its start")
        try:
            return received_socket(self._control)
        except OSError as error:
            self.stop()
            raise EngineStartError(f"the engine in {self._base.path} could not be started: {error}") from error

    def answers(self) -> bool:
        """See `StandbyEngine`."""
        return answers(self._base)

    def is_open_door(self) -> bool:
        """See `StandbyEngine`."""
        return accepts_empty_root(self._base)

    def readable_scn(self) -> int | None:
        """See `StandbyEngine`. The engine tells its READABLE_SCN seconds late (measured), and its replay at once."""
        if not self._base.account.exists():
            return None
        try:
            rows = self._session.run(_READABLE)
        except ConnectionError:  # the next question may be answered
            return None
        if not rows:
            return None
        told, next_to_replay, pending = map(int, rows[0])
        return max(told, next_to_replay - 1) if pending == 0 else told

    def aborts(self, logins: Sequence[Login], end_lsn: int) -> FedLog | None:
        """See `StandbyEngine`."""
        with closing(TakingOver(self._base, logins)) as taking:
            return taking.aborts(end_lsn)

    def become_primary(self, logins: Sequence[Login], end: LogPosition) -> None:
        """See `StandbyEngine`."""
        with closing(TakingOver(self._base, logins)) as taking:
            taking.become_primary(end)

    def stop(self, timeout: float = 30.0) -> None:
        """See `StandbyEngine`. The engine is killed, which is safe: it goes on from its log."""
        with self._turn:
            if self._control is not None:
                self._control.close()
                self._control = None
            self._session.close()
            super().stop(timeout)

    def _launched(self, package: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
        command = self._command(package, ("--port", str(_SQL_PORT)), (*self.sizes.others, *_PARAMETERS))
        confined = confined_command(self._base, package, command, has_network=True)
        self._control, theirs = socket.socketpair()
        with theirs:
            run = in_private_network(theirs.fileno(), _SOURCE_PORT, confined)
            return self._opened(run, package, output, [theirs.fileno()])
