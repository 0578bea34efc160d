"""Prometheus metrics: how far each tenant's archive is, and how it is doing. Served over HTTP where that is configured.

Figures are those of the last look (a quarter of a second ago at most); a scrape asks no engine and no destination.
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
    "redoubt_archive_backlog_bytes": ("Log that is written and not durable in the archive.", lambda a: a.backlog),
    "redoubt_archive_spool_limit_bytes": ("The backlog beyond which the mode decides.", lambda a: a.limit),
    "redoubt_archive_lag_seconds": ("How far the archive is behind the log; 0 when nothing waits.", lambda a: a.lag),
    "redoubt_write_gate_closed": ("1 while writing statements wait.", lambda a: a.gate.is_closed),
}
_ROUND_GAUGES = {
    "redoubt_archived_up_to_timestamp_seconds": ("MAX_NEXT_TIME, 0 for none.", "checkpoint_scn", 1e9),
    "redoubt_archive_input_bytes": ("Log archived in the present round.", "input_bytes", 1),
    "redoubt_archive_output_bytes": ("Objects that hold it.", "output_bytes", 1),
}


class ArchiveCollector(Collector):
    """Reads the figures when it is scraped."""

    def __init__(self, archiving: Archiving, backups: DataBackups) -> None:
        self._archiving = archiving
        self._backups = backups

    def collect(self) -> Iterator[Metric]:
        """One family a figure, one sample a tenant."""
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
            ("redoubt_data_backup_running", "1 while a data backup is under way.", self._backups.is_running),
            (
                "redoubt_data_backup_snapshot_timestamp_seconds",
                "The snapshot of the last data backup that succeeded, 0 for none.",
                self._backups.last_snapshot / 1e9,
            ),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        status = StateSetMetricFamily("redoubt_log_archive_status", "STATUS of the round.")
        status.add_metric([], {str(each): each is now.status for each in RoundStatus})
        health = StateSetMetricFamily(
            "redoubt_archive_health", "How the tenant's archiving is doing.", None, ["tenant"]
        )
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
        """Listen; the port. Port 0 takes a free one. Raises OSError."""
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
