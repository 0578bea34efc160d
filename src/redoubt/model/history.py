"""The history of archiving and backups as read from a destination, to rebuild a lost catalog from."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.model.bases import SetKey
from redoubt.model.data_backups import EncryptionMode
from redoubt.model.holes import Hole
from redoubt.model.pieces import PieceKey
from redoubt.model.retention import FileStatus, SetStatus
from redoubt.model.rounds import Round


@dataclass(frozen=True)
class TenantSet:
    """A tenant's part of a data backup. LSNs and sizes in bytes, SCNs and times in ns since the epoch, 0 if unknown."""

    key: SetKey
    tenant_id: int
    status: SetStatus
    file_status: FileStatus
    start_time: int
    completion_time: int = 0
    start_scn: int = 0
    snapshot_scn: int = 0
    start_lsn: int = 0
    snapshot_lsn: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    pause_us: int = 0
    passes: int = 0
    method: str = ""
    round_id: int = 0
    encryption: EncryptionMode = EncryptionMode.NONE


@dataclass(frozen=True)
class History:
    """Rounds in order, all as stopped; pieces whose log was deleted; data backups; holes.

    `left_out` names the objects that could not be read.
    """

    rounds: tuple[Round, ...]
    deleted: frozenset[PieceKey]
    sets: tuple[TenantSet, ...]
    holes: tuple[Hole, ...]
    left_out: tuple[str, ...] = ()

    @property
    def last_round(self) -> int:
        """The highest round number, 0 without rounds."""
        return max((each.round_id for each in self.rounds), default=0)

    @property
    def last_piece(self) -> int:
        """The highest piece number, 0 without pieces."""
        return max((each.last_piece_id for each in self.rounds), default=0)
