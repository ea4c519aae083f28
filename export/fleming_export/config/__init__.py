"""What the files of a checkpoint say of the model: read, checked, never guessed.

A value that would change the mathematics and is not one the graphs implement is an error that names it. A
key whose absence has one meaning in the original modelling code is read with that meaning
(``Section.optional``); any other missing key is an error. Two keys that say one thing must agree.
"""

from .model import LanguageConfig, ModelConfig, Normalization, Packing, VisionConfig
from .processor import PROCESSOR, read_processor
from .read import read_config
from .section import Section
from .settle import EMBEDDING, HEAD, settled

__all__ = [
    "EMBEDDING",
    "HEAD",
    "PROCESSOR",
    "LanguageConfig",
    "ModelConfig",
    "Normalization",
    "Packing",
    "Section",
    "VisionConfig",
    "read_config",
    "read_processor",
    "settled",
]
