"""The values of the cluster's parameters: checked, kept in the catalog, and shown like the engine's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from redoubt.catalog.catalog import Catalog
from redoubt.control.parameters.parameter_list import (
    ALLOW_SHORT_INTERVALS,
    AUTO_DELETE,
    BACKUP_DEST,
    BACKUP_DEST_OPTION,
    CHECKPOINT_INTERVAL,
    CONCURRENCY,
    LOG_ARCHIVE_DEST_STATE,
    LOG_ARCHIVE_OPTION,
    PARAMETERS,
    RECOVERY_WINDOW,
    SHORTEST,
    SPOOL_LIMIT,
    SYNC_COMMIT,
    Parameter,
)
from redoubt.model.valve import MIN_LIMIT
from redoubt.sql.backup_dest_option import BackupDestOption, parse_dest_option
from redoubt.sql.errors import invalid_config
from redoubt.sql.literals import capacity_text, parse_bool, parse_capacity, parse_int, parse_time
from redoubt.sql.log_archive_dest import DestState
from redoubt.sql.log_archive_option import LogArchiveOption, Mode, as_text, parse_option

_EFFECTIVE_OPTION = "_effective_backup_log_archive_option"
_EFFECTIVE_INTERVAL = "_effective_piece_switch_interval"


class Parameters:
    """The current values. `load` reads them from the catalog. A change is in the catalog before it takes effect.

    `disk_size()` is the size in bytes of the disk that holds the engines.
    """

    def __init__(self, catalog: Catalog, disk_size: Callable[[], int]) -> None:
        self._catalog = catalog
        self._disk_size = disk_size
        self._values: dict[str, str] = {}
        self._option = LogArchiveOption.DEFAULT
        self._dest_option = BackupDestOption()
        self._changing = threading.Lock()

    def load(self) -> None:
        """Load the values from the catalog. Blocks."""
        kept = self._catalog.parameters()
        effective = kept.pop(_EFFECTIVE_OPTION, None)
        kept.pop(_EFFECTIVE_INTERVAL, None)  # only for the views; the option holds the interval
        self._values = kept
        self._option = LogArchiveOption.DEFAULT
        if effective is not None:
            self._option = self._option.changed_by(parse_option(effective))
        self._dest_option = parse_dest_option(self.value(BACKUP_DEST_OPTION), short_intervals=True)

    @property
    def backup_dest(self) -> str:
        """The backup destination, empty if not set."""
        return self.value(BACKUP_DEST)

    @property
    def log_archive_option(self) -> LogArchiveOption:
        """The log archive option in effect, with defaults for fields never set."""
        return self._option

    @property
    def is_mandatory(self) -> bool:
        """Whether the mode is MANDATORY."""
        return self._option.mode is Mode.MANDATORY

    @property
    def is_deferred(self) -> bool:
        """Whether log_archive_dest_state is DEFER, so that no round may begin."""
        return self._values.get(LOG_ARCHIVE_DEST_STATE) == DestState.DEFER

    @property
    def piece_switch_interval(self) -> float:
        """Seconds after which a round switches to a new piece, 0 for never."""
        return self._dest_option.piece_switch_interval or 0.0

    @property
    def checkpoint_interval(self) -> float:
        """Seconds after which a segment is sealed, however small the segment is."""
        interval = self._dest_option.checkpoint_interval
        return self.seconds(CHECKPOINT_INTERVAL) if interval is None else interval

    @property
    def recovery_window(self) -> float:
        """Seconds back from now within which a restore must be possible, 0 for no limit."""
        window = self._dest_option.recovery_window
        return self.seconds(RECOVERY_WINDOW) if window is None else window

    @property
    def auto_delete(self) -> bool:
        """Whether backups that the recovery window does not need are deleted automatically."""
        wished = self._dest_option.auto_delete_obsolete_backup
        return self.is_on(AUTO_DELETE) if wished is None else wished

    @property
    def concurrency(self) -> int:
        """The number of threads that encode log, 0 for the default."""
        return parse_int(self.value(CONCURRENCY))

    def value(self, name: str) -> str:
        """The value of a parameter as typed, or its default."""
        return self._values.get(name, PARAMETERS[name].default)

    def seconds(self, name: str) -> float:
        """The value of a parameter that is a time."""
        return parse_time(self.value(name))

    def size(self, name: str) -> int:
        """The value in bytes of a parameter that is a capacity."""
        return parse_capacity(self.value(name))

    def is_on(self, name: str) -> bool:
        """The value of a parameter that is True or False."""
        return parse_bool(self.value(name))

    @property
    def allows_short_intervals(self) -> bool:
        """Whether intervals below OceanBase's least may be set."""
        return self.is_on(ALLOW_SHORT_INTERVALS)

    def check_one(self, name: str, text: str) -> None:
        """Check that a parameter accepts a value under any other settings. Raises SqlError 4147, 1210 and 1235."""
        if name == BACKUP_DEST_OPTION:
            parse_dest_option(text, short_intervals=True)
        elif name == LOG_ARCHIVE_OPTION:
            parse_option(text)
        else:
            self._check_one(PARAMETERS[name], text, {ALLOW_SHORT_INTERVALS: "True"})

    def dest_option_of(self, values: dict[str, str]) -> BackupDestOption:
        """The `backup_dest_option` after a change. Raises SqlError 1210 and 1235."""
        short = parse_bool(values.get(ALLOW_SHORT_INTERVALS, self.value(ALLOW_SHORT_INTERVALS)))
        return parse_dest_option(values.get(BACKUP_DEST_OPTION, self.value(BACKUP_DEST_OPTION)), short_intervals=short)

    def check(self, values: dict[str, str]) -> None:
        """Check every value, together with the other new values and the unchanged ones.

        Raises SqlError 4147, for backup_dest_option also 1210 and 1235.
        """
        for name, text in values.items():
            if name in PARAMETERS:
                self._check_one(PARAMETERS[name], text, values)
        self.dest_option_of(values)
        if ALLOW_SHORT_INTERVALS in values:  # unchanged intervals must be long enough too
            interval = values.get(CHECKPOINT_INTERVAL, self.value(CHECKPOINT_INTERVAL))
            self._check_one(PARAMETERS[CHECKPOINT_INTERVAL], interval, values)
        option = self._option
        if LOG_ARCHIVE_OPTION in values:
            option = option.changed_by(parse_option(values[LOG_ARCHIVE_OPTION]))
        if option.mode is not Mode.MANDATORY and parse_bool(values.get(SYNC_COMMIT, "False")):
            raise invalid_config(
                f"{SYNC_COMMIT} needs the mode MANDATORY; run "
                f"ALTER SYSTEM SET {LOG_ARCHIVE_OPTION} = 'mandatory', {SYNC_COMMIT} = True"
            )

    def change(self, values: dict[str, str]) -> None:
        """Store checked values, all or none, and put them into effect. Blocks."""
        with self._changing:  # each option depends on the previous one
            option = self._option
            kept = {name: _normal(name, text) for name, text in values.items()}
            derived = {}
            if LOG_ARCHIVE_OPTION in values:
                option = option.changed_by(parse_option(values[LOG_ARCHIVE_OPTION]))
                derived[_EFFECTIVE_OPTION] = as_text(option)
            dest_option = parse_dest_option(
                values.get(BACKUP_DEST_OPTION, self.value(BACKUP_DEST_OPTION)), short_intervals=True
            )
            if BACKUP_DEST_OPTION in values:
                derived[_EFFECTIVE_INTERVAL] = f"{dest_option.piece_switch_interval or 0:g}"
            self._catalog.set_parameters(kept | derived)
            self._values |= kept
            self._option = option
            self._dest_option = dest_option

    def rows_sql(
        self, columns: list[str], quote: Callable[[str], str], now: dict[str, str], named: Iterable[str] = ()
    ) -> str:
        """A SELECT that gives the parameters as rows of `SHOW PARAMETERS`, with these columns of the engine's.

        `now` are the values of parameters that follow the state of the cluster. `named` hidden parameters are included.
        """
        selects = []
        for parameter in PARAMETERS.values():
            if parameter.is_hidden and parameter.name not in named:
                continue
            value = now.get(parameter.name, self.value(parameter.name))
            shown = {
                "svr_type": "observer",
                "name": parameter.name,
                "data_type": parameter.data_type,
                "value": value,
                "info": parameter.info,
                "section": parameter.section,
                "scope": parameter.scope,
                "source": "DEFAULT",
                "edit_level": parameter.edit_level,
                "default_value": parameter.default,
                "isdefault": "1" if value == parameter.default else "0",
            }
            fields = (f"{quote(shown.get(column, ''))} AS {column}" for column in columns)
            selects.append(f"SELECT {', '.join(fields)}")
        return " UNION ALL ".join(selects)

    def _check_one(self, parameter: Parameter, text: str, values: dict[str, str]) -> None:
        if parameter.data_type == "TIME":
            if parameter.is_interval and parse_bool(
                values.get(ALLOW_SHORT_INTERVALS, self.value(ALLOW_SHORT_INTERVALS))
            ):
                parameter = replace(parameter, least=SHORTEST)
            _check_range(parameter, parse_time(text), "s")
        elif parameter.data_type == "INT":
            _check_range(parameter, parse_int(text), "")
        elif parameter.data_type == "CAPACITY":
            size = parse_capacity(text)
            if parameter.name == SPOOL_LIMIT:
                self._check_spool_limit(size)
        elif parameter.data_type == "BOOL":
            parse_bool(text)

    def _check_spool_limit(self, size: int) -> None:
        disk = self._disk_size()
        if not MIN_LIMIT <= size <= disk:
            raise invalid_config(
                f"{SPOOL_LIMIT} is out of range [{capacity_text(MIN_LIMIT)}, {disk // 1024**2}M], the size of the disk"
            )


def _check_range(parameter: Parameter, value: float, unit: str) -> None:
    if not parameter.least <= value <= parameter.most:
        raise invalid_config(f"{parameter.name} is out of range [{parameter.least:g}{unit}, {parameter.most:g}{unit}]")


def _normal(name: str, text: str) -> str:
    """A value as stored and shown: as typed, but a truth value in OceanBase's spelling."""
    if name in PARAMETERS and PARAMETERS[name].data_type == "BOOL":
        return str(parse_bool(text))
    return text
