"""Booted tests: each directory under tools/scenarios/ is one run of tools/run and what must come of it.

tools/scenarios/README.md documents expect.json; the schema below is the truth it follows. A scenario that says nothing
checkable is an error: a check that cannot fail is no check.
"""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import validate_events

from .common import BUILD, ROOT, ToolError

SCENARIOS = os.path.join(ROOT, "tools", "scenarios")
RESULTS = os.path.join(BUILD, "test", "scenarios")
SPARE_SECONDS = 60  # past its own time-out, tools/run itself is stuck

# key: (type, default); ... means required.
SCHEMA = {
    "about": (str, ...),
    "emulator": (str, "auto"),
    "cpus": (int, 2),
    "threads": (int, 1),
    "packages": (int, 1),
    "memory_mib": (int, 1024),
    "cpu_model": (str, None),
    "ips": (int, 100_000_000),
    "timeout": (int, 600),
    "seconds": (int, 30),
    "add": (dict, {}),
    "typed": (str, None),
    "status": (int, ...),
    "refused": (str, None),
    "serial_has": (list, []),
    "serial_lacks": (list, []),
    "partitions": (dict, {}),
    "events": (list, []),
    "witness": (dict, None),
}
WITNESS_SCHEMA = {"partition": (str, ...), "faults": (int, ...)}


@dataclass
class Scenario:
    """One directory, read and checked."""

    name: str
    directory: str
    expect: dict

    @property
    def config(self):
        path = os.path.join(self.directory, "freehold.toml")
        return path if os.path.exists(path) else None


def typed(where, values, schema):
    """The values with defaults filled in; ToolError for what the schema does not know."""
    if not isinstance(values, dict):
        raise ToolError(f"{where}: expected an object")
    for key in values:
        if key not in schema:
            raise ToolError(f"{where}: unknown key '{key}'; known are {', '.join(schema)}")
    full = {}
    for key, (kind, default) in schema.items():
        if key not in values and default is ...:
            raise ToolError(f"{where}: '{key}' is missing")
        value = values.get(key, default)
        if key in values and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ToolError(f"{where}: '{key}' should be {kind.__name__}, is {json.dumps(value)}")
        full[key] = value
    return full


def load(directory):
    """Reads one scenario; ToolError with the place of the fault."""
    path = os.path.join(directory, "expect.json")
    where = os.path.relpath(path, ROOT)
    try:
        with open(path, encoding="utf-8") as text:
            expect = typed(where, json.load(text), SCHEMA)
    except OSError as error:
        raise ToolError(f"{where}: {error.strerror}") from error
    except ValueError as error:
        raise ToolError(f"{where}: {error}") from error
    if expect["witness"] is not None:
        expect["witness"] = typed(where + ": witness", expect["witness"], WITNESS_SCHEMA)
    for pattern in expect["serial_has"] + expect["serial_lacks"]:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ToolError(f"{where}: pattern {json.dumps(pattern)}: {error}") from error
    for wanted in expect["events"]:
        if not isinstance(wanted, dict) or "type" not in wanted or not isinstance(wanted.get("count", 1), int):
            raise ToolError(f"{where}: an entry of 'events' needs 'type', and a whole number as 'count'")
    if expect["cpu_model"] and expect["emulator"] == "auto":
        raise ToolError(f"{where}: models are named differently in each emulator; say which 'emulator'")
    if expect["refused"] and expect["status"] not in (2, 3):
        raise ToolError(f"{where}: what is refused ends with status 2 or 3")
    if expect["status"] in (0, 1) and not (expect["partitions"] or expect["events"] or expect["serial_has"]):
        raise ToolError(f"{where}: nothing is checked besides the status; add 'partitions', 'events' or 'serial_has'")
    return Scenario(os.path.basename(directory), directory, expect)


def load_all(names=()):
    """All scenarios or the named ones, the longest first."""
    present = sorted(entry.name for entry in os.scandir(SCENARIOS) if entry.is_dir())
    for name in names:
        if name not in present:
            raise ToolError(f"there is no scenario '{name}'; there are {', '.join(present)}")
    scenarios = [load(os.path.join(SCENARIOS, name)) for name in (names or present)]
    return sorted(scenarios, key=lambda scenario: -scenario.expect["seconds"])


def added_file(scenario, text):
    """A file to add: ./NAME lies in the scenario's directory, anything else under the repository's root."""
    base = scenario.directory if text.startswith("./") else ROOT
    return os.path.join(base, text)


def command(scenario, results):
    """The call of tools/run that the scenario describes."""
    expect = scenario.expect
    words = [sys.executable, os.path.join(ROOT, "tools", "run"), "--emulator", expect["emulator"],
             "--cpus", str(expect["cpus"]), "--threads", str(expect["threads"]), "--packages", str(expect["packages"]),
             "--memory", str(expect["memory_mib"]), "--timeout", str(expect["timeout"]), "--ips", str(expect["ips"]), "--quiet",
             "--events", os.path.join(results, "events.jsonl"), "--serial", os.path.join(results, "serial.log")]
    if expect["cpu_model"]:
        words += ["--cpu-model", expect["cpu_model"]]
    if scenario.config:
        words += ["--config", scenario.config]
    if expect["typed"] is not None:
        words.append("--interactive")
    for target, source in expect["add"].items():
        words += ["--add", f"{added_file(scenario, source)}=freehold/{target}"]
    return words


def differs(wanted, actual, path):
    """None when `actual` holds all of `wanted`; else where it first does not. {"min": N} and {"max": N} bound a
    number, {"matches": REGEX} a text; other objects are compared by the keys wanted, lists element by element."""
    if isinstance(wanted, dict) and wanted and set(wanted) <= {"min", "max"}:
        fits = isinstance(actual, (int, float)) and not isinstance(actual, bool) and \
            wanted.get("min", actual) <= actual <= wanted.get("max", actual)
        return None if fits else f"{path} should be within {json.dumps(wanted)}, is {json.dumps(actual)}"
    if isinstance(wanted, dict) and set(wanted) == {"matches"}:
        fits = isinstance(actual, str) and re.search(wanted["matches"], actual)
        return None if fits else f"{path} should match {wanted['matches']!r}, is {json.dumps(actual)}"
    if isinstance(wanted, dict):
        if not isinstance(actual, dict):
            return f"{path} should be an object, is {json.dumps(actual)}"
        for key, value in wanted.items():
            found = differs(value, actual.get(key), f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        places = (differs(one, other, f"{path}[{i}]") for i, (one, other) in enumerate(zip(wanted, actual)))
        return next((found for found in places if found is not None), None)
    if type(wanted) is type(actual) and wanted == actual:
        return None
    return f"{path} should be {json.dumps(wanted)}, is {json.dumps(actual)}"


def report_rows(events):
    """Partition name -> its row in the last report; empty when there is none."""
    report = next((event for event in reversed(events) if event["type"] == "report"), None)
    rows = report.get("partitions") if report else None
    return {row.get("name"): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}


def check_partitions(expect, events):
    rows = report_rows(events)
    for name, wanted in expect["partitions"].items():
        if name not in rows:
            yield f"the report has no partition '{name}'"
        elif (found := differs(wanted, rows[name], f"report: {name}")) is not None:
            yield found


def check_events(expect, events):
    for entry in expect["events"]:
        wanted = {key: value for key, value in entry.items() if key != "count"}
        matching = [event for event in events if differs(wanted, event, "") is None]
        if "count" in entry and len(matching) != entry["count"]:
            yield f"{len(matching)} events match {json.dumps(wanted)}, expected {entry['count']}"
        elif not matching and "count" not in entry:
            yield f"no event matches {json.dumps(wanted)}"


def total_progress(row):
    """Sum over a partition's vCPUs; None when the row does not tell."""
    counters = row.get("progress") if isinstance(row, dict) else None
    return sum(counters) if isinstance(counters, list) else None


def progress_at_fault(fault, name):
    """A partition's progress at the moment of the fault of another; None when it is not told."""
    rows = fault.get("progress")
    row = next((row for row in rows if row.get("partition") == name), None) if isinstance(rows, list) else None
    return total_progress(row)


def check_witness(expect, events):
    """At each fault of another partition the witness had work before it, did it, and found nothing wrong."""
    witness = expect["witness"]
    if witness is None:
        return
    name = witness["partition"]
    row = report_rows(events).get(name)
    if row is None:
        yield f"the report has no witness '{name}'"
        return
    final = total_progress(row)
    if row.get("met") is not True:
        yield f"the witness '{name}' did not meet its expectation"
    if (found := differs({"passed": {"min": 1}, "failed": 0}, row.get("verdicts"), f"verdicts of {name}")) is not None:
        yield found
    if not final:
        yield f"the witness '{name}' made no progress"
    faults = [event for event in events if event["type"] == "fault" and event.get("partition") != name]
    if len(faults) != witness["faults"]:
        yield f"{len(faults)} faults beside the witness, expected {witness['faults']}"
    for fault in faults:
        then = progress_at_fault(fault, name)
        if then is None:
            yield f"the fault of {fault.get('partition')} does not tell the witness' progress"
        elif final is not None and then >= final:
            yield f"the witness stood still after the fault of {fault.get('partition')} ({then} of {final})"


def check(scenario, status, serial, events):
    """Everything that is not as it should be, as sentences."""
    expect = scenario.expect
    if status != expect["status"]:
        yield f"exit status {status}, expected {expect['status']}"
    if expect["refused"]:
        reasons = [event.get("reason") for event in events if event["type"] == "refused"]
        if reasons != [expect["refused"]]:
            yield f"refusals {reasons}, expected one, for {expect['refused']}"
    elif not events or events[-1]["type"] != "report":
        yield "the last event is not the report"
    for pattern in expect["serial_has"]:
        if not re.search(pattern, serial):
            yield f"COM1 did not show {pattern!r}"
    for pattern in expect["serial_lacks"]:
        if re.search(pattern, serial):
            yield f"COM1 showed {pattern!r}"
    yield from check_partitions(expect, events)
    yield from check_events(expect, events)
    yield from check_witness(expect, events)


def check_schema(path):
    """What docs/events.schema.json says against the events; at most a few complaints."""
    with open(validate_events.DEFAULT_SCHEMA, encoding="utf-8") as text:
        validator = validate_events.Validator(json.load(text))
    complaints, _ = validate_events.check_file(path, validator, partial=False)
    return complaints[:5]


def read_events(path):
    with open(path, encoding="utf-8") as text:
        return [json.loads(line) for line in text if line.strip()]


def run(scenario, echo=None):
    """Boots one scenario. Returns (passed, seconds, details); files stay under build/test/scenarios/NAME/."""
    results = os.path.join(RESULTS, scenario.name)
    os.makedirs(results, exist_ok=True)
    for name in ("events.jsonl", "serial.log"):
        open(os.path.join(results, name), "w", encoding="utf-8").close()
    words = command(scenario, results)
    if echo:
        echo(" ".join(words))
    started = time.monotonic()
    try:
        done = subprocess.run(words, input=scenario.expect["typed"] or "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=scenario.expect["timeout"] + SPARE_SECONDS,
                              check=False)
        status, said = done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        status, said = -1, "tools/run did not end by itself"
    seconds = time.monotonic() - started
    with open(os.path.join(results, "serial.log"), encoding="utf-8", errors="replace") as text:
        serial = text.read()
    events = os.path.join(results, "events.jsonl")
    wrong = list(check(scenario, status, serial, read_events(events))) + check_schema(events)
    if "malformed event" in said:
        wrong.append("an event was malformed")
    details = "\n".join(wrong + ["", said.strip(), f"(see {os.path.relpath(results, ROOT)}/)"])
    return not wrong, seconds, details
