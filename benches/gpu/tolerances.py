"""How far the runtime may be from torch: the one place where that is said, and how it is judged.

The measure is float32 in torch with the same weights. torch in the type of the package is some way from it,
by rounding alone; the runtime may be twice as far. An error is the root of the mean square of the
difference, relative to that of the reference.
"""

from __future__ import annotations

#: The runtime's error as a multiple of torch's own in the same type. A token was chosen because the runtime
#: thought it likely, so that errors which make it so are among those of its probability.
FACTORS = {"image_embeds": 2.0, "first_logits": 2.0, "logprobs": 4.0}
#: Errors that are allowed in any case, by the type of the activations: in float32 torch itself makes none.
LEAST = {"float32": 1e-4, "float16": 1e-4, "bfloat16": 1e-3}
#: The same where products round activations to 8 bits, as int8 and int4 packages for the CPU do.
LEAST_ROUNDED = 0.1
#: The same where products of a few tokens add up in float16, as those of 4 and 8 bits do on CUDA: each is off
#: by 0.1 %, which is less than bfloat16 rounds, of which torch's own error in the logits is 0.01.
LEAST_SUMMED = 0.01
#: Where there is no room for float32, torch in the package's type is the measure.
AGAINST_ITS_TYPE = {"image_embeds": 0.05, "first_logits": 0.05, "logprobs": 0.1}
#: Cosine of a quantised package with the checkpoint as it was, at least; random weights suit 4 bits worst.
COSINES = {"image_embeds": 0.99, "first_logits": 0.9}
#: A token that is not the reference's likeliest lies at most so many allowed errors of a logit below it: both
#: may err, and the largest of a vocabulary's errors is several times their mean.
NEAR = 6.0


def least(manifest: dict) -> float:
    """The error that is allowed a package in any case."""
    quantized, kind = manifest.get("quantization"), manifest["kv"]["dtype"]
    if quantized and quantized.get("accuracy_level") == 4:
        return LEAST_ROUNDED
    return LEAST_SUMMED if quantized and kind == "float16" else LEAST[kind]


def judged(found: dict, least_error: float) -> dict:
    """The stages of a case with what was allowed each, and whether all kept to it."""
    stages = {}
    for stage, facts in found["stages"].items():
        allowed = AGAINST_ITS_TYPE[stage]
        if facts["torch_error"] is not None:
            allowed = max(FACTORS[stage] * facts["torch_error"], least_error)
        stages[stage] = {**facts, "allowed": allowed, "passed": facts["error"] <= allowed}
    tokens = dict(found["tokens"])
    logits = stages["first_logits"]
    tokens["allowed_gap"] = NEAR * logits["allowed"] * logits["scale"]
    tokens["passed"] = tokens["largest_gap"] <= tokens["allowed_gap"]
    exact = [value for value in found["exact"].values() if value is not None]
    passed = all([tokens["passed"], *exact, *(facts["passed"] for facts in stages.values())])
    return {**found, "stages": stages, "tokens": tokens, "passed": passed}


def judged_rounded(found: dict) -> dict:
    """A quantised package beside the checkpoint as it was."""
    stages = {
        stage: {**facts, "least_cosine": COSINES[stage], "passed": facts["cosine"] >= COSINES[stage]}
        for stage, facts in found["stages"].items()
        if stage in COSINES
    }
    return {**found, "stages": stages, "passed": all(facts["passed"] for facts in stages.values())}
