"""The synchronous commit: holds back a reply until the commit that it confirms is durable in the archive."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from redoubt.gateway.faults import NotDurable
from redoubt.gateway.protocol import Status
from redoubt.sql.effects import Effect
from redoubt.sql.errors import SqlError

if TYPE_CHECKING:
    from typing import Self

    from redoubt.gateway.replies import Reply
    from redoubt.gateway.seams import WriteGate

_HEADER = 4


class Hold:
    """One statement that may write or commit, from its sending until its reply is relayed; a context.

    `writes`: a closing gate waits for this statement, until the engine's reply. `was_open`: a transaction was open
    before. If the archive fails, `refusal` is the error that replaces the reply, and `sequence` the number of its
    packet.
    """

    def __init__(self, gate: WriteGate, effect: Effect, *, writes: bool, was_open: bool) -> None:
        self.refusal: SqlError | None = None
        self.sequence = 0
        self._gate = gate
        self._is_dml = effect is Effect.DML
        self._commits = effect is Effect.WRITE or (effect is Effect.COMMITTING and was_open)
        self._begun = False
        self._verdicts = 0
        self._writing = ExitStack()
        if writes:
            self._writing.enter_context(gate.writing())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writing.close()

    async def release(self, reply: Reply, chunk: bytearray) -> bool:
        """Wait until a chunk may go to the client; False if the chunk must not be sent. Raises NotDurable."""
        if reply.done:
            self._writing.close()
        if self.refusal:
            return False
        if self._says_committed(reply) and self._gate.is_synchronous:
            try:
                await self._gate.make_durable()
            except SqlError as error:
                if self._begun or reply.wants_file:
                    raise NotDurable(str(error)) from error
                self.refusal, self.sequence = error, chunk[_HEADER - 1]
                return False
        self._begun = not reply.between_results
        return True

    def _says_committed(self, reply: Reply) -> bool:
        """Tell whether this chunk could confirm a commit to the client: by a result's first bytes, or its end.

        Plain DML commits only with an OK that leaves no transaction open.
        """
        ended = reply.verdicts > self._verdicts
        self._verdicts = reply.verdicts
        if self._is_dml:
            return ended and reply.status is not None and not reply.status & Status.IN_TRANSACTION
        return self._commits and (ended or not (self._begun or reply.wants_file))
