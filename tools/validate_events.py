#!/usr/bin/env python3
"""Checks a file of events (JSON Lines, as Freehold writes them to COM2) against docs/events.schema.json.

Beyond each line's form it checks the stream: `seq` counts from 0 without a gap, the first event is `boot` (or `refused`
by the loader) and the last one `report` (or `refused`, `panic`), and what one event says of another agrees.

It implements exactly the part of JSON Schema (draft 2020-12) that the schema uses, and refuses a schema that uses more.
"""

import argparse
import json
import os
import re
import sys

DEFAULT_SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "events.schema.json")

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}
KEYWORDS = ANNOTATIONS | {
    "$ref", "oneOf", "type", "const", "enum", "pattern", "minimum", "maximum", "properties", "required",
    "additionalProperties", "items", "minItems", "maxItems", "propertyNames",
}


class SchemaError(Exception):
    """The schema itself cannot be used."""


class Validator:
    """check(value) gives a list of complaints, each `place: what is wrong`."""

    def __init__(self, schema):
        self.root = schema

    def check(self, value):
        return list(self._check(self.root, value, "$"))

    def _resolve(self, reference):
        prefix = "#/$defs/"
        if not reference.startswith(prefix) or reference[len(prefix):] not in self.root.get("$defs", {}):
            raise SchemaError(f"unknown reference {reference}")
        return self.root["$defs"][reference[len(prefix):]]

    def _check(self, schema, value, place):
        unknown = set(schema) - KEYWORDS
        if unknown:
            raise SchemaError(f"keywords this validator does not know: {', '.join(sorted(unknown))}")
        if "$ref" in schema:
            yield from self._check(self._resolve(schema["$ref"]), value, place)
        if "oneOf" in schema:
            yield from self._one_of(schema["oneOf"], value, place)
        wanted = schema.get("type", [])
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if wanted and not any(TYPES[name](value) for name in wanted):
            yield f"{place}: {shown(value)} is no {' or '.join(wanted)}"
            return
        yield from self._scalar(schema, value, place)
        if isinstance(value, dict):
            yield from self._object(schema, value, place)
        if isinstance(value, list):
            yield from self._array(schema, value, place)

    def _one_of(self, choices, value, place):
        """An event is told apart by its `type`: then only that choice's complaints are of interest."""
        for choice in choices:
            name = self._resolve(choice["$ref"])["properties"]["type"]["const"]
            if isinstance(value, dict) and value.get("type") == name:
                yield from self._check(choice, value, place)
                return
        kind = value.get("type") if isinstance(value, dict) else value
        yield f"{place}: no event is called {shown(kind)}"

    @staticmethod
    def _scalar(schema, value, place):
        number = TYPES["integer"](value)
        if "const" in schema and not same(value, schema["const"]):
            yield f"{place}: {shown(value)} instead of {shown(schema['const'])}"
        if "enum" in schema and not any(same(value, choice) for choice in schema["enum"]):
            yield f"{place}: {shown(value)} is none of {shown(schema['enum'])}"
        if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
            yield f"{place}: {shown(value)} does not match {schema['pattern']}"
        if number and value < schema.get("minimum", value):
            yield f"{place}: {value} is below {schema['minimum']}"
        if number and value > schema.get("maximum", value):
            yield f"{place}: {value} is above {schema['maximum']}"

    def _object(self, schema, value, place):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                yield f"{place}: {shown(name)} is missing"
        for name, member in value.items():
            inside = f"{place}.{name}"
            if "propertyNames" in schema:
                yield from self._check(schema["propertyNames"], name, f"{place}: the name {shown(name)}")
            if name in properties:
                yield from self._check(properties[name], member, inside)
            elif schema.get("additionalProperties", True) is False:
                yield f"{inside}: not in the schema"
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from self._check(schema["additionalProperties"], member, inside)

    def _array(self, schema, value, place):
        if len(value) < schema.get("minItems", 0):
            yield f"{place}: {len(value)} items are fewer than {schema['minItems']}"
        if len(value) > schema.get("maxItems", len(value)):
            yield f"{place}: {len(value)} items are more than {schema['maxItems']}"
        if "items" in schema:
            for index, item in enumerate(value):
                yield from self._check(schema["items"], item, f"{place}[{index}]")


def same(a, b):
    """Equal in JSON: true is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def shown(value):
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."


def unique_object(pairs):
    """A JSON object in which a name occurs twice means different things to different readers: refused."""
    result = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"the name {shown(name)} occurs twice")
        result[name] = value
    return result


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


def parse_line(raw):
    return json.loads(raw.decode("ascii"), object_pairs_hook=unique_object, parse_constant=no_constant)


class Stream:
    """What must hold from line to line."""

    def __init__(self, partial):
        self.partial = partial
        self.count = 0
        self.first = self.last = None
        self.partitions = None

    def add(self, event):
        seq = event.get("seq", self.count)  # the loader's one event has none
        if seq != self.count and not (self.partial and self.first is None):
            yield f"seq {seq} where {self.count} is due"
        self.count = seq + 1
        if self.last in ("report", "refused"):
            yield f"an event after the {self.last}, which must be the last"
        self.first = self.first or event["type"]
        self.last = event["type"]
        yield from self._names(event)
        if event["type"] == "report":
            yield from self._report(event)

    def skip(self):
        """A line that cannot be used counts as an event all the same."""
        self.count += 1
        self.first = self.first or "unreadable"
        self.last = "unreadable"

    def _names(self, event):
        """Every event speaks of partitions the plan has."""
        if event["type"] == "plan":
            self.partitions = [row["name"] for row in event["partitions"]]
        elif self.partitions is not None:
            named = [event["partition"]] if "partition" in event else []
            named += [row["name"] for row in event.get("partitions", [])]
            for name in named:
                if name not in self.partitions:
                    yield f"partition {shown(name)} is not in the plan"

    @staticmethod
    def _report(event):
        rows, counts = event["partitions"], event["counts"]
        told = {
            "partitions": len(rows),
            "exited": sum(row["state"] == "exited" for row in rows),
            "faulted": sum(row["state"] == "faulted" for row in rows),
            "running": sum(row["state"] not in ("exited", "faulted") for row in rows),
            "met": sum(row["met"] for row in rows),
        }
        if counts != told:
            yield f"counts {shown(counts)} instead of {shown(told)}"
        if event["met"] != all(row["met"] for row in rows):
            yield "met does not agree with the partitions"
        for row in rows:
            if (row["exit_code"] is not None) != (row["state"] == "exited"):
                yield f"partition {shown(row['name'])}: exit_code and state disagree"

    def end(self):
        if self.count == 0:
            yield "no event at all"
        elif not self.partial:
            if self.first not in ("boot", "refused", "panic", "unreadable"):
                yield f"the first event is {self.first}, not boot"
            if self.last not in ("report", "refused", "panic", "unreadable"):
                yield f"the last event is {self.last}, not report"


def check_file(path, validator, partial):
    """Complaints about a file, each with its line; and how many events it holds."""
    complaints = []
    stream = Stream(partial)
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    if lines[-1] != b"":
        complaints.append(f"{path}:{len(lines)}: the last line does not end")
    for number, raw in enumerate(lines[:-1], 1):
        try:
            event = parse_line(raw)
        except (ValueError, RecursionError) as error:
            complaints.append(f"{path}:{number}: not JSON: {error}")
            stream.skip()
            continue
        wrong = validator.check(event)
        if wrong:
            stream.skip()
        else:
            wrong = list(stream.add(event))
        complaints += [f"{path}:{number}: {text}" for text in wrong]
    complaints += [f"{path}: {text}" for text in stream.end()]
    return complaints, stream.count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0],
                                     epilog="Exit status: 0 all is well, 1 something is not, 2 usage.")
    parser.add_argument("files", metavar="FILE", nargs="+", help="events, one JSON object a line")
    parser.add_argument("--schema", default=DEFAULT_SCHEMA, help="another schema than docs/events.schema.json")
    parser.add_argument("--partial", action="store_true", help="the stream may begin or stop anywhere between events")
    arguments = parser.parse_args()
    try:
        with open(arguments.schema, encoding="utf-8") as file:
            validator = Validator(json.load(file))
        results = [check_file(path, validator, arguments.partial) for path in arguments.files]
    except (OSError, ValueError, SchemaError) as error:
        print(f"validate_events: {error}", file=sys.stderr)
        return 2
    for complaints, _ in results:
        for complaint in complaints[:50]:
            print(complaint)
        if len(complaints) > 50:
            print(f"and {len(complaints) - 50} more")
    if any(complaints for complaints, _ in results):
        return 1
    print(f"{sum(count for _, count in results)} events, all as the schema says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
