"""Structured logs: one event a line, as JSON, with UTC time. Logs hold no passwords, packets or row data."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

import structlog

_FILE_SIZE = 16 * 1024 * 1024
_FILES = 4


def log_to(path: Path) -> None:
    """Send this process's log to a file. The file is rotated at 16 MiB; four old files are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_FILE_SIZE, backupCount=_FILES, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            foreign_pre_chain=_COMMON,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[*_COMMON, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


_COMMON: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
