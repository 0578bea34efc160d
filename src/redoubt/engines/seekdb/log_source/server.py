"""Serves log to engines over gRPC, as the kernel's own log source does: HTTP/2 with one method, `fetch_log`.

What a client may cost is bounded: the number of connections, of calls, the time of a call, the size of a request. A
client that reads slowly waits for its own window, and its call ends when its time is over; a standby asks again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote

import structlog
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from redoubt.engines.seekdb.log_source.answering import Answers
from redoubt.engines.seekdb.log_source.encoded import NotAGroupError
from redoubt.engines.seekdb.log_source.messages import FetchLog, MessageError, decode_request
from redoubt.errors import RedoubtError
from redoubt.model.log import LogPosition
from redoubt.model.standby import FedLog

_METHOD = b"/standbyservice.StandbyService/fetch_log"
_OK, _INVALID, _PRECONDITION, _UNIMPLEMENTED, _UNAVAILABLE, _EXHAUSTED = 0, 3, 9, 12, 14, 8
"""Status codes of gRPC."""
_MOST_CONNECTIONS = 64
_MOST_CALLS = 8
"""The most calls at a time on a connection."""
_LONGEST_REQUEST = 1024
_LONGEST_CALL = 120.0
_IDLE = 300.0
"""Seconds after which a silent connection is closed: a standby asks ten times a second."""
_READ = 64 * 1024
_log = structlog.get_logger("redoubt.log_source")


class LogServer:
    """Serves the log of `answers`. `refused` is told why a call was refused, for people."""

    def __init__(self, answers: Answers, refused: Callable[[str], None]) -> None:
        self._answers = answers
        self._refused = refused
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """See `LogSource`."""
        self._server = await asyncio.start_server(self._serve, sock=listening, ssl=tls)

    def stop_at(self, lsn: int | None) -> None:
        """See `LogSource`."""
        self._answers.stop_at(lsn)

    def append(self, last: FedLog) -> None:
        """See `LogSource`."""
        self._answers.append(last)

    @property
    def received(self) -> LogPosition:
        """See `LogSource`."""
        return self._answers.received

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await _Connection(self._answers, self._refused, reader, writer).run()
        except (OSError, TimeoutError, ProtocolError) as error:
            _log.debug("a connection of a standby ended", cause=repr(error))
        finally:
            self._connections.discard(task)
            writer.close()


@dataclass
class _Call:
    """A call that is being received or answered."""

    is_known: bool
    body: bytearray = field(default_factory=bytearray)
    task: asyncio.Task[None] | None = None


class _Connection:
    """One client's connection."""

    def __init__(
        self,
        answers: Answers,
        refused: Callable[[str], None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._answers = answers
        self._refused = refused
        self._reader = reader
        self._writer = writer
        self._http = H2Connection(H2Configuration(client_side=False))
        self._calls: dict[int, _Call] = {}
        self._moved = asyncio.Event()
        """Set when the client has made room for more data."""

    async def run(self) -> None:
        """Serve the client until it goes. Raises OSError, TimeoutError, ProtocolError."""
        self._http.initiate_connection()
        self._http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_CALLS})
        await self._flush()
        try:
            async with asyncio.TaskGroup() as tasks:
                while data := await self._received():
                    for event in self._http.receive_data(data):
                        self._take(event, tasks)
                    await self._flush()
                for call in self._calls.values():
                    if call.task is not None:
                        call.task.cancel()
        except* (OSError, TimeoutError) as group:
            raise group.exceptions[0] from None
        except* ProtocolError as group:
            with suppress(OSError):
                await self._flush()  # says what the client did wrong
            raise group.exceptions[0] from None

    async def _received(self) -> bytes:
        async with asyncio.timeout(_IDLE):
            return await self._reader.read(_READ)

    async def _flush(self) -> None:
        if data := self._http.data_to_send():
            self._writer.write(data)
            async with asyncio.timeout(_IDLE):
                await self._writer.drain()

    def _take(self, event: Event, tasks: asyncio.TaskGroup) -> None:
        match event:
            case RequestReceived(stream_id=int(stream)):
                self._calls[stream] = _Call((b":path", _METHOD) in (event.headers or ()))
            case DataReceived(stream_id=int(stream)):
                self._http.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                if (call := self._calls.get(stream)) is not None:
                    call.body += (event.data or b"")[: _LONGEST_REQUEST + 1 - len(call.body)]
            case StreamEnded(stream_id=int(stream)) if stream in self._calls:
                self._calls[stream].task = tasks.create_task(self._answer(stream, self._calls[stream]))
            case StreamReset(stream_id=int(stream)):
                if (gone := self._calls.pop(stream, None)) is not None and gone.task is not None:
                    gone.task.cancel()
            case WindowUpdated() | RemoteSettingsChanged():
                self._moved.set()

    async def _answer(self, stream: int, call: _Call) -> None:
        try:
            async with asyncio.timeout(_LONGEST_CALL):
                status, why = await self._answered(stream, call)
            self._end(stream, status, why)
        except TimeoutError:
            with suppress(ProtocolError):
                self._http.reset_stream(stream, ErrorCodes.CANCEL)
        except ProtocolError:
            return  # the client has ended the call
        finally:
            self._calls.pop(stream, None)
            await self._flush()

    async def _answered(self, stream: int, call: _Call) -> tuple[int, str]:
        """Send the log that a call asks for; the status and the cause. Raises ProtocolError if the call has ended."""
        self._http.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        if not call.is_known:
            return _UNIMPLEMENTED, f"this source answers {_METHOD.decode()} alone"
        try:
            request: FetchLog = decode_request(bytes(call.body))
            async for part in self._answers.to(request):
                await self._send(stream, part)
        except MessageError as error:
            return _INVALID, str(error)
        except (RedoubtError, NotAGroupError) as error:
            self._refused(f"{error} (asked for log from LSN {request.start_lsn} on)")
            return _PRECONDITION, str(error)
        return _OK, ""

    async def _send(self, stream: int, data: bytes | memoryview) -> None:
        """Send data as the client makes room for it."""
        view = memoryview(data)
        while view:
            self._moved.clear()
            room = min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)
            if room <= 0:
                await self._moved.wait()
                continue
            self._http.send_data(stream, bytes(view[:room]))
            view = view[room:]
            await self._flush()

    def _end(self, stream: int, status: int, why: str) -> None:
        trailers = [("grpc-status", str(status))]
        if why:
            trailers.append(("grpc-message", quote(why, safe=" !#$&'()*+,/:;=?@[]")))
        self._http.send_headers(stream, trailers, end_stream=True)
