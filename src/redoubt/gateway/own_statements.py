"""Redoubt's own statements in a session: answers them, and keeps those that are prepared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog

from redoubt.gateway.encoding import AnswerPackets, add_answer, add_prepared, error_payload, ok_payload
from redoubt.gateway.faults import EngineGone, SessionOver
from redoubt.gateway.packets import PacketBuilder, frame
from redoubt.gateway.prepared import PreparedStatement, PreparedStatements
from redoubt.gateway.protocol import Command, Status
from redoubt.gateway.session_grammar import Execute, SessionStatement, ShowDiagnostics
from redoubt.printable import printable
from redoubt.sql.answers import Answer, Ok
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import ShowParameters, ShowRestorePreview, ShowTenants

if TYPE_CHECKING:
    from redoubt.gateway.forwarder import Forwarder
    from redoubt.gateway.link import EngineLink
    from redoubt.gateway.seams import StatementHandler
    from redoubt.gateway.session_texts import SessionTexts
    from redoubt.gateway.wire import Wire
    from redoubt.sql.statements import Statement

_SHOWING = ShowParameters | ShowTenants | ShowRestorePreview
_ACCESS = re.compile(r"(://[^\s?'\"]*)\?[^\s'\"]*")
"""The part of a destination's text in which keys stand."""
_KEY = re.compile(r"((?:access_(?:id|key)|password)\s*=)[^,)]*", re.IGNORECASE)
"""A key outside of a destination's text: mistyped, or in the wrong place. All that follows may be part of it."""
_LONGEST_STATEMENT = 1000
_log = structlog.get_logger(__name__)


class OwnStatements:
    """One per session; `texts` is the session's memory of statements in text form."""

    def __init__(
        self, client: Wire, link: EngineLink, handler: StatementHandler, forwarder: Forwarder, texts: SessionTexts
    ) -> None:
        self._client = client
        self._link = link
        self._handler = handler
        self._forwarder = forwarder
        self._texts = texts
        self._prepared = PreparedStatements()

    def prepared(self, statement_id: int) -> PreparedStatement | None:
        """Return the prepared statement of that id, None if the id is the engine's."""
        return self._prepared.get(statement_id)

    def clear(self) -> None:
        """Forget all prepared statements."""
        self._prepared.clear()

    def prepare(self, statement: Statement, text: str) -> None:
        """Keep a statement, and tell the client its id and columns."""
        try:
            statement_id = self._prepared.add(statement, text)
        except SqlError as error:
            self.refuse(error)
            return
        columns = self._handler.columns(statement, self._link.tenant)
        packets = PacketBuilder(1)
        add_prepared(packets, statement_id, columns, self._status(), deprecate_eof=self._link.deprecate_eof)
        self._client.send(packets.data)

    async def run(self, command: int, statement_id: int, own: PreparedStatement) -> None:
        """Run a command on a prepared statement."""
        if command == Command.STMT_EXECUTE:
            answer = await self.answer(own.statement, 1, prepared=own)
            assert answer
            await self.send(answer)
        elif command == Command.STMT_CLOSE:
            self._prepared.close(statement_id)
        elif command == Command.STMT_RESET:
            self._client.send(frame(ok_payload(Ok(), self._status()), 1))
        elif command == Command.STMT_FETCH:
            self.refuse(SqlError(1421, "HY000", f"The statement ({statement_id}) has no open cursor."))

    async def answer(
        self,
        statement: Statement | SessionStatement,
        sequence: int,
        *,
        more: bool = False,
        prepared: PreparedStatement | None = None,
    ) -> AnswerPackets | None:
        """Answer a statement; None leaves the statement to the engine."""
        packets = AnswerPackets(sequence)
        try:
            answer = await self._answer_to(statement, prepared)
            if answer is None:
                return None
            add_answer(
                packets,
                answer,
                self._status() | (Status.MORE_RESULTS if more else 0),
                deprecate_eof=self._link.deprecate_eof,
                binary=prepared is not None,
            )
        except SqlError as error:
            self._note(statement, f"{error.code}: {error.message}")
            self._texts.leave(error)
            return AnswerPackets.failure(error, sequence)
        except EngineGone:
            self._forwarder.tell_that_engine_went_away(sequence)
            raise
        except SessionOver:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the session
            kind = type(error).__name__
            _log.exception("a statement failed", statement=type(statement).__name__, tenant=self._link.tenant)
            internal = SqlError(1105, "HY000", f"internal error: {kind}; see the service's log")
            self._texts.leave(internal)
            return AnswerPackets.failure(internal, sequence)
        self._note(statement, "done")
        return packets

    async def _answer_to(
        self, statement: Statement | SessionStatement, prepared: PreparedStatement | None
    ) -> Answer | None:
        """Ask the handler, or the session's memory; None if neither has an answer.

        The engine does not know our prepared statements: one that the handler leaves to the engine runs as text.
        """
        if isinstance(statement, Execute):
            prepared = self._texts.executed(statement)
            if prepared is None:
                return None
            statement = prepared.statement
        elif isinstance(statement, SessionStatement):
            answer = await self._texts.answer(statement)
            if answer and not isinstance(statement, ShowDiagnostics):
                self._texts.leave()
            return answer
        answer = await self._handler.handle(statement, self._link)
        if answer is None and prepared:
            self._texts.forget_diagnostics()
            return await self._link.query(prepared.text)
        if answer:
            self._texts.leave(*(answer.notes if isinstance(answer, Ok) else ()), level="Note")
        return answer

    def _note(self, statement: Statement | SessionStatement, outcome: str) -> None:
        """Log who has run, or has tried to run, a statement that changes something."""
        if isinstance(statement, _SHOWING | SessionStatement):
            return
        what = printable(_masked(repr(statement)), _LONGEST_STATEMENT)
        names = {"tenant": self._link.tenant, "user": printable(self._link.user), "peer": self._client.peer}
        _log.info("statement", statement=what, outcome=printable(_masked(outcome)), **names)

    async def send(self, answer: PacketBuilder) -> None:
        """Send an answer."""
        self._client.send(answer.data)
        await self._client.drain()

    def refuse(self, error: SqlError) -> None:
        """Send an error."""
        self._client.send(frame(error_payload(error), 1))

    def _status(self) -> int:
        return self._link.status & Status.SESSION


def _masked(text: str) -> str:
    """A text without the keys of object stores, and the password of a LOG_RESTORE_SOURCE."""
    return _KEY.sub(r"\1***", _ACCESS.sub(r"\1?***", text))
