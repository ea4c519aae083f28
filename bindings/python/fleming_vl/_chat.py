"""Conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import _answer, _request
from ._answer import AsyncStream, Pending, Stream
from ._reply import Reply
from ._request import Prepared

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._request import AskOptions

#: The place of a study in a text.
PLACE = "<image>"


class Chat:
    """A conversation: `chat.ask("What is shown?", image="chest.png")`, then `chat.ask("On which side?")`.

    An input belongs to the question that it comes with, and later questions may be about it. Turns are kept
    as they were sent, so that an engine reads only what is new. An answer that was stopped or failed is no
    turn. A chat is for one thread or task at a time.
    """

    def __init__(
        self, submit: Callable[..., Pending], instruction: Callable[[], str], options: Mapping[str, Any]
    ):
        self._submit, self._instruction, self._options = submit, instruction, dict(options)
        self._studies = _request.prepared(self._options)
        self._turns: list[tuple[str, str]] = [
            (asked, said) for asked, said in self._options.pop("history", ())
        ]
        # Inputs of the chat itself belong to its first question, unless the history places them.
        self._new = 0 if self._turns else len(self._studies)

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """Pairs of what was asked and what was answered, oldest first: as `history=` takes them."""
        return tuple(self._turns)

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The next question. `<image>` in it places the next new input; else they come before it."""
        turn = _Turn(self, question, options)
        reply = turn.submit(None).wait()
        turn.keep(reply)
        return reply

    def stream(self, question: str, **options: Unpack[AskOptions]) -> Stream:
        """The same as an iterator of what happens; the turn is kept at its end."""
        turn = _Turn(self, question, options)
        return Stream(turn.submit, turn.keep)

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The same as `ask`, beside asyncio's loop."""
        turn = _Turn(self, question, options)
        reply = await _answer.answered(turn.submit)
        turn.keep(reply)
        return reply

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncStream:
        """The same as `stream` for `async for`."""
        turn = _Turn(self, question, options)
        return AsyncStream(turn.submit, turn.keep)

    def reset(self) -> None:
        """Forgets what was said and shown; the options stay."""
        self._studies, self._turns, self._new = [], [], 0


class _Turn:
    """A question of a chat, until it is answered."""

    def __init__(self, chat: Chat, question: str, options: Mapping[str, Any]):
        self._chat, self._given = chat, {**chat._options, **options}
        new = _request.prepared(self._given)
        self._studies: list[Prepared] = [*chat._studies, *new]
        places = "" if PLACE in question else f"{PLACE}\n" * (chat._new + len(new))
        self._placed = f"{places}{question}"
        # Before the first turn they come before the question by themselves, whatever that holds.
        self._question = self._placed if chat._turns else question

    def submit(self, hear: Any) -> Pending:
        given = {**self._given, "history": self._chat.turns}
        return self._chat._submit(self._question, self._studies, given, hear)

    def keep(self, reply: Reply) -> None:
        if reply.finish not in ("stop", "length"):
            return
        before = self._given.get("instruction")
        if before is None and self._given.get("prompt") != "direct":
            before = self._chat._instruction()
        asked = f"{before}\n{self._placed}" if before else self._placed
        self._chat._turns.append((asked, reply.text))
        self._chat._studies, self._chat._new = self._studies, 0
