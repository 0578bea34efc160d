"""`redoubt start`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from redoubt.cli.printing import complain, console
from redoubt.config import Config, ConfigError, load_config
from redoubt.errors import RedoubtError
from redoubt.home import Home
from redoubt.logs import log_to
from redoubt.service import Service


def serve(home_path: Path, *, host: str | None, port: int | None, config_path: Path | None) -> int:
    """Run the service until SIGTERM or Ctrl-C; returns the exit status."""
    home = Home(home_path.absolute())
    try:
        config = _with_options(load_config(config_path), host, port)
        home.prepare()
        lock = home.lock()
    except RedoubtError as error:
        return _fail(error)
    log_to(home.log)
    try:
        asyncio.run(_serve(home, config))
    except RedoubtError as error:
        return _fail(error)
    finally:
        os.close(lock)
    return 0


async def _serve(home: Home, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    _say(f"starting in {home.path} (log: {home.log})")
    await Service(home, config).run(_print_ready, stop, _say)


def _say(text: str) -> None:
    console(error=True).print(text, style="dim")


def _print_ready(host: str, port: int) -> None:
    print(f"ready on {host}:{port}", flush=True)  # noqa: T201 - the one line that scripts wait for


def _with_options(config: Config, host: str | None, port: int | None) -> Config:
    """The configuration, overridden by the command line's host and port."""
    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    if port is not None and not 0 <= port <= 65535:  # noqa: PLR2004 - the range of ports
        raise ConfigError(f"--port {port} is not between 0 and 65535")
    return config.model_copy(update={"gateway": config.gateway.model_copy(update=given)})


def _fail(error: Exception) -> int:
    complain(error)
    return 1
