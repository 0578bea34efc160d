"""Runs a client's commands: passes them on to the engine, or answers Redoubt's own statements."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from redoubt.gateway.encoding import encode_text
from redoubt.gateway.faults import EngineGone, ProtocolError
from redoubt.gateway.forwarder import Forwarder
from redoubt.gateway.kill import killed_id, translate_kill_id, translate_kill_text
from redoubt.gateway.own_statements import OwnStatements
from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import Capability, Command
from redoubt.gateway.replies import Reply
from redoubt.gateway.session_grammar import SessionStatement, parse_session_statement
from redoubt.gateway.session_texts import SessionTexts
from redoubt.gateway.shapes import SHAPES, Shape
from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.effects import Effect
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import may_be_ours, parse, split
from redoubt.sql.statements import SECRET, MisspelledSecret

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redoubt.gateway.link import EngineLink
    from redoubt.gateway.local_files import NamedFiles
    from redoubt.gateway.seams import Neighbours, StatementHandler
    from redoubt.gateway.wire import Wire
    from redoubt.gateway.writes import Writes
    from redoubt.sql.statements import Statement
    from redoubt.sql.tokens import Modes

_WITHOUT_REPLY = (Command.STMT_SEND_LONG_DATA, Command.STMT_CLOSE)
_STATEMENT_COMMANDS = (
    Command.STMT_EXECUTE,
    Command.STMT_SEND_LONG_DATA,
    Command.STMT_CLOSE,
    Command.STMT_RESET,
    Command.STMT_FETCH,
)
_QUERY = bytes((Command.QUERY,))
_T = TypeVar("_T")


class Conversation:
    """A logged-in client and its engine: runs one command after the other; `writes` is None without a write gate."""

    def __init__(
        self,
        client: Wire,
        link: EngineLink,
        handler: StatementHandler,
        neighbours: Neighbours,
        writes: Writes | None,
    ) -> None:
        self.link = link
        self._neighbours = neighbours
        self._writes = writes
        self._forwarder = Forwarder(client, link, writes)
        self._texts = SessionTexts(link)
        self._own = OwnStatements(client, link, handler, self._forwarder, self._texts)
        self._files = self._texts.files

    async def run(self, raw: bytes) -> None:
        """Run the command of a one-part packet, given with its header. The reply has been sent when this returns."""
        command, argument = raw[4], raw[5:]
        if command == Command.QUERY:
            await self._query(raw, argument)
        elif command == Command.STMT_PREPARE:
            await self._prepare(raw, argument)
        elif command in _STATEMENT_COMMANDS:
            own = self._own.prepared(statement_id := int.from_bytes(argument[:4], "little"))
            if own:
                await self._own.run(command, statement_id, own)
            else:
                await self._run_statement(raw, command, statement_id)
        elif command in SHAPES:
            await self._run_session_command(raw, command, argument)
        else:
            self._own.refuse(SqlError(1047, "08S01", "Unknown command"))

    async def run_long(self, command: int) -> None:
        """Run a command that is too long to be Redoubt's, and is still in the client's buffer."""
        shape = SHAPES.get(command)
        if shape is None and command != Command.STMT_SEND_LONG_DATA:
            raise ProtocolError("the command is too long for its type")
        if shape is None:
            await self._forwarder.send_long()
            return
        self._texts.forget_diagnostics()
        effect = Effect.WRITE if command in (Command.QUERY, Command.STMT_EXECUTE) else Effect.READ
        await self._forwarder.run_long(shape, effect)

    async def _query(self, raw: bytes, argument: bytes) -> None:
        head = argument[:4].upper()
        if len(argument) > LONGEST_TEXT:
            self._texts.overlook(argument)
        elif may_be_ours(argument) or self._texts.concerned or head == b"PREP":
            modes = await self._ask(self.link.modes_for(argument))
            texts = split(argument.decode("utf-8", "surrogateescape"), modes)
            if len(texts) == 1:
                statement = _read(texts[0], modes)
                if statement and (answer := await self._own.answer(statement, 1)):
                    await self._own.send(answer)
                    return
            elif self.link.capabilities & Capability.MULTI_STATEMENTS and await self._is_any_ours(texts, modes):
                await self._several(texts)
                return
            elif any(isinstance(_read(text, modes), SECRET) for text in texts):  # several, which this client may not
                if answer := await self._own.answer(MisspelledSecret(), 1):
                    await self._own.send(answer)
                return
        elif head == b"KILL" and (target := killed_id(argument)) is not None:
            await self._kill(target, frame(_QUERY + translate_kill_text(argument, self._engine_id), 0), Shape.RESULTS)
            return
        await self._forward(raw, Shape.RESULTS, await self._effect_of(argument), files=self._files.of_text(argument))

    async def _is_any_ours(self, texts: list[str], modes: Modes) -> bool:
        """Tell whether any statement of one text is ours. Other sessions take their turn after each of them."""
        for text in texts:
            if _read(text, modes):
                return True
            await asyncio.sleep(0)
        return False

    async def _forward(
        self,
        raw: bytes | bytearray,
        shape: Shape,
        effect: Effect = Effect.READ,
        *,
        shift: int = 0,
        more: bool = False,
        files: NamedFiles = frozenset,
    ) -> Reply:
        """Make the engine run a command that may be a statement, and may read these local files."""
        if self._texts.concerned:
            self._texts.forget_diagnostics()
        return await self._forwarder.run(raw, shape, effect, shift=shift, more_follow=more, named_files=files)

    async def _kill(self, target: int, raw: bytes | bytearray, shape: Shape) -> None:
        """Make the engine kill a session's statement; if it succeeds, end the session's wait at the gate too."""
        victims = self._neighbours.writes_of(self.link.tenant, target)
        with ExitStack() as kills:
            for victim in victims:
                kills.enter_context(victim.killing())
            reply = await self._forwarder.run(raw, shape)
            if not reply.failed:
                for victim in victims:
                    victim.interrupt()

    async def _several(self, texts: list[str]) -> None:
        """Run the statements of one text in turn, up to the first error; the replies form one reply.

        The text was cut in the modes before it; each statement is read in the modes when its turn comes. If a statement
        ends sooner then, the rest of its piece is ignored. The engine does the same.
        """
        sequence = 1
        for index, piece in enumerate(texts, start=1):
            more = index < len(texts)
            modes = await self._ask(self.link.modes_for(encode_text(piece)), sequence)
            text = (split(piece, modes) or [piece])[0]
            statement = _read(text, modes)
            answer = await self._own.answer(statement, sequence, more=more) if statement else None
            if answer:
                await self._own.send(answer)
                sequence, failed = answer.sequence, answer.failed
            else:
                # With its semicolon: the engine ignores blanks at a text's end, and two dashes there open no comment.
                argument = encode_text(text) + b";" * more
                packet, effect = frame(_QUERY + argument, 0), await self._effect_of(argument, sequence)
                files = self._files.of_text(argument)
                reply = await self._forward(packet, Shape.RESULTS, effect, shift=sequence - 1, more=more, files=files)
                sequence, failed = reply.sequence, reply.failed
            if failed:
                return

    async def _prepare(self, raw: bytes, argument: bytes) -> None:
        if may_be_ours(argument):
            text = argument.decode("utf-8", "surrogateescape")
            if statement := parse(text, await self._ask(self.link.modes_for(argument))):
                self._own.prepare(statement, text)
                return
        effect = await self._effect_of(argument)
        reply = await self._forward(raw, Shape.PREPARED)
        if reply.statement_id is None:
            return
        self._files.remember(reply.statement_id, argument)
        if self._writes:
            self._writes.remember(reply.statement_id, effect)

    async def _run_statement(self, raw: bytes, command: int, statement_id: int) -> None:
        """Run a command on a prepared statement of the engine's."""
        effect = Effect.READ
        if self._writes and command == Command.STMT_EXECUTE:
            effect = self._writes.prepared(statement_id)
        elif command == Command.STMT_CLOSE:
            self._files.forget(statement_id)
            if self._writes:
                self._writes.forget(statement_id)
        if command in _WITHOUT_REPLY:
            await self._forwarder.send(raw)
        else:
            await self._forward(raw, SHAPES[command], effect, files=self._files.of_prepared(statement_id))

    async def _run_session_command(self, raw: bytes, command: int, argument: bytes) -> None:
        if command == Command.PROCESS_KILL:
            target = int.from_bytes(argument, "little")
            await self._kill(target, raw[:5] + translate_kill_id(argument, self._engine_id), SHAPES[command])
            return
        reply = await (self._forwarder.run if command == Command.PING else self._forward)(raw, SHAPES[command])
        if reply.failed:
            return
        if command == Command.SET_OPTION:
            on = argument == b"\0\0"
            flag = Capability.MULTI_STATEMENTS
            self.link.capabilities = self.link.capabilities | flag if on else self.link.capabilities & ~flag
        elif command == Command.RESET_CONNECTION:
            self._own.clear()
            self._texts.clear()
            self.link.kept.clear()
            if self._writes:
                self._writes.forget_all()

    async def _effect_of(self, text: bytes, sequence: int = 1) -> Effect:
        """Return the effect of a text; READ for a tenant without a gate."""
        return await self._ask(self._writes.effect_of(text), sequence) if self._writes else Effect.READ

    async def _ask(self, answer: Awaitable[_T], sequence: int = 1) -> _T:
        """Await what the engine says before a command is run; if the engine is lost meanwhile, tell the client."""
        try:
            return await answer
        except EngineGone:
            self._forwarder.tell_that_engine_went_away(sequence)
            raise

    def _engine_id(self, connection_id: int) -> int | None:
        return self._neighbours.engine_id(self.link.tenant, connection_id)


def _read(text: str, modes: Modes) -> Statement | SessionStatement | None:
    """Return the one statement in `text` if it can be ours."""
    return parse(text, modes) or parse_session_statement(text, modes)
