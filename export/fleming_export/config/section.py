"""One object of a JSON file, read key by key."""

from __future__ import annotations

from ..errors import ExportError

_ABSENT = object()


class Section:
    """One object of a JSON file; every error names ``file: section.key``."""

    def __init__(self, where: str, content: object) -> None:
        if not isinstance(content, dict):
            raise ExportError(where, "an object", type(content).__name__)
        self.where = where
        self.content = content
        self._asked: set[str] = set()

    def section(self, key: str) -> Section:
        return Section(f"{self.where}.{key}", self.value(key))

    def positive(self, key: str) -> int:
        value = self.value(key)
        if type(value) is not int or value <= 0:
            raise self.error(key, "a positive integer", value)
        return value

    def number(self, key: str) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self.error(key, "a positive number", value)
        return float(value)

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            raise self.error(key, "true or false", value)
        return value

    def one_of(self, key: str, *allowed: object) -> object:
        """A required key with one of the values the graphs implement."""
        return self._among(key, self.value(key), allowed)

    def optional(self, key: str, *allowed: object) -> object:
        """A key that may be absent, which means the first of the allowed values."""
        return self._among(key, self.get(key, allowed[0]), allowed)

    def divides(self, key: str, parts: int, whole: int) -> None:
        """An error of this key unless so many parts make up the whole."""
        if whole % parts:
            raise self.error(key, f"a divisor of {whole}", parts)

    def error(self, key: str, wanted: object, got: object, hint: str = "") -> ExportError:
        shown = "nothing" if got is _ABSENT else repr(got)
        return ExportError(f"{self.where}.{key}", wanted, shown, hint)

    def _among(self, key: str, value: object, allowed: tuple) -> object:
        # type and value: True is not 1 in a config file
        if not any(type(value) is type(choice) and value == choice for choice in allowed):
            raise self.error(key, " or ".join(repr(choice) for choice in allowed), value)
        return value

    def value(self, key: str) -> object:
        """A required key, whatever it holds."""
        value = self.get(key, _ABSENT)
        if value is _ABSENT:
            raise self.error(key, "a value", _ABSENT)
        return value

    def get(self, key: str, absent: object = None) -> object:
        """Whatever a key holds."""
        self._asked.add(key)
        return self.content.get(key, absent)

    def unasked(self) -> list[str]:
        """Keys that nobody asked for."""
        return [key for key in self.content if key not in self._asked]
