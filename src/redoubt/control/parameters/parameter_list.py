"""The parameters that Redoubt adds to the engine's: names, types and ranges."""

from __future__ import annotations

from dataclasses import dataclass

BACKUP_DEST = "backup_dest"
BACKUP_BACKUP_DEST = "backup_backup_dest"
BACKUP_DEST_OPTION = "backup_dest_option"
LOG_ARCHIVE_OPTION = "backup_log_archive_option"
ENABLE_LOG_ARCHIVE = "enable_log_archive"
CHECKPOINT_INTERVAL = "log_archive_checkpoint_interval"
CONCURRENCY = "log_archive_concurrency"
RECOVERY_WINDOW = "backup_recovery_window"
KEEP_INTERVAL = "backup_keep_interval"
KEEP_WINDOW = "backup_keep_window"
AUTO_DELETE = "auto_delete_expired_backup"
SPOOL_LIMIT = "log_archive_spool_limit"
LAG_TARGET = "archive_lag_target"
SYNC_COMMIT = "log_archive_sync_commit"
SYNC_TIMEOUT = "log_archive_sync_timeout"
SYNC_FALLBACK = "log_archive_sync_fallback"
BACKUP_PAUSE_LIMIT = "backup_pause_limit"
NET_LIMIT = "backup_net_limit"
AUTO_RESTART = "log_archive_auto_restart"
ALLOW_SHORT_INTERVALS = "_allow_short_intervals"

LOG_ARCHIVE_DEST = "log_archive_dest"
"""The setting of destination, mode and piece interval in OceanBase 4.x; not a parameter, as in OceanBase."""
LOG_RESTORE_SOURCE = "log_restore_source"
LOG_ARCHIVE_DEST_STATE = "log_archive_dest_state"
"""ENABLE or DEFER; not a parameter either."""

SHORTEST = 1.0
"""The shortest interval in seconds while `_allow_short_intervals` is True."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as `SHOW PARAMETERS` lists it.

    `least` and `most` bound a time (in seconds) or a number. With `is_interval` the least is SHORTEST while short
    intervals are allowed. A hidden parameter is listed only by its full name.
    """

    name: str
    default: str
    info: str
    data_type: str = "STRING"
    least: float = 0
    most: float = float("inf")
    is_interval: bool = False
    section: str = "OBSERVER"
    scope: str = "CLUSTER"
    edit_level: str = "DYNAMIC_EFFECTIVE"

    @property
    def is_hidden(self) -> bool:
        """Whether the parameter is listed only by its full name."""
        return self.name.startswith("_")


PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            LAG_TARGET,
            "120s",
            "archive lag from which on HEALTH is STALE [1s, 7200s]",
            "TIME",
            least=1,
            most=7200,
        ),
        Parameter(
            BACKUP_DEST, "", "destination of log and data backups: file:///absolute/path or s3://bucket/path?host=…"
        ),
        Parameter(
            BACKUP_BACKUP_DEST, "", "destination of the copies that a second backup makes, written as backup_dest"
        ),
        Parameter(
            BACKUP_DEST_OPTION,
            "",
            "key=value joined with &: log_archive_checkpoint_interval, recovery_window, "
            "log_archive_piece_switch_interval, backup_copies, auto_delete_obsolete_backup, "
            "auto_update_reserved_backup_timestamp",
        ),
        Parameter(
            KEEP_INTERVAL,
            "0",
            "the first data backup of each such period is kept beyond the recovery window; 0 means none [0,)",
            "TIME",
            least=0,
        ),
        Parameter(
            KEEP_WINDOW,
            "0",
            "how long the first data backups of their periods are kept; 0 means for ever [0,)",
            "TIME",
            least=0,
        ),
        Parameter(
            BACKUP_PAUSE_LIMIT,
            "1s",
            "longest pause of an engine during a data backup [100ms, 1m]",
            "TIME",
            least=0.1,
            most=60,
        ),
        Parameter(
            NET_LIMIT,
            "0M",
            "most bytes a second that a data backup or a second backup stores; 0 means no limit [0M,)",
            "CAPACITY",
        ),
        Parameter(
            LOG_ARCHIVE_OPTION,
            "OPTIONAL COMPRESSION=ENABLE",
            "mode (MANDATORY, OPTIONAL), COMPRESSION (enable, disable, lz4_1.0, zstd_1.3.8) and ENCRYPTION_MODE (none, "
            "transparent_encryption) of log backups",
        ),
        Parameter(ENABLE_LOG_ARCHIVE, "False", "whether log is archived; set by ARCHIVELOG and NOARCHIVELOG", "BOOL"),
        Parameter(
            CHECKPOINT_INTERVAL,
            "120s",
            "age at which a segment is archived, however small [5s, 1h]",
            "TIME",
            least=5,
            most=3600,
            is_interval=True,
        ),
        Parameter(
            CONCURRENCY,
            "0",
            "number of threads that compress log; 0 means two [0, 100]",
            "INT",
            most=100,
        ),
        Parameter(
            RECOVERY_WINDOW, "0", "how far back a restore must be possible; 0 means no limit [0,)", "TIME", least=0
        ),
        Parameter(AUTO_DELETE, "False", "whether to delete backups that the recovery window does not need", "BOOL"),
        Parameter(AUTO_RESTART, "False", "whether to start a new round automatically after INTERRUPTED", "BOOL"),
        Parameter(
            SPOOL_LIMIT, "4G", "most log of a tenant that may wait to be archived [64M, size of the disk]", "CAPACITY"
        ),
        Parameter(
            SYNC_COMMIT, "False", "whether to acknowledge a commit only when it is in the archive (MANDATORY)", "BOOL"
        ),
        Parameter(
            SYNC_FALLBACK, "False", "whether to acknowledge commits unarchived after log_archive_sync_timeout", "BOOL"
        ),
        Parameter(
            SYNC_TIMEOUT,
            "10s",
            "longest time that a commit waits to be archived [100ms, 1h]",
            "TIME",
            least=0.1,
            most=3600,
        ),
        Parameter(
            ALLOW_SHORT_INTERVALS,
            "False",
            "whether to allow intervals down to 1 s, for tests",
            "BOOL",
        ),
    )
}
"""The parameters by name."""
