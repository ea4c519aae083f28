"""Many questions on many machines, by Ray Data: `Predictor` for `Dataset.map_batches`.

Ray spreads the rows over its actors, keeps their order where it is asked to, and starts an actor that was
killed anew. Ray itself is not imported here.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from . import _options
from ._answer import Pending
from ._engine import Engine
from ._reply import Reply
from ._table import SetupOptions
from .errors import ArgumentError, FlemingError, InputError, RequestError

#: What is wrong with a row, and not with its actor.
OF_A_ROW = (InputError, RequestError, ArgumentError)
#: What a row must have if a column is named for it.
NEEDED = ("question", *_options.KINDS)


class Predictor:
    """Answers the rows of batches; an actor of Ray's holds one engine.

        dataset.map_batches(
            Predictor,
            fn_constructor_args=["models/fleming-vl-8b"],
            fn_constructor_kwargs={"columns": {"image": "path"}, "question": "Is there a nodule?"},
            batch_format="numpy", batch_size=16, compute=ray.data.ActorPoolStrategy(size=2), num_gpus=1,
        )

    A batch gets the columns `answer`, `thought`, `text`, `finish`, `warnings` (a sentence a line),
    `prompt_tokens`, `completion_tokens`, `package_digest` and `error`. A row that cannot be answered, such as
    one with a damaged file, has its `error` and an empty `answer`; the rows beside it are answered.
    """

    def __init__(
        self,
        package: str | os.PathLike[str],
        columns: Mapping[str, str],
        question: str | None = None,
        engine: SetupOptions | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        """Opens an engine.

        Args:
            package: the folder of the package, on every machine.
            columns: which column holds what: from keywords of `Engine.ask`, and `question`, to columns.
            question: the question of all rows, where no column holds it.
            engine: how the engine is set up. `slots` rows are answered at once, 4 by default.
            options: options of all rows, by the names of `Engine.ask`.
        """
        if (question is None) == ("question" not in columns):
            got = "none" if question is None else "both"
            hint = "name a column, or give it"
            raise RequestError.of("question", "a text or a column, one of the two", got, hint)
        for argument, names in (("columns", [*columns]), ("options", [*(options or {})])):
            for name in names:
                if name not in _options.ASK and (argument, name) != ("columns", "question"):
                    near = get_close_matches(name, [*_options.ASK, "question"], 1)
                    hint = f"did you mean {near[0]}?" if near else "docs/cli.md lists the options"
                    raise RequestError.of(argument, "keywords of Engine.ask", name, hint)
        setup: SetupOptions = {"slots": 4, **(engine or {})}
        self._engine, self._slots = Engine(package, **setup), setup["slots"]
        self._columns, self._question, self._options = dict(columns), question, dict(options or {})

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Answers the rows of a batch: lists or arrays by the names of their columns."""
        if not isinstance(batch, Mapping):
            got, hint = type(batch).__qualname__, "say batch_format='numpy'"
            raise RequestError.of("batch", "lists or arrays by the names of their columns", got, hint)
        for column in self._columns.values():
            if column not in batch:
                hint = "columns= names those of the data set"
                raise RequestError.of("columns", f"a column {column}", ", ".join(map(str, batch)), hint)
        rows = len(next(iter(batch.values()), ()))
        outcomes = list(self._outcomes(self._asked(batch, row) for row in range(rows)))
        return {**batch, **_columns(outcomes)}

    def _asked(self, batch: Mapping[str, Any], row: int) -> dict[str, Any]:
        """What is asked about a row."""
        given = {name: batch[column][row] for name, column in self._columns.items()}
        return {"question": self._question, **self._options, **given}

    def _outcomes(self, rows: Iterator[dict[str, Any]]) -> Iterator[Reply | FlemingError]:
        """Replies and failures in the order of the rows. As many are under way as keep all slots at work."""
        under_way: deque[Pending | FlemingError] = deque()
        for row in rows:
            if len(under_way) > 2 * self._slots:
                yield _outcome(under_way.popleft())
            under_way.append(self._begun(row))
        while under_way:
            yield _outcome(under_way.popleft())

    def _begun(self, row: dict[str, Any]) -> Pending | FlemingError:
        try:
            # A row without its picture is not a question without one.
            for name, column in self._columns.items():
                if name in NEEDED and _is_missing(row[name]):
                    raise InputError.of(name, "one for each row", "none", f"fill the column {column}")
            return self._engine.submit(row.pop("question"), row)
        except OF_A_ROW as error:
            return error


def _is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN or NA of pandas, or of no length."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, str | bytes | bytearray | list | tuple):
        return len(value) == 0
    return isinstance(value, float) and math.isnan(value)


def _outcome(begun: Pending | FlemingError) -> Reply | FlemingError:
    if isinstance(begun, FlemingError):
        return begun
    try:
        return begun.wait()
    except OF_A_ROW as error:
        return error


def _columns(outcomes: Sequence[Reply | FlemingError]) -> dict[str, list[Any]]:
    """The columns of replies and failures."""
    replies = [None if isinstance(outcome, FlemingError) else outcome for outcome in outcomes]
    return {
        "answer": [reply.answer if reply else "" for reply in replies],
        "thought": [(reply.thought or "") if reply else "" for reply in replies],
        "text": [reply.text if reply else "" for reply in replies],
        "finish": [reply.finish if reply else "" for reply in replies],
        "warnings": ["\n".join(reply.warnings) if reply else "" for reply in replies],
        "prompt_tokens": [reply.usage.prompt_tokens if reply else 0 for reply in replies],
        "completion_tokens": [reply.usage.completion_tokens if reply else 0 for reply in replies],
        "package_digest": [reply.digest if reply else "" for reply in replies],
        "error": [str(outcome) if isinstance(outcome, FlemingError) else "" for outcome in outcomes],
    }
