"""`redoubt serve`: the log of an archive as the source of standby engines."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from redoubt.archive.archived_log import ArchivedLog
from redoubt.cli.printing import Changes, complain
from redoubt.cli.rehearsing import chosen_tenant, moment_of, utc_text
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError

_SAY_EVERY = 60.0
_LAST_PORT = 65535


class ServeError(RedoubtError):
    """The options do not go together; the text says what to change."""


@dataclass(frozen=True)
class ServeOptions:
    """What to serve, and where: see the options of the command."""

    uri: str
    tenant: str | None
    until: str | None
    scn: int | None
    utc: bool
    listen: str
    interval: float
    certificate: Path | None
    key: Path | None
    authority: Path | None


def serve(options: ServeOptions) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit status: 0, or 1 if that could not be done."""
    try:
        asyncio.run(_serve(options))
    except (RedoubtError, OSError) as error:
        complain(error)
        return 1
    return 0


async def _serve(options: ServeOptions) -> None:
    host, port = _address(options.listen)
    tls = _tls(options, host)
    destination = open_destination(options.uri)
    tenant = await asyncio.to_thread(chosen_tenant, destination, options.tenant)
    kind = engine_kind(tenant.engine_kind)
    until = moment_of(options.until, options.scn, utc=options.utc)
    feed = ArchivedLog(destination, tenant, kind.cutter, until=until, interval=options.interval)
    start = await asyncio.to_thread(feed.start_lsn)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    source = kind.log_source(feed, Changes(complain).tell)
    listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    port = listening.getsockname()[1]
    await source.listen(listening, tls)
    try:
        _say(f"serving the log of tenant {tenant} from LSN {start} on, to engines with log_restore_source = ", end="")
        _say(f"'{host}:{port}'")
        while not ended.is_set():
            end = await asyncio.to_thread(feed.end)
            _say(f"the log goes up to {utc_text(end.scn)} (LSN {end.lsn})")
            try:
                async with asyncio.timeout(_SAY_EVERY):
                    await ended.wait()
            except TimeoutError:
                continue
    finally:
        await source.close()


def _address(text: str) -> tuple[str, int]:
    """The host and the port of `--listen`. Raises ServeError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdecimal() and int(port) <= _LAST_PORT
    if not is_port or not _is_ip(host):
        raise ServeError(f"--listen {text} is no address: write an IP address and a port, such as 127.0.0.1:2882")
    return host, int(port)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _tls(options: ServeOptions, host: str) -> ssl.SSLContext | None:
    """The context for mutual TLS; None without, which only loopback may be. Raises ServeError."""
    files = (options.certificate, options.key, options.authority)
    if not any(files):
        if not ip_address(host).is_loopback:
            raise ServeError(
                f"--listen {options.listen} can be reached by others, who could read all data: give --tls-cert, "
                "--tls-key and --tls-ca, or listen on 127.0.0.1"
            )
        return None
    if options.certificate is None or options.key is None or options.authority is None:
        raise ServeError("give all of --tls-cert, --tls-key and --tls-ca, or none of them")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.key)
        context.load_verify_locations(options.authority)
    except (OSError, ssl.SSLError) as error:
        raise ServeError(f"cannot use the certificates: {error}") from error
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - one line at a time, for scripts that wait for a line
