"""Conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _answer, _request
from ._answer import AsyncStream, Pending, Stream
from ._header import fleming_role as Role
from ._reply import Reply
from ._request import Part, Prepared, Turn
from ._study import Study
from .errors import RequestError

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

    def __init__(self, submit: Callable[..., Pending], instruction: str, options: Mapping[str, Any]):
        self._submit, self._instruction, self._options = submit, instruction, dict(options)
        self._turns: list[Turn] = []
        #: Inputs that no turn has asked about yet.
        self._new = _request.prepared(self._options)
        for asked, said in _request.turns(self._options.pop("history", None)):
            for role, text in ((Role.USER, asked), (Role.ASSISTANT, said)):
                placed, self._new = _placed(text, self._new)
                self._turns.append((role, placed))

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """Pairs of what was asked and what was answered, oldest first: as `history=` takes them."""
        texts = [
            "".join(part if isinstance(part, str) else PLACE for part in parts) for _, parts in self._turns
        ]
        return tuple(zip(texts[::2], texts[1::2], strict=True))

    def ask(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> Reply:
        """The next question, as `Engine.ask` takes it. `<image>` in it places the next new input."""
        turn = _Next(self, question, options)
        reply = turn.submit(None).wait()
        turn.keep(reply)
        return reply

    def stream(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> Stream:
        """The same as an iterator of what happens; the turn is kept at its end."""
        turn = _Next(self, question, options)
        return Stream(turn.submit, turn.keep)

    async def aask(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> Reply:
        """The same as `ask`, beside asyncio's loop."""
        turn = _Next(self, question, options)
        reply = await _answer.answered(turn.submit)
        turn.keep(reply)
        return reply

    def astream(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> AsyncStream:
        """The same as `stream` for `async for`."""
        turn = _Next(self, question, options)
        return AsyncStream(turn.submit, turn.keep)

    def reset(self) -> None:
        """Forgets what was said and shown; the options stay."""
        self._turns, self._new = [], []


class _Next:
    """The next question of a chat, until it is answered."""

    def __init__(self, chat: Chat, question: str | Iterable[str | Study], options: Mapping[str, Any]):
        self._chat, self._question, self._given = chat, question, {**chat._options, **options}
        self._parts: list[Part] = []

    def submit(self, hear: Any) -> Pending:
        """Hands it in. Inputs are read and converted here, which is the thread that waits for the answer."""
        self._parts = self._placed()
        return self._chat._submit([*self._chat._turns, (Role.USER, self._parts)], self._given, hear)

    def _placed(self) -> list[Part]:
        """The question with its new inputs."""
        new, question = self._chat._new, self._question
        if not isinstance(question, str):
            leading: list[Part] = [part for study in new for part in (study, "\n")]
            return [*leading, *_request.parts(question, self._given)]
        studies = [*new, *_request.prepared(self._given)]
        parts, left = _placed(question, studies)
        if len(left) == len(studies):
            leading = [part for study in studies for part in (study, "\n")]
            return [*leading, *parts]
        if left:
            got = f"{PLACE} {len(studies) - len(left)} times for {len(studies)} inputs"
            raise RequestError.of(
                "question", "a place for each new input, or for none", got, f"write {PLACE} for each"
            )
        return parts

    def keep(self, reply: Reply) -> None:
        if reply.finish not in ("stop", "length"):
            return
        before = self._given.get("instruction")
        if before is None and self._given.get("prompt") != "direct":
            before = self._chat._instruction
        asked = [f"{before}\n", *self._parts] if before else self._parts
        self._chat._turns += [(Role.USER, asked), (Role.ASSISTANT, [reply.text])]
        self._chat._new = []


def _placed(text: str, studies: Sequence[Prepared]) -> tuple[list[Part], list[Prepared]]:
    """The parts of a text in which `<image>` places the next study, and the studies that are left."""
    first, *others = text.split(PLACE)
    if len(others) > len(studies):
        got = f"{PLACE} {len(others)} times for {len(studies)}"
        raise RequestError.of("question", "an input for each place of one", got, "pass the inputs")
    parts: list[Part] = [first]
    for study, after in zip(studies, others, strict=False):
        parts += [study, after]
    return [part for part in parts if part != ""], list(studies[len(others) :])
