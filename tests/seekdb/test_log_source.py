"""The kernel's standby protocol, as a client of HTTP/2 sees it: the log in groups, refusals, and what is bounded."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from hypothesis import given
from hypothesis import strategies as st

from redoubt.engines.seekdb.log_source.answering import Answers
from redoubt.engines.seekdb.log_source.encoded import EncodedLog, NotAGroupError
from redoubt.engines.seekdb.log_source.messages import FetchLog, MessageError, decode_request, encode_answer
from redoubt.engines.seekdb.log_source.server import LogServer
from redoubt.model.log import LogPosition
from redoubt.model.standby import FedLog, NoLogError
from tests.restore.small import SmallArchive

_METHOD = "/standbyservice.StandbyService/fetch_log"


@dataclass
class Message:
    """A FetchLogRes, decoded here by the rules of Protocol Buffers."""

    buf: bytes = b""
    size: int = 0
    lsn: int = 0
    scn: int = 0


def varint(number: int) -> bytes:
    """A number as Protocol Buffers writes it."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def request(start_lsn: int, max_bytes: int) -> bytes:
    """A FetchLogReq with the prefix of gRPC."""
    message = b"\x08" + varint(start_lsn) + b"\x10" + varint(max_bytes)
    return struct.pack(">BI", 0, len(message)) + message


def messages_in(body: bytes) -> list[Message]:
    """The messages of an answer."""
    found, at = list[Message](), 0
    while at < len(body):
        compressed, size = struct.unpack_from(">BI", body, at)
        assert not compressed
        found.append(_message(body[at + 5 : at + 5 + size]))
        at += 5 + size
    return found


def _message(data: bytes) -> Message:
    values: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        key = data[at]
        number, at = _number(data, at + 1)
        if key & 7 == 2:
            values[key >> 3], at = data[at : at + number], at + number
        else:
            assert key & 7 == 0
            values[key >> 3] = number
    return Message(*(values.get(number, default) for number, default in ((1, b""), (2, 0), (3, 0), (4, 0))))  # type: ignore[arg-type]


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=20))
def test_requests_are_read_as_written(start: int, most: int, garbage: bytes) -> None:
    """All numbers; unknown fields are passed over, and nothing but MessageError comes of garbage."""
    assert decode_request(request(start, most)) == FetchLog(start, most)
    unknown = b"\x5a" + varint(len(garbage)) + garbage + b"\x61" + bytes(8) + b"\x6d" + bytes(4)
    message = request(start, most)[5:] + unknown
    assert decode_request(struct.pack(">BI", 0, len(message)) + message) == FetchLog(start, most)
    with suppress(MessageError):
        decode_request(garbage)
    with suppress(MessageError):
        decode_request(struct.pack(">BI", 0, len(garbage)) + garbage)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_each_message_is_one_group(runs: list[int], data: st.DataObject) -> None:
    """From any group on, some bytes: whole groups, at least one, with their places and SCNs."""
    archive = SmallArchive()
    archive.write_unarchived(sum(runs))
    encoded = EncodedLog(FedLog(archive.ends[0], archive.end, archive.log))
    first = data.draw(st.integers(0, len(archive.ends) - 2))
    most = data.draw(st.integers(1, len(archive.log) + 1))
    lsn = archive.ends[first].lsn
    body, after = encoded.messages(lsn, most)
    found = messages_in(bytes(body))
    last = next(index for index, end in enumerate(archive.ends) if index > first and end.lsn >= min(lsn + most, after))
    assert after == archive.ends[last].lsn
    assert [(each.lsn, each.size, each.scn) for each in found] == [
        (archive.ends[index].lsn, archive.ends[index + 1].lsn - archive.ends[index].lsn, archive.ends[index + 1].scn)
        for index in range(first, last)
    ]
    assert b"".join(each.buf for each in found) == archive.log[lsn:after]
    with pytest.raises(NotAGroupError):
        encoded.messages(lsn + 1, 1)
    assert _message(encode_answer(b"", 0, 7)[5:]) == Message(scn=7)


@dataclass
class Feed:
    """A `LogFeed` of runs; `failing` is called first."""

    archive: SmallArchive
    failing: Callable[[], None] = lambda: None
    reads: int = 0

    def log_at(self, lsn: int) -> FedLog | None:
        """See `LogFeed`: two groups at a time."""
        self.failing()
        self.reads += 1
        ends = self.archive.ends
        if lsn >= self.archive.end.lsn:
            return None
        first = next(index for index, end in enumerate(ends) if end.lsn > lsn) - 1
        first -= first % 2
        start, end = ends[first], ends[min(first + 2, len(ends) - 1)]
        return FedLog(start, end, self.archive.log[start.lsn : end.lsn])

    def end(self, *, is_new: bool = False) -> LogPosition:
        """See `LogFeed`."""
        return self.archive.end


@dataclass
class Answer:
    """What came back of one call."""

    status: int = -1
    why: str = ""
    body: bytearray = field(default_factory=bytearray)
    is_over: bool = False


class Client:
    """One connection of HTTP/2."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.http = H2Connection(H2Configuration())
        self._reader = reader
        self.writer = writer
        self.answers: dict[int, Answer] = {}
        self.is_closed = False
        self.http.initiate_connection()

    async def close(self) -> None:
        """End the connection."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def call(self, body: bytes, path: str = _METHOD) -> Answer:
        """Send a call."""
        stream = self.http.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x")]
        self.http.send_headers(stream, [*headers, ("content-type", "application/grpc"), ("te", "trailers")])
        self.http.send_data(stream, body, end_stream=True)
        return self.answers.setdefault(stream, Answer())

    async def until(self, done: Callable[[], bool], *, takes_data: bool = True) -> None:
        """Send and receive until something is so, or the server has closed the connection."""
        async with asyncio.timeout(20):
            while True:
                self.writer.write(self.http.data_to_send())
                if done() or self.is_closed:
                    return
                try:
                    data = await self._reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    self.is_closed = True
                    return
                for event in self.http.receive_data(data):
                    self._take(event, takes_data=takes_data)

    def _take(self, event: object, *, takes_data: bool) -> None:
        match event:
            case ConnectionTerminated():
                self.is_closed = True
            case DataReceived(stream_id=stream):
                self.answers[stream].body += event.data
                if takes_data:
                    self.http.acknowledge_received_data(event.flow_controlled_length, stream)
            case ResponseReceived():
                assert dict(event.headers)[b":status"] == b"200"
            case TrailersReceived(stream_id=stream):
                headers = dict(event.headers)
                self.answers[stream].status = int(headers[b"grpc-status"])
                self.answers[stream].why = headers.get(b"grpc-message", b"").decode()
            case StreamEnded(stream_id=stream) | StreamReset(stream_id=stream):
                self.answers[stream].is_over = True


@dataclass
class Served:
    """A source, its address, and what it told of refusals."""

    feed: Feed
    server: LogServer
    port: int
    refused: list[str] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        """A new connection."""
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def asked(self, lsn: int, most: int = 1 << 24) -> Answer:
        """One call on a connection of its own."""
        client = await self.client()
        answer = client.call(request(lsn, most))
        await client.until(lambda: answer.is_over)
        await self.clients.pop().close()
        return answer


@asynccontextmanager
async def served(groups: int = 7) -> AsyncIterator[Served]:
    """A source with so many groups of log."""
    archive = SmallArchive()
    archive.write_unarchived(groups)
    feed, refused = Feed(archive), list[str]()
    server = LogServer(Answers(feed), refused.append)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    await server.listen(listening)
    source = Served(feed, server, port, refused)
    try:
        yield source
    finally:
        for client in source.clients:
            await client.close()
        await server.close()


def run(test: Callable[[Served], Awaitable[None]], groups: int = 7) -> None:
    """Run a test of a source."""

    async def whole() -> None:
        async with served(groups) as source:
            await test(source)

    asyncio.run(whole())


def test_a_call_gets_groups_and_then_the_end() -> None:
    """All from a place on, or some bytes; nothing new is an end alone. Each run is read once for all who ask."""

    async def test(source: Served) -> None:
        archive = source.feed.archive
        for first, end in enumerate(archive.ends):
            answer = await source.asked(end.lsn)
            found = messages_in(bytes(answer.body))
            assert answer.status == 0
            assert b"".join(each.buf for each in found) == archive.log[end.lsn :]
            assert len(found) == len(archive.ends) - first
            assert found[-1] == Message(scn=archive.end.scn)
        assert source.feed.reads == 4 + len(archive.ends), "four runs once; and that there is no more, each time"
        one = messages_in(bytes((await source.asked(0, 1)).body))
        assert [each.lsn for each in one] == [0, 0], "one group, and the end"
        assert source.server.received.lsn == 0
        await source.asked(archive.end.lsn)
        assert source.server.received == archive.end

    run(test)


def test_log_can_be_stopped_and_ended_with_other_log() -> None:
    """No group behind the place is served; then what was appended there; or all again."""

    async def test(source: Served) -> None:
        archive = source.feed.archive
        limit = archive.ends[3]
        source.server.stop_at(limit.lsn)
        assert len(messages_in(bytes((await source.asked(0)).body))) == 3 + 1
        assert len(messages_in(bytes((await source.asked(limit.lsn)).body))) == 1
        other = SmallArchive()
        other.ends[0] = limit
        other.log = bytes(limit.lsn)
        other.write_unarchived(1, b"undo")
        last = FedLog(limit, other.end, other.log[limit.lsn :])
        source.server.append(last)
        appended = messages_in(bytes((await source.asked(limit.lsn)).body))
        assert [each.buf for each in appended] == [last.data, b""]
        assert appended[-1].scn == last.end.scn
        assert len(messages_in(bytes((await source.asked(last.end.lsn)).body))) == 1
        assert source.server.received == last.end
        source.server.stop_at(None)
        assert len(messages_in(bytes((await source.asked(0)).body))) == 7 + 1

    run(test)


def test_what_cannot_be_answered_is_refused_by_name() -> None:
    """Other methods, garbage in the place of a message, log that is not there, a place that is no group."""

    async def test(source: Served) -> None:
        client = await source.client()
        other = client.call(request(0, 1), "/standbyservice.StandbyService/fetch_macro_block")
        garbage = client.call(b"\0\0\0\0\x02\x08")
        long = client.call(request(0, 1) + bytes(10_000))
        await client.until(lambda: other.is_over and garbage.is_over and long.is_over)
        assert (other.status, garbage.status, long.status) == (12, 3, 3)
        assert source.refused == []
        assert (await source.asked(1)).status == 9

        def fail() -> None:
            raise NoLogError("the log is, as it were, 100 % gone")

        source.feed.failing = fail
        answer = await source.asked(source.feed.archive.ends[4].lsn)
        assert (answer.status, answer.why) == (9, "the log is, as it were, 100 %25 gone")
        assert [each.partition(" (asked")[0] for each in source.refused] == [
            "no group begins at LSN 1",
            "the log is, as it were, 100 % gone",
        ]
        source.feed.failing = lambda: None
        assert (await source.asked(0)).status == 0

    run(test)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", bytes(range(256)) * 300])
def test_garbage_ends_the_connection_alone(sent: bytes) -> None:
    """Others are served meanwhile."""

    async def test(source: Served) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(sent)
        writer.write_eof()
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 20)
        assert (await source.asked(0)).status == 0
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    run(test)


def test_a_client_that_does_not_read_holds_up_no_other() -> None:
    """Its window is full, and its call waits; another call on the same connection, and other connections, go on."""

    async def test(source: Served) -> None:
        archive = source.feed.archive
        client = await source.client()
        stalled = client.call(request(0, 1 << 24))
        await client.until(lambda: len(stalled.body) >= 65535, takes_data=False)
        assert not stalled.is_over
        assert (await source.asked(archive.ends[-2].lsn)).status == 0
        for stream in client.answers:
            client.http.acknowledge_received_data(len(stalled.body), stream)
        await client.until(lambda: stalled.is_over)
        assert b"".join(each.buf for each in messages_in(bytes(stalled.body))) == archive.log

    run(test, groups=1000)


def test_connections_and_calls_are_bounded() -> None:
    """The connection after the last one is closed at once; too many calls end their connection, no other."""

    async def test(source: Served) -> None:
        clients = [await source.client() for _ in range(64)]
        for client in clients:
            settings = client.http.remote_settings
            await client.until(lambda settings=settings: settings.max_concurrent_streams == 8)  # type: ignore[misc]
        one_more = await source.client()
        await one_more.until(lambda: False)
        assert one_more.is_closed
        many = clients.pop()
        for _ in range(8):
            many.call(request(0, 1 << 24))
        many.http.remote_settings.acknowledge()
        many.http._open_streams = lambda remainder: 0  # type: ignore[method-assign]
        many.call(request(0, 1 << 24))
        await many.until(lambda: False, takes_data=False)
        assert many.is_closed
        answer = clients[0].call(request(0, 1))
        await clients[0].until(lambda: answer.is_over)
        assert answer.status == 0

    run(test, groups=1000)
