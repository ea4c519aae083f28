"""What can go wrong, as exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._header import fleming_status as Status

if TYPE_CHECKING:
    from typing_extensions import Self


class FlemingError(Exception):
    """A failure, with what there is to know of it.

    Attributes:
        message: what went wrong, in one sentence.
        hint: what to do about it; may be empty.
        thing, wanted, got: the option or input, what it should have been, and what it was; None where the
            library does not say.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        thing: str | None = None,
        wanted: str | None = None,
        got: str | None = None,
    ):
        super().__init__(message, hint)
        self.message, self.hint = message, hint
        self.thing, self.wanted, self.got = thing, wanted, got

    @classmethod
    def of(cls, thing: str, wanted: str, got: str, hint: str = "") -> Self:
        """A failure by its facts."""
        return cls(f"{thing}: wanted {wanted}, got {got}", hint, thing=thing, wanted=wanted, got=got)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.message, self.hint, (self.thing, self.wanted, self.got))


def _again(
    kind: type[FlemingError], message: str, hint: str, facts: tuple[str | None, str | None, str | None]
) -> FlemingError:
    """An error that was pickled, as it comes from another process."""
    thing, wanted, got = facts
    return kind(message, hint, thing=thing, wanted=wanted, got=got)


class InputError(FlemingError):
    """An image, video, volume or file that cannot be read as asked."""


class RequestError(FlemingError):
    """A request that cannot be carried out: an option that may not be, a prompt that does not fit."""


class PackageError(FlemingError):
    """A package that is incomplete, altered or not what this version reads."""


class EngineError(FlemingError):
    """ONNX Runtime, a provider or a graph that does not run; or an engine that another process opened."""


class BusyError(FlemingError):
    """More requests are waiting than the engine was set up to hold: try again later."""


class CancelledError(FlemingError):
    """Cancelled before there was anything to return."""


class TimedOutError(FlemingError):
    """The time was up before there was anything to return."""


class ArgumentError(FlemingError):
    """An argument that the library does not take."""


class LibraryError(FlemingError):
    """A library that is not there or does not fit; or a defect of it: please report the message."""


KINDS: dict[int, type[FlemingError]] = {
    Status.INPUT: InputError,
    Status.REQUEST: RequestError,
    Status.PACKAGE: PackageError,
    Status.RUNTIME: EngineError,
    Status.BUSY: BusyError,
    Status.CANCELLED: CancelledError,
    Status.TIMED_OUT: TimedOutError,
    Status.ARGUMENT: ArgumentError,
    Status.PANIC: LibraryError,
}
