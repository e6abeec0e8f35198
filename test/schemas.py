"""Random JSON Schemas, documents for them, and documents with something wrong, for the tests of ssmd/schema/."""

from __future__ import annotations

import json
from random import Random
from typing import Any

__all__ = ["broken", "document", "random_schema"]

PATTERNS = {"^-?[0-9]*(\\.[0-9]+)?$": ["", "1", "-1.50", ".5"], "a": ["a", "cab"], "^[a-z]+\\d$": ["x1", "abc0"]}
WORDS = ["yes", "no", "buy", "", "é", "\U0001f600", "a.b", "0"]
NAMES = ["price", "size", "side", "a b", "é", "f0", "checked0", "class", "", "type"]
ODD: list[Any] = [None, True, False, 0, 1, -1, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 1e300]
ODD += ["", "x", "yes", "1.50", [], [1], ["1", "2"], [["1", "2"], []], {}, {"price": 1}, {"type": "a"}, "\u00e9\n"]


def random_schema(random: Random) -> dict[str, Any]:
    """Return a schema of messages, often with variants, mostly of keywords that can be compiled."""
    made = _Maker(random)
    root: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"} if random.random() < 0.5 else {}
    tags = random.sample(["a", "b", "c", "d"], random.randint(1, 3))
    form = random.choice(["oneOf", "anyOf", "allOf", "plain"])
    if form in ("oneOf", "anyOf"):
        root[form] = [made.variant(tag) for tag in tags]
    elif form == "allOf":
        conditions = [{"if": made.condition(tag), "then": made.object(2)} for tag in tags]
        root |= {"allOf": conditions} | made.object(1)
        root.setdefault("required", []).append("type")
    else:
        root |= made.object(2)
    if made.defs:
        root["$defs"] = made.defs
    return root


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.defs: dict[str, Any] = {}

    def variant(self, tag: str) -> dict[str, Any]:
        schema = self.object(2)
        constant = self.random.choice([{"const": tag}, {"enum": [tag]}, {"type": "string", "const": tag}])
        schema["properties"] = {"type": constant, **schema["properties"]}
        schema.setdefault("required", []).append("type")
        return self.named(schema)

    def condition(self, tag: str) -> dict[str, Any]:
        condition: dict[str, Any] = {"properties": {"type": {"const": tag}}}
        return condition | ({"required": ["type"]} if self.random.random() < 0.5 else {})

    def named(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema, or a reference to it."""
        if self.random.random() < 0.6:
            return schema
        name = f"d{len(self.defs)}"
        self.defs[name] = schema
        return {"$ref": f"#/$defs/{name}"}

    def object(self, depth: int) -> dict[str, Any]:
        names = self.random.sample(NAMES[:-1], self.random.randint(0, 4))
        schema: dict[str, Any] = {"properties": {name: self.named(self.value(depth - 1)) for name in names}}
        if self.random.random() < 0.8:
            schema["type"] = "object"
        if self.random.random() < 0.5:
            schema["required"] = self.random.sample(NAMES[:-1], self.random.randint(0, 2))
        return schema

    def value(self, depth: int) -> dict[str, Any]:
        random = self.random
        kinds = ["string", "pattern", "integer", "number", "enum", "const", "boolean", "null"]
        kinds += ["several", "bare", "either"]
        kind = random.choice(kinds + ["object", "array", "tuple"] * 2 if depth > 0 else kinds)
        if kind == "string":
            return {"type": "string"} | self.some(minLength=random.randint(0, 2), maxLength=random.randint(1, 4))
        if kind == "pattern":
            texts: Any = random.choice(["string", ["string", "null"]])
            return {"pattern": random.choice(list(PATTERNS))} | self.some(type=texts)
        if kind in ("integer", "number"):
            low = random.randint(-2, 2)
            limits = {"minimum": low, "maximum": low + 2, "exclusiveMinimum": low, "exclusiveMaximum": 2**53}
            return {"type": kind} | self.some(**limits)
        if kind == "enum":
            return {"enum": random.sample([*WORDS, 1, 1.0, None, True], 3)} | self.some(type="string")
        if kind == "const":
            return {"const": random.choice([*WORDS, 1, 0, None, False])}
        if kind == "several":
            kinds = ["string", "number", "integer", "null", "object", "array"]
            return {"type": random.sample(kinds, random.randint(1, 3))}
        if kind == "bare":
            bare: list[dict[str, Any]] = [{}, {"description": "anything"}, {"minimum": 1}]
            return random.choice([*bare, {"type": "object"}, {"type": "array"}])
        if kind == "either":
            return {random.choice(["anyOf", "oneOf"]): [self.value(0), {"type": "null"}]}
        if kind == "object":
            return self.object(depth)
        if kind == "array":
            return {"type": "array", "items": self.named(self.value(depth - 1))} | self.some(minItems=1, maxItems=2)
        return {"type": "array", "prefixItems": [self.value(0) for _ in range(2)]} | self.some(items=False, minItems=2)

    def some(self, **keywords: Any) -> dict[str, Any]:
        return {keyword: value for keyword, value in keywords.items() if self.random.random() < 0.4}


def document(random: Random, schema: Any, root: dict[str, Any], tag: str) -> Any:
    """Return a value that is often valid."""
    if random.random() < 0.03 or not isinstance(schema, dict):
        return random.choice(ODD)
    if "$ref" in schema:
        return document(random, root["$defs"][schema["$ref"].rpartition("/")[2]], root, tag)
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return document(random, random.choice(schema[keyword]), root, tag)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    if "pattern" in schema:
        return random.choice(PATTERNS[schema["pattern"]])
    if "properties" in schema or "required" in schema:
        return _object(random, schema, root, tag)
    kind = schema.get("type", "string")
    kind = random.choice(kind) if isinstance(kind, list) else kind
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})] * random.randint(1, 2)
        return [document(random, item, root, tag) for item in items]
    integer = schema.get("minimum", 0) + random.randint(0, 2)
    number = random.choice([integer, integer + 0.5])
    values = {"string": random.choice(WORDS), "integer": integer, "number": number, "boolean": True, "null": None}
    return values.get(kind, {})


def _object(random: Random, schema: dict[str, Any], root: dict[str, Any], tag: str) -> dict[str, Any]:
    made = {"type": tag} if random.random() < 0.9 else {}
    schemas = [schema, *(each["then"] for each in schema.get("allOf", ()) if "then" in each)]
    for each in schemas:
        for name, part in each.get("properties", {}).items():
            if name in each.get("required", ()) or random.random() < 0.7:
                made[name] = document(random, part, root, tag)
        for name in each.get("required", ()):
            made.setdefault(name, random.choice(ODD))
    items = list(made.items())
    if random.random() < 0.3:
        random.shuffle(items)
    return dict(items)


def broken(random: Random, text: bytes) -> bytes:
    """Return a document with a few changes, mostly such that it is still JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    kind = random.choice(["value", "field", "twice", "escaped", "number", "bytes", "spaces", "none"])
    if kind == "value":
        return json.dumps(_replaced(random, value), ensure_ascii=random.random() < 0.5).encode()
    if kind == "field" and isinstance(value, dict) and value:
        del value[random.choice(list(value))]
    if kind == "twice" and isinstance(value, dict) and value:
        name = random.choice(list(value))
        more = json.dumps({name: random.choice(ODD)})[1:-1]
        inside = json.dumps(value)[1:-1]
        return ("{" + ",".join(random.sample([more, inside], 2)) + "}").encode()
    if kind == "escaped":
        escaped = "".join(f"\\u{ord(each):04x}" if each.isalpha() and each in "typesid" else each for each in "type")
        return json.dumps(value).replace("type", escaped).replace("yes", "\\u0079es").encode()
    if kind == "number":
        return json.dumps(value).replace("1", random.choice(["1.0", "1e0", "10e-1", "1e400", "-0", "1E+2"])).encode()
    if kind == "bytes" and text:
        at = random.randrange(len(text))
        return text[:at] + bytes([random.randrange(256)]) + text[at + random.randint(0, 2) :]
    if kind == "spaces":
        return json.dumps(value, indent=1).encode() + b" \r\n\t"
    return json.dumps(value).encode()


def _replaced(random: Random, value: Any) -> Any:
    """Return a value with one of the values in it, at any depth, replaced."""
    if random.random() < 0.3 or not isinstance(value, dict | list) or not value:
        return random.choice(ODD)
    if isinstance(value, list):
        at = random.randrange(len(value))
        return [*value[:at], _replaced(random, value[at]), *value[at + 1 :]]
    name = random.choice(list(value))
    return value | {name: _replaced(random, value[name])}
