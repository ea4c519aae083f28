"""Questions about medical images, videos and volumes, answered by a vision-language model.

For research and non-clinical use. Not a medical device: do not base a diagnosis or treatment on what it says.

    >>> import fleming_vl
    >>> with fleming_vl.Engine(fleming_vl.DEMO) as engine:
    ...     print(engine.ask("Is there a nodule, and on which side?", image="examples/chest.png").answer)
    right lung
"""

from ._answer import AsyncStream, Stream
from ._chat import Chat
from ._engine import DEMO, Engine, doctor, memory
from ._facts import Embeddings, EngineCounts, EngineFacts, Memory, Preview, TokenCount
from ._header import VERSION as __version__
from ._picture import Picture
from ._reply import Event, Frame, Reply, Timings, Token, Usage
from ._request import AskOptions
from ._study import Space, Study
from ._table import SetupOptions
from .errors import (
    ArgumentError,
    BusyError,
    CancelledError,
    EngineError,
    FlemingError,
    InputError,
    LibraryError,
    PackageError,
    RequestError,
    TimedOutError,
)

__all__ = [
    "DEMO",
    "ArgumentError",
    "AskOptions",
    "AsyncStream",
    "BusyError",
    "CancelledError",
    "Chat",
    "Embeddings",
    "Engine",
    "EngineCounts",
    "EngineError",
    "EngineFacts",
    "Event",
    "FlemingError",
    "Frame",
    "InputError",
    "LibraryError",
    "Memory",
    "PackageError",
    "Picture",
    "Preview",
    "Reply",
    "RequestError",
    "SetupOptions",
    "Space",
    "Stream",
    "Study",
    "TimedOutError",
    "Timings",
    "Token",
    "TokenCount",
    "Usage",
    "__version__",
    "doctor",
    "memory",
]
