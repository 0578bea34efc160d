"""What a text costs before the engine sees it: `python -m benchmarks.parsing`.

`may_be_ours` is what every text pays. `all` is `may_be_ours`, and if it says yes, decoding, cutting and parsing, as the
gateway does. Processor time, so that other processes count less; no engine is needed.
"""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable
from typing import Final

from redoubt.sql.parser import may_be_ours, parse, split

OURS: Final = (
    "ALTER SYSTEM ARCHIVELOG",
    "ALTER SYSTEM ARCHIVELOG TENANT = t1, t2",
    "ALTER SYSTEM NOARCHIVELOG",
    "ALTER SYSTEM MINOR FREEZE",
    "ALTER SYSTEM MINOR FREEZE TENANT = (t1, t2) ZONE = 'z1'",
    "ALTER SYSTEM SET backup_dest = 'file:///data/nfs/backup'",
    "ALTER SYSTEM SET log_archive_concurrency = 0, gc_wait_archive = true",
    "ALTER SYSTEM SET backup_dest_option = 'recovery_window=7d&log_archive_piece_switch_interval=1d'",
    "ALTER SYSTEM SET LOG_ARCHIVE_DEST = 'LOCATION=file:///data/nfs BINDING=Optional' TENANT = t1",
    "ALTER SYSTEM SET LOG_ARCHIVE_DEST_STATE = 'DEFER' TENANT = t1",
    "SHOW PARAMETERS",
    "SHOW PARAMETERS LIKE 'backup%'",
    "SHOW PARAMETERS WHERE name = 'backup_dest'",
    "ALTER SYSTEM BACKUP DATABASE",
    "ALTER SYSTEM BACKUP INCREMENTAL DATABASE",
    "ALTER SYSTEM CANCEL BACKUP",
    "ALTER SYSTEM SUSPEND BACKUP",
    "ALTER SYSTEM RESUME BACKUP",
    "ALTER SYSTEM CANCEL ALL BACKUP FORCE",
    "ALTER SYSTEM DELETE BACKUPSET 3",
    "ALTER SYSTEM DELETE BACKUPPIECE 3 COPY 1",
    "ALTER SYSTEM DELETE BACKUPROUND 3",
    "ALTER SYSTEM DELETE OBSOLETE BACKUP",
    "ALTER SYSTEM DELETE OBSOLETE BACKUP PREVIEW",
    "ALTER SYSTEM CHANGE BACKUPSET 7 KEEP",
    "ALTER SYSTEM DELETE EXPIRED BACKUP",
    "ALTER SYSTEM CANCEL DELETE BACKUP",
    "ALTER SYSTEM VALIDATE DATABASE",
    "ALTER SYSTEM VALIDATE BACKUPSET 3",
    "ALTER SYSTEM CANCEL VALIDATE 3",
    "ALTER SYSTEM BACKUP BACKUPSET ALL",
    "ALTER SYSTEM BACKUP BACKUPPIECE ALL WITH ACTIVE",
    "ALTER SYSTEM CANCEL BACKUP BACKUPSET",
    "ALTER SYSTEM START BACKUP ARCHIVELOG",
    "ALTER SYSTEM STOP BACKUP ARCHIVELOG",
    "ALTER SYSTEM RESTORE t2 FROM t1 AT 'file:///b' UNTIL '2026-11-23 10:00:00' WITH 'pool_list=p1' PREVIEW",
    "ALTER SYSTEM RESTORE d.a, d.b FOR t2 FROM t1 AT 'file:///b' UNTIL '2026-11-23 10:00:00' WITH 'pool_list=p1'",
    "ALTER SYSTEM RESTORE s FROM 'file:///data,file:///log' UNTIL TIME = '2026-11-23 10:00:00' WITH 'pool_list=p1'",
    "ALTER SYSTEM CANCEL RESTORE s",
    "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED",
    "ALTER SYSTEM ACTIVATE STANDBY TENANT = s VERIFY",
    "ALTER SYSTEM SWITCHOVER TO PRIMARY TENANT = s",
    "ALTER SYSTEM ADD RESTORE SOURCE 'file:///data/nfs/backup'",
    "ALTER SYSTEM CLEAR RESTORE SOURCE",
    "ALTER SYSTEM CHANGE EXTERNAL_STORAGE_DEST PATH = 's3://b' SET ACCESS_INFO = 'access_id=a&access_key=b'",
    "SET ENCRYPTION ON IDENTIFIED BY 'pw' ONLY",
    "SET DECRYPTION IDENTIFIED BY 'pw', 'other'",
    "SET DECRYPTION BY 'pw'",
    "SHOW RESTORE PREVIEW",
    "CREATE TENANT t1",
    "CREATE TENANT IF NOT EXISTS t1 CHARSET = utf8mb4, RESOURCE_POOL_LIST = ('p1') SET ob_tcp_invited_nodes = '%'",
    "CREATE TENANT t1 SOURCE = 'seekdb:///data/app'",
    "DROP TENANT IF EXISTS t1 FORCE",
    "CREATE USER 'app'@'10.0.0.%' IDENTIFIED BY 'secret'",
    "SHOW TENANTS",
    "SHOW TENANTS LIKE 't%'",
)
"""Each statement as an administrator types it."""

OTHERS: Final = (
    "SELECT id, name, balance FROM account WHERE id = 12345 AND region = 'eu' ORDER BY id LIMIT 10",
    "SELECT tenant_id, created_at FROM account WHERE id = 12345",
    "INSERT INTO account (id, name, balance, region) VALUES (12345, 'some name', 100.25, 'eu')",
)
"""What an application sends."""


def cost_of(text: str, *, repeats: int, runs: int) -> tuple[float, float]:
    """Microseconds that `may_be_ours` takes, and all together: the median of `repeats`, each the mean of `runs`."""
    data = text.encode()
    return _median(lambda: may_be_ours(data), repeats, runs), _median(lambda: _as_the_gateway(data), repeats, runs)


def measure(*, repeats: int = 15, runs: int = 1000) -> None:
    """Print a table of all statements, and the dearest."""
    costs = {text: cost_of(text, repeats=repeats, runs=runs) for text in (*OURS, *OTHERS)}
    print("may_be_ours µs     all µs  text")
    for text, (first, whole) in costs.items():
        print(f"{first:14.2f} {whole:10.2f}  {text}")
    dearest = max(costs, key=lambda text: costs[text][1])
    print(f"dearest: {costs[dearest][1]:.2f} µs, {dearest}")


def _as_the_gateway(data: bytes) -> list[object]:
    return [parse(text) for text in split(data.decode("utf-8", "surrogateescape"))] if may_be_ours(data) else []


def _median(call: Callable[[], object], repeats: int, runs: int) -> float:
    return statistics.median(timeit.repeat(call, timer=time.process_time, repeat=repeats, number=runs)) / runs * 1e6


if __name__ == "__main__":
    measure()
