"""Runs `ALTER SYSTEM SET` and SHOW PARAMETERS. All parameters, the engine's too, are checked before any is applied.

OceanBase 4.x's `LOG_ARCHIVE_DEST` combines `backup_dest`, the mode of `backup_log_archive_option`, and the piece
interval of `backup_dest_option`. The value is split into these parameters, which are checked as usual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from redoubt.archive.master_keys import master_key
from redoubt.control.destination_keys import DestinationKeys
from redoubt.control.parameters.parameter_list import (
    AUTO_DELETE,
    BACKUP_BACKUP_DEST,
    BACKUP_DEST,
    BACKUP_DEST_OPTION,
    ENABLE_LOG_ARCHIVE,
    LOG_ARCHIVE_DEST,
    LOG_ARCHIVE_DEST_STATE,
    LOG_ARCHIVE_OPTION,
    LOG_RESTORE_SOURCE,
    PARAMETERS,
)
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.session import Session, check_privilege
from redoubt.control.tenants.tenants import Tenants, check_whole_cluster
from redoubt.model.rounds import RoundStatus
from redoubt.model.seams import DestinationError
from redoubt.sql.answers import Column, ColumnType, Ok, Rows
from redoubt.sql.backup_dest_option import as_text, parse_dest_option
from redoubt.sql.errors import (
    backup_dest_not_valid,
    backup_in_progress,
    invalid_config,
    not_supported,
    not_supported_text,
    piece_mode_change_while_running,
    unknown_config,
)
from redoubt.sql.literals import parse_bool
from redoubt.sql.log_archive_dest import DestState, parse_dest_state, parse_log_archive_dest
from redoubt.sql.log_archive_option import Encryption, parse_option
from redoubt.sql.statements import Assignment, SetParameters, ShowParameters
from redoubt.sql.tokens import fold

OURS = frozenset({*PARAMETERS, LOG_ARCHIVE_DEST, LOG_ARCHIVE_DEST_STATE, LOG_RESTORE_SOURCE})
"""The names of Redoubt's parameters in a SET."""

PARAMETER_COLUMNS = (
    Column("svr_type", length=16),
    Column("name", length=128),
    Column("data_type", length=128),
    Column("value", length=65536),
    Column("info", length=4096),
    Column("section", length=128),
    Column("scope", length=64),
    Column("source", length=64),
    Column("edit_level", length=128),
    Column("default_value", length=65536),
    Column("isdefault", ColumnType.LONGLONG, 20),
)
"""The columns of SHOW PARAMETERS, which are the engine's: for who prepares the statement and does not run it yet."""

_KEY = "access_key="
"""What no engine may see: it would write the statement into its log."""
_LONGEST_URI = 2048
_LONGEST_PATH = 1024


@dataclass
class _Change:
    """The changes of a SET: values by name, and the destinations to check.

    `is_idle`: neither a round nor a data backup runs; `is_copying`: a second backup runs.
    """

    is_idle: bool
    is_copying: bool = False
    values: dict[str, str] = field(default_factory=dict)
    destinations: list[str] = field(default_factory=list)


class Settings:
    """Sets and shows parameters. For the event loop."""

    def __init__(self, tenants: Tenants, archiving: Archiving, parameters: Parameters, keys: DestinationKeys) -> None:
        self._keys = keys
        self._tenants = tenants
        self._archiving = archiving
        self._parameters = parameters

    async def show(self, statement: ShowParameters, session: Session) -> Rows:
        """The engine's parameters and ours, ordered by name. The engine evaluates the condition for both."""
        own = await session.query(statement.sql)
        assert isinstance(own, Rows)
        columns = [column.name for column in own.columns]
        now = {ENABLE_LOG_ARCHIVE: str(self._archiving.round.is_archiving)}
        named = () if statement.like is None else (fold(statement.like.replace("\\_", "_")),)
        sql = f"SELECT * FROM ({self._parameters.rows_sql(columns, _quoted, now, named)}) p"
        if statement.like is not None:
            sql += f" WHERE name LIKE {_quoted(statement.like)}"
        elif statement.where is not None:
            sql += f" WHERE {statement.where}"
        ours = await session.query(sql)
        assert isinstance(ours, Rows)
        by_name = columns.index("name")
        return Rows(own.columns, sorted(own.rows + ours.rows, key=lambda row: str(row[by_name])))

    async def set(
        self,
        statement: SetParameters,
        session: Session,
        *,
        is_cleaning: Callable[[], bool],
        is_backing_up: Callable[[], bool],
        is_copying: Callable[[], bool],
    ) -> Ok | None:
        """Check our parameters, let the engine set its own, then set ours. None if all parameters are the engine's.

        `is_cleaning()`: backups are being deleted; `is_backing_up()`: a data backup is running; `is_copying()`: a
        second backup is. Raises SqlError, and CatalogError if our parameters cannot be stored.
        """
        ours = [item for item in statement.assignments if item.name in OURS]
        if any(_KEY in fold(item.value) for item in statement.assignments if item.name not in OURS):
            raise backup_dest_not_valid(
                "only backup_dest, backup_backup_dest and LOG_ARCHIVE_DEST take the keys of a store: set one of them"
            )
        if not ours:
            return None
        await check_privilege(session)
        ours = [replace(item, value=await self._keys.without(item.value)) for item in ours]
        await _check_master_key(ours)
        engines = [item.sql for item in statement.assignments if item.name not in OURS]
        async with self._archiving.statement:
            change = _Change(is_idle=self._is_stopped and not is_backing_up(), is_copying=is_copying())
            for item in ours:
                self._take(item, change, is_cleaning=is_cleaning())
            self._parameters.check(change.values)
            self._check_piece_mode(change)
            await self._check_destinations(change)
            if engines:
                await session.query(f"ALTER SYSTEM SET {', '.join(engines)}")
            await asyncio.to_thread(self._parameters.change, change.values)
            self._archiving.parameters_changed()
        return Ok()

    async def clear_destination(self) -> None:
        """Clear `backup_dest` and `backup_backup_dest`, even while a round runs. Raises CatalogError."""
        async with self._archiving.statement:
            await asyncio.to_thread(self._parameters.change, {BACKUP_DEST: "", BACKUP_BACKUP_DEST: ""})

    @property
    def _is_stopped(self) -> bool:
        return self._archiving.round.status is RoundStatus.STOP

    def _take(self, item: Assignment, change: _Change, *, is_cleaning: bool) -> None:
        """Add an item to the change, if the current state allows. Raises SqlError."""
        if item.name in {LOG_ARCHIVE_DEST, LOG_ARCHIVE_DEST_STATE}:
            check_whole_cluster(item.tenants, self._tenants)
        elif "tenant" in item.clauses:
            raise unknown_config()  # as OceanBase: a tenant has no such parameter
        match item.name:
            case "log_archive_dest":
                self._take_log_archive_dest(item.value, change)
            case "log_archive_dest_state":
                change.values[item.name] = str(self._state(item.value))
            case "backup_dest":
                self._take_destination(item.value, change)
            case "backup_backup_dest":
                self._take_second_destination(item.value, change)
            case "enable_log_archive":
                self._check_enable(item.value)
            case _:
                if item.name == AUTO_DELETE and is_cleaning and parse_bool(item.value):
                    raise not_supported("set auto_delete_expired_backup true while backups are being deleted")
                self._parameters.check_one(item.name, item.value)  # even if the name is repeated later
                change.values[item.name] = item.value

    def _take_destination(self, uri: str, change: _Change) -> None:
        if not change.is_idle:
            raise backup_in_progress(
                "run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'"
                if not self._is_stopped
                else "a data backup is running; wait until it ends, or run ALTER SYSTEM CANCEL BACKUP"
            )
        if uri:
            _check_form(uri)
            change.destinations.append(uri)
        change.values[BACKUP_DEST] = uri

    def _take_second_destination(self, uri: str, change: _Change) -> None:
        if change.is_copying:
            raise backup_in_progress(
                "a second backup is running; wait until it ends, or run ALTER SYSTEM CANCEL BACKUP BACKUPSET or "
                "BACKUPPIECE"
            )
        if uri:
            _check_form(uri)
            if not change.values.get(BACKUP_DEST, self._parameters.backup_dest):
                raise not_supported("set backup_backup_dest while backup_dest is empty", "set backup_dest first")
        change.values[BACKUP_BACKUP_DEST] = uri

    async def _check_destinations(self, change: _Change) -> None:
        """Ask the new destinations themselves. Raises SqlError, CatalogError."""
        first = change.values.get(BACKUP_DEST, self._parameters.backup_dest)
        second = change.values.get(BACKUP_BACKUP_DEST, self._parameters.value(BACKUP_BACKUP_DEST))
        for uri in change.destinations:
            await self._archiving.destinations.check_new(uri, second)
        if change.values.get(BACKUP_BACKUP_DEST):
            await self._archiving.destinations.check_second(second, first)

    def _take_log_archive_dest(self, text: str, change: _Change) -> None:
        """The 4.x spelling. An unchanged LOCATION is not checked: mode and interval may change while a round runs."""
        wished = parse_log_archive_dest(text, short_intervals=self._parameters.allows_short_intervals)
        if wished is None:
            self._take_destination("", change)
            return
        if wished.location != change.values.get(BACKUP_DEST, self._parameters.backup_dest):
            self._take_destination(wished.location, change)
        change.values[LOG_ARCHIVE_OPTION] = str(wished.binding)
        present = change.values.get(BACKUP_DEST_OPTION, self._parameters.value(BACKUP_DEST_OPTION))
        option = parse_dest_option(present, short_intervals=True)
        change.values[BACKUP_DEST_OPTION] = as_text(replace(option, piece_switch_interval=wished.piece_switch_interval))

    def _state(self, text: str) -> DestState:
        state = parse_dest_state(text)
        if state is DestState.DEFER and not self._is_stopped:
            raise not_supported("suspend log archive", "to stop the round, run ALTER SYSTEM NOARCHIVELOG")
        return state

    def _check_enable(self, text: str) -> None:
        """`enable_log_archive` follows the round; only its current value can be set."""
        if fold(text.strip()) not in {"false", "0"}:
            raise not_supported("set enable log archive true without archivelog", "run ALTER SYSTEM ARCHIVELOG")
        if not self._is_stopped:
            raise not_supported("set enable log archive false while a round runs", "run ALTER SYSTEM NOARCHIVELOG")

    def _check_piece_mode(self, change: _Change) -> None:
        if change.is_idle:
            return
        will_have = bool(self._parameters.dest_option_of(change.values).piece_switch_interval)
        if will_have != bool(self._parameters.piece_switch_interval):
            raise piece_mode_change_while_running()


async def _check_master_key(items: list[Assignment]) -> None:
    """Check that there is a master key when a SET turns encryption on. Raises SqlError 4147.

    A command that gives the key may take a minute, so no other statement must wait for this one.
    """
    options = [parse_option(item.value) for item in items if item.name == LOG_ARCHIVE_OPTION]
    if all(option.encryption is not Encryption.TRANSPARENT for option in options):
        return
    try:
        key = await asyncio.to_thread(master_key)
    except DestinationError as error:
        raise invalid_config(str(error)) from error
    if key is None:
        raise invalid_config(
            "encryption needs a master key: name its source in the configuration file, as master_key in the section "
            "[encryption], and start the service again"
        )


def _check_form(uri: str) -> None:
    """Check the text of a destination as OceanBase does, before any I/O. Raises SqlError."""
    path, mark, storage_info = uri.partition("?")
    is_directory = uri.lower().startswith("file:")
    if is_directory and storage_info:
        raise not_supported_text("backup device is nfs, additional parameters are")
    if is_directory and mark:
        raise not_supported("backup device is nfs, setting '?'")
    for what, text, longest in (
        ("the destination", uri, _LONGEST_URI),
        ("the path of the destination", path, _LONGEST_PATH),
    ):
        if len(text.encode(errors="replace")) >= longest:
            raise backup_dest_not_valid(f"{what} must be shorter than {longest:,} bytes")


def _quoted(text: str) -> str:
    """A text as SQL literal, which is the same in all modes: with a backslash in it, in hexadecimal digits."""
    if "\\" in text:
        return f"_utf8mb4 X'{text.encode(errors='surrogateescape').hex()}'"
    return "'" + text.replace("'", "''") + "'"
