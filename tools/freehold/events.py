"""Reads the event stream on COM2 (JSON Lines) and derives the exit status of a run from it.

The firmware may use COM2 as a console before the loader runs, so anything that is not an object of ours is noise,
kept out of the event file. Everything here is what a possibly broken machine said: nothing is trusted to be there.
"""

import json

from .common import STATUS_FAILED, STATUS_MET, STATUS_UNMET, STATUS_USAGE

# Reasons of a refusal that the person can put right in the configuration or its files.
CONFIGURATION_REASONS = ("config", "image", "plan", "memory")
MARK = '{"v":'


class EventReader:
    """Takes bytes as they come; `events` holds the objects so far, `malformed` the lines that should have been."""

    def __init__(self, sink=None):
        self.events = []
        self.malformed = []
        self._sink = sink
        self._rest = b""

    def feed(self, data):
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)

    def finish(self):
        """The stream has ended; a last line without its end counts."""
        self._line(self._rest)
        self._rest = b""

    def _line(self, raw):
        text = raw.decode("utf-8", "replace").strip()
        start = text.find(MARK)
        if start < 0:
            return
        text = text[start:]
        try:
            event = json.loads(text)
        except ValueError:
            self.malformed.append(text)
            return
        if not isinstance(event.get("type"), str):
            self.malformed.append(text)
            return
        self.events.append(event)
        if self._sink:
            self._sink.write(text + "\n")
            self._sink.flush()

    def last(self, kind):
        """The last event of a type, or None."""
        return next((event for event in reversed(self.events) if event["type"] == kind), None)


def unmet_partitions(report):
    rows = report.get("partitions")
    rows = rows if isinstance(rows, list) else []
    return [str(row.get("name", "?")) for row in rows if isinstance(row, dict) and row.get("met") is not True]


def judge(reader):
    """(exit status, one sentence) for a run that ended by itself."""
    panic = reader.last("panic")
    if panic:
        return STATUS_FAILED, f"the hypervisor failed: {panic.get('message', 'no message')}"
    report = reader.last("report")
    if report:
        unmet = unmet_partitions(report)
        if report.get("met") is True and not unmet:
            return STATUS_MET, "every partition met its expectation"
        return STATUS_UNMET, f"expectation not met by: {', '.join(unmet) or 'the region as a whole'}"
    refused = reader.last("refused")
    if refused:
        reason = str(refused.get("reason", "unknown"))
        status = STATUS_USAGE if reason in CONFIGURATION_REASONS else STATUS_FAILED
        return status, f"the loader refused to start ({reason}): {refused.get('message', 'see the console')}"
    return STATUS_FAILED, "the machine ended without a report"
