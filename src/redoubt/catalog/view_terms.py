"""SQL terms shared by several views. Columns hold SCNs and times in ns since the epoch, sizes in bytes."""

from __future__ import annotations

from typing import Final

from redoubt.catalog.tables import MAX_SCN

NOW: Final = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', utc_timestamp(6))"
"""Now, in microseconds since the epoch. The engine stores a view's now(6) as now(), up to a second earlier."""


def time(scn: str) -> str:
    """An SCN as timestamp(6), NULL for 0."""
    return f"CASE WHEN {scn} = 0 THEN NULL ELSE usec_to_time({scn} DIV 1000) END"


def time_text(scn: str) -> str:
    """An SCN as OceanBase's text of 26 characters: empty for 0, MAX for no end."""
    return (
        f"CAST(CASE WHEN {scn} = 0 THEN '' WHEN {scn} = {MAX_SCN} THEN 'MAX' "
        f"ELSE usec_to_time({scn} DIV 1000) END AS CHAR(26))"
    )


def scn_display(scn: str) -> str:
    """An SCN as datetime(6), as 4.x shows it: NULL for 0 and for no end."""
    return f"CAST(CASE WHEN {scn} IN (0, {MAX_SCN}) THEN NULL ELSE usec_to_time({scn} DIV 1000) END AS DATETIME(6))"


def bigint(number: str) -> str:
    """A number as a bigint of 20 digits: the engine derives a column's width from the width of the text."""
    return f"CAST(CAST({number} AS CHAR(20)) AS SIGNED)"


def size_text(size: str, width: int = 27) -> str:
    """A size as OceanBase shows it: at least MB, up to PB, by 1024, two decimals."""
    units = ("MB", "GB", "TB", "PB")
    whens = "".join(
        f" WHEN {size} < {1024 ** (power + 3)} THEN CONCAT(ROUND({size} / {1024 ** (power + 2)}, 2), '{unit}')"
        for power, unit in enumerate(units[:-1])
    )
    return f"CAST(CASE{whens} ELSE CONCAT(ROUND({size} / {1024**5}, 2), 'PB') END AS CHAR({width}))"


def ratio(output: str, whole: str) -> str:
    """`output` in relation to `whole`; NULL for 0/0."""
    return f"CAST(ROUND({output} / {whole}, 2) AS DECIMAL(23,2))"


def rate_text(rate: str) -> str:
    """A rate in bytes a second as OceanBase shows it: MB/S or GB/S, two decimals."""
    mb, gb = 1024**2, 1024**3
    return (
        f"CAST(CASE WHEN {rate} < {gb} THEN CONCAT(ROUND({rate} / {mb}, 2), 'MB/S') "
        f"WHEN {rate} >= {gb} THEN CONCAT(ROUND({rate} / {gb}, 2), 'GB/S') END AS CHAR(33))"
    )
