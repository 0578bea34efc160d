"""The cluster's parameters that Redoubt adds to the engine's: their values, what they may be, how they are shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from redoubt.catalog.catalog import Catalog
from redoubt.model.valve import MIN_LIMIT
from redoubt.sql.errors import invalid_config
from redoubt.sql.literals import capacity_text, parse_bool, parse_capacity, parse_time
from redoubt.sql.log_archive_option import LogArchiveOption, Mode, as_text, parse_option

BACKUP_DEST = "backup_dest"
LOG_ARCHIVE_OPTION = "backup_log_archive_option"
SPOOL_LIMIT = "log_archive_spool_limit"
LAG_TARGET = "archive_lag_target"
SYNC_COMMIT = "log_archive_sync_commit"
SYNC_TIMEOUT = "log_archive_sync_timeout"
SYNC_FALLBACK = "log_archive_sync_fallback"
AUTO_RESTART = "log_archive_auto_restart"
_EFFECTIVE_OPTION = "_effective_backup_log_archive_option"


@dataclass(frozen=True)
class Parameter:
    """A parameter as `SHOW PARAMETERS` lists it."""

    name: str
    default: str
    info: str
    data_type: str = "STRING"
    section: str = "OBSERVER"
    scope: str = "CLUSTER"
    edit_level: str = "DYNAMIC_EFFECTIVE"


PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter(LAG_TARGET, "120s", "how long the log may grow unarchived before it is an alarm [1s, 7200s]", "TIME"),
        Parameter(BACKUP_DEST, "", "the destination of log backups: file:///absolute/path"),
        Parameter(
            LOG_ARCHIVE_OPTION,
            "OPTIONAL COMPRESSION=ENABLE",
            "mode (MANDATORY, OPTIONAL) and COMPRESSION (enable, disable, lz4_1.0, zstd_1.3.8) of log backups",
        ),
        Parameter(AUTO_RESTART, "False", "whether a new round begins by itself after INTERRUPTED", "BOOL"),
        Parameter(
            SPOOL_LIMIT, "4G", "how much log of a tenant may wait to be archived [64M, size of the disk]", "CAPACITY"
        ),
        Parameter(
            SYNC_COMMIT, "False", "whether a commit is acknowledged only when it is in the archive (MANDATORY)", "BOOL"
        ),
        Parameter(SYNC_FALLBACK, "False", "whether commits are acknowledged unarchived after the time-out", "BOOL"),
        Parameter(SYNC_TIMEOUT, "10s", "how long a commit waits to be in the archive [100ms, 1h]", "TIME"),
    )
}
"""The parameters by name."""

_TIME_RANGES = {LAG_TARGET: (1.0, 7200.0), SYNC_TIMEOUT: (0.1, 3600.0)}
"""In seconds."""


class Parameters:
    """The present values. `load` reads them from the catalog; a change is in the catalog before it is in effect.

    `disk_size()` is the size in bytes of the disk that holds the engines.
    """

    def __init__(self, catalog: Catalog, disk_size: Callable[[], int]) -> None:
        self._catalog = catalog
        self._disk_size = disk_size
        self._values: dict[str, str] = {}
        self._option = LogArchiveOption.DEFAULT
        self._changing = threading.Lock()

    def load(self) -> None:
        """Take over what the catalog has. Blocks."""
        kept = self._catalog.parameters()
        effective = kept.pop(_EFFECTIVE_OPTION, None)
        self._values = kept
        self._option = LogArchiveOption.DEFAULT
        if effective is not None:
            self._option = self._option.changed_by(parse_option(effective))

    @property
    def backup_dest(self) -> str:
        """The backup destination, empty while none is set."""
        return self._values.get(BACKUP_DEST, "")

    @property
    def log_archive_option(self) -> LogArchiveOption:
        """The log archive option in effect, fields that were never named included."""
        return self._option

    @property
    def is_mandatory(self) -> bool:
        """Whether the backup goes first."""
        return self._option.mode is Mode.MANDATORY

    @property
    def piece_switch_interval(self) -> float:
        """Seconds after which a round goes on in a new piece, 0 if it never does."""
        return 0.0

    def value(self, name: str) -> str:
        """The value of a parameter as typed, its default if it was never set."""
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

    def check(self, values: dict[str, str]) -> None:
        """See that every value is one that its parameter may have, together with the others. Raises SqlError 4147."""
        for name, text in values.items():
            kind = PARAMETERS[name].data_type
            if kind == "TIME":
                _check_time(name, text)
            elif kind == "CAPACITY":
                self._check_size(name, text)
            elif kind == "BOOL":
                parse_bool(text)
        option = self._option
        if LOG_ARCHIVE_OPTION in values:
            option = option.changed_by(parse_option(values[LOG_ARCHIVE_OPTION]))
        if option.mode is not Mode.MANDATORY and parse_bool(values.get(SYNC_COMMIT, "False")):
            raise invalid_config(
                f"{SYNC_COMMIT} needs the mode MANDATORY: "
                f"ALTER SYSTEM SET {LOG_ARCHIVE_OPTION} = 'mandatory', {SYNC_COMMIT} = True"
            )

    def change(self, values: dict[str, str]) -> None:
        """Keep values that have been checked, all or none, and put them into effect. Blocks."""
        with self._changing:  # each option is a change of the one before
            option = self._option
            kept = dict(values)
            if LOG_ARCHIVE_OPTION in values:
                option = option.changed_by(parse_option(values[LOG_ARCHIVE_OPTION]))
                kept[_EFFECTIVE_OPTION] = as_text(option)
            self._catalog.set_parameters(kept)
            self._values |= values
            self._option = option

    def rows_sql(self, columns: list[str], quote: Callable[[str], str]) -> str:
        """A SELECT that gives the parameters as rows of `SHOW PARAMETERS`, with these columns of the engine's."""
        selects = []
        for parameter in PARAMETERS.values():
            value = self.value(parameter.name)
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

    def _check_size(self, name: str, text: str) -> None:
        disk = self._disk_size()
        if not MIN_LIMIT <= parse_capacity(text) <= disk:
            raise invalid_config(f"{name} is out of range [{capacity_text(MIN_LIMIT)}, {disk // 1024**2}M], the disk")


def _check_time(name: str, text: str) -> None:
    least, most = _TIME_RANGES[name]
    if not least <= parse_time(text) <= most:
        raise invalid_config(f"{name} is out of range [{least:g}s, {most:g}s]")
