"""What no schema states: what /openapi.json allows is refused for these reasons, and for no others."""

import re

import schemathesis
from schemathesis.generation import GenerationMode

#: Each reason, and by what one knows it: a pattern of an error's code, field and words.
REASONS = {
    "what a study holds": r"unreadable_study .*",
    "a picture has no slices": r"- \S+ [a-z-]+: wanted an? (image|video|volume|DICOM study), .*",
    "how many slices a study has": r"- \S+ .*: index: wanted \d+ to \d+.*",
    "parameters of a query that exclude one another": r"- (frames|max_frames|seconds|crop) .*",
    "how long this server keeps a file": r"- expires_after\[seconds\] .*: wanted a whole number of seconds.*",
    "user and assistant take turns": r"- (messages|input)(\[\d+\]\.role)? .*",
    "studies belong to the user's messages": r"- \S+\.content \S+: wanted text, got a study .*",
    "all pictures of a request have the same detail": r"- \S+\.detail .*wanted the same for all pictures.*",
    "which tokens this model has": r"- logit_bias .*",
    "texts with a grammar of their own": r"- (fleming\.)?(range|window|regex|grammar|choice|series) .*",
    "schemas that describe schemas": r"- (response_format|text\.format)\S* .*",
    "numbers whose 32 bits do not tell them from 0": r"- \S+ [a-z-]+: wanted above 0.*got 0 .*",
    "options in OpenAI's fields and in `fleming` too": r"- \S+ .*: wanted one field that says so, got two .*",
    "how long the model's context is": r"context_length_exceeded .*",
    "base64 has its letters in fours": r"- \S+ \S+: wanted base64, .*",
}  # fmt: skip


@schemathesis.check
def refused_only_for_what_no_schema_states(ctx, response, case):
    if response.status_code != 400 or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    error = response.json()["error"]
    said = f"{error['code'] or '-'} {error['param'] or '-'} {error['message']}"
    if not any(re.fullmatch(pattern, said, re.DOTALL) for pattern in REASONS.values()):
        raise AssertionError(f"a request that /openapi.json allows is refused: {said}")
