"""Prometheus metrics: progress and health of each tenant's archive. Served over HTTP if configured.

A scrape returns the last measured values, at most a quarter of a second old; it asks no engine and no destination.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import GaugeMetricFamily, Metric, StateSetMetricFamily
from prometheus_client.registry import Collector

from redoubt.control.backups.data_backups import DataBackups
from redoubt.control.modes.commits import SyncState
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.rounds.archiving import Archiving
from redoubt.model.health import Health
from redoubt.model.rounds import RoundStatus

_GAUGES: dict[str, tuple[str, Callable[[TenantArchive], float]]] = {
    "redoubt_archive_backlog_bytes": ("Bytes of log that are not durable in the archive yet.", lambda a: a.backlog),
    "redoubt_archive_spool_limit_bytes": ("The backlog beyond which the mode decides what happens.", lambda a: a.limit),
    "redoubt_archive_lag_seconds": ("Seconds that the archive is behind; 0 without a backlog.", lambda a: a.lag),
    "redoubt_write_gate_closed": ("1 while writing statements wait.", lambda a: a.gate.is_closed),
}
_ROUND_GAUGES = {
    "redoubt_archived_up_to_timestamp_seconds": ("MAX_NEXT_TIME; 0 if not known yet.", "checkpoint_scn", 1e9),
    "redoubt_archive_input_bytes": ("Bytes of log archived in the present round.", "input_bytes", 1),
    "redoubt_archive_output_bytes": ("Bytes of the objects that hold this log.", "output_bytes", 1),
}


class ArchiveCollector(Collector):
    """Reads the figures at each scrape."""

    def __init__(self, archiving: Archiving, backups: DataBackups) -> None:
        self._archiving = archiving
        self._backups = backups

    def collect(self) -> Iterator[Metric]:
        """One family per figure, one sample per tenant."""
        archives, now = self._archiving.archives, self._archiving.round
        for name, (text, figure) in _GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=["tenant"])
            for archive in archives:
                family.add_metric([archive.tenant.name], figure(archive))
            yield family
        for name, (text, field, divisor) in _ROUND_GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=["tenant"])
            for archive in archives:
                tenant = now.tenants.get(archive.tenant.tenant_id)
                family.add_metric([archive.tenant.name], getattr(tenant, field) / divisor if tenant else 0)
            yield family
        yield GaugeMetricFamily("redoubt_log_archive_round", "The number of the present round.", value=now.round_id)
        for name, text, value in (
            ("redoubt_data_backup_running", "1 while a data backup runs.", self._backups.is_running),
            (
                "redoubt_data_backup_snapshot_timestamp_seconds",
                "The snapshot of the last data backup that succeeded; 0 if none succeeded.",
                self._backups.last_snapshot / 1e9,
            ),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        status = StateSetMetricFamily("redoubt_log_archive_status", "STATUS of the round.")
        status.add_metric([], {str(each): each is now.status for each in RoundStatus})
        health = StateSetMetricFamily("redoubt_archive_health", "Health of the tenant's archiving.", None, ["tenant"])
        sync = StateSetMetricFamily("redoubt_sync_commit", "How commits are acknowledged.", None, ["tenant"])
        for archive in archives:
            health.add_metric([archive.tenant.name], {str(each): each is archive.health for each in Health})
            sync.add_metric([archive.tenant.name], {str(each): each is archive.commits.state for each in SyncState})
        yield from (status, health, sync)


class MetricsServer:
    """Serves `/metrics` from a thread of its own."""

    def __init__(self, archiving: Archiving, backups: DataBackups) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(ArchiveCollector(archiving, backups))
        self._stop: Callable[[], None] = lambda: None

    def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Port 0 takes a free port. Raises OSError."""
        server, thread = start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop
        return int(server.server_port)

    def stop(self) -> None:
        """Close the port."""
        self._stop()
