"""Writers for the benchmarks: as fast as they can, or at a given pace."""

from __future__ import annotations

import threading
import time

from redoubt.cli.demo_cluster import DemoCluster

_SMALL = "INSERT INTO test.t (a, note) VALUES ({number}, 'customer {number} status open')"


def make_table(cluster: DemoCluster) -> None:
    """The table that the writers fill."""
    with cluster.connect("root@main") as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS test.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, note VARCHAR(200))"
        )


def write_for(
    cluster: DemoCluster,
    seconds: float,
    connections: int,
    *,
    rows: int = 1,
    pace: float | None = None,
    latencies: list[float] | None = None,
) -> list[int]:
    """When each commit was acknowledged, in ns since the epoch; `pace` is in commits a second over all connections.

    How long each took is added to `latencies`, in seconds.
    """
    acknowledged: list[list[int]] = [[] for _ in range(connections)]
    end = time.monotonic() + seconds

    def write(into: list[int]) -> None:
        with cluster.connect("root@main") as connection, connection.cursor() as cursor:
            due = time.monotonic()
            while time.monotonic() < end:
                began = time.perf_counter()
                if rows == 1:
                    cursor.execute(_SMALL.format(number=len(into)))
                else:
                    values = ", ".join(f"({n * 7919 % 100003}, 'customer {n * 104729 % 9973}')" for n in range(rows))
                    cursor.execute(f"INSERT INTO test.t (a, note) VALUES {values}")
                into.append(time.time_ns())
                if latencies is not None:
                    latencies.append(time.perf_counter() - began)
                if pace is not None:
                    due += connections / pace
                    time.sleep(max(0.0, due - time.monotonic()))

    threads = [threading.Thread(target=write, args=(into,)) for into in acknowledged]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(moment for into in acknowledged for moment in into)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
