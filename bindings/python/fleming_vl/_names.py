"""What options are called in the header, where that differs from their names here."""

from __future__ import annotations

import re

#: Fields of options that are set as they are. Lists are plural there.
FIELDS = {"stop": "stops", "choice": "choices", "provider_option": "provider_options"}
#: Our names by those of all such fields.
OURS = {
    **{field: name for name, field in FIELDS.items()},
    "timeout_ms": "timeout",
    "biases": "logit_bias",
    "top_logprobs": "logprobs",
}
_FIELD = re.compile(rf"\b({'|'.join(OURS)})\b")


def ours(text: str) -> str:
    """A text of the library's with our names of options."""
    return _FIELD.sub(lambda found: OURS[found[1]], text)
