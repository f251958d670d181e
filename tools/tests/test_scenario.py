"""The scenario checks themselves: each must pass on a sound run and fail on the flaw it is there for."""

import copy
import json
import os
import tempfile
import unittest

from freehold import scenario
from freehold.common import ToolError

SOUND = [
    {"type": "boot", "cores": 3},
    {"type": "fault", "partition": "bad", "reason": "ept-violation",
     "progress": [{"partition": "bad", "progress": [1]}, {"partition": "witness", "progress": [5, 6]}]},
    {"type": "report", "met": True, "partitions": [
        {"name": "bad", "met": True, "progress": [1], "state": "faulted"},
        {"name": "witness", "met": True, "progress": [9, 9], "state": "exited", "exit_code": 0,
         "verdicts": {"passed": 1, "failed": 0}}]},
]
EXPECT = {
    "about": "a test", "status": 0, "serial_has": ["hello \\d"], "serial_lacks": ["PANIC"],
    "partitions": {"bad": {"state": "faulted"}, "witness": {"exit_code": 0, "verdicts": {"passed": {"min": 1}}}},
    "events": [{"type": "fault", "reason": "ept-violation", "count": 1}, {"type": "boot", "cores": {"max": 3}}],
    "witness": {"partition": "witness", "faults": 1},
}
SERIAL = "hello 1"


class Checks(unittest.TestCase):
    """One sound run, and one flaw at a time."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.events = copy.deepcopy(SOUND)

    def load(self, **changes):
        expect = {**copy.deepcopy(EXPECT), **changes}
        with open(os.path.join(self.directory, "expect.json"), "w", encoding="utf-8") as text:
            json.dump({key: value for key, value in expect.items() if value is not None}, text)
        return scenario.load(self.directory)

    def wrong(self, ended=0, serial=SERIAL, **changes):
        return "\n".join(scenario.check(self.load(**changes), ended, serial, self.events))

    def test_sound_run_passes(self):
        self.assertEqual(self.wrong(), "")

    def test_other_status(self):
        self.assertIn("exit status 3", self.wrong(ended=3))

    def test_missing_text(self):
        self.assertIn("did not show", self.wrong(serial="nothing"))

    def test_text_that_must_not_be(self):
        self.assertIn("showed", self.wrong(serial=SERIAL + " PANIC"))

    def test_stream_without_report(self):
        self.events.pop()
        self.assertIn("last event is not the report", self.wrong())

    def test_other_state(self):
        self.events[-1]["partitions"][0]["state"] = "exited"
        self.assertIn("report: bad.state", self.wrong())

    def test_partition_missing_from_the_report(self):
        del self.events[-1]["partitions"][0]
        self.assertIn("no partition 'bad'", self.wrong())

    def test_event_that_did_not_come(self):
        self.assertIn("no event matches", self.wrong(events=[{"type": "audit"}]))

    def test_event_that_came_too_often(self):
        self.assertIn("2 events match", self.wrong(events=[{"type": {"matches": "boot|fault"}, "count": 1}]))

    def test_number_out_of_bounds(self):
        self.events[0]["cores"] = 4
        self.assertIn("no event matches", self.wrong())

    def test_lists_are_compared_element_by_element(self):
        self.assertEqual(self.wrong(partitions={"bad": {"progress": [{"min": 1}]}}), "")
        self.assertIn("progress[0]", self.wrong(partitions={"bad": {"progress": [{"min": 2}]}}))
        self.assertIn("progress", self.wrong(partitions={"bad": {"progress": [1, 1]}}))

    def test_true_is_not_1(self):
        self.events[-1]["partitions"][1]["exit_code"] = False
        self.assertIn("exit_code", self.wrong())

    def test_witness_that_stood_still(self):
        self.events[1]["progress"][1]["progress"] = [9, 9]
        self.assertIn("stood still", self.wrong())

    def test_witness_with_a_failed_verdict(self):
        self.events[-1]["partitions"][1]["verdicts"]["failed"] = 1
        self.assertIn("failed", self.wrong())

    def test_witness_without_verdict(self):
        self.events[-1]["partitions"][1]["verdicts"]["passed"] = 0
        self.assertIn("passed", self.wrong(partitions={}))

    def test_witness_that_did_not_meet_its_expectation(self):
        self.events[-1]["partitions"][1]["met"] = False
        self.assertIn("did not meet", self.wrong())

    def test_fault_that_did_not_happen(self):
        del self.events[1]
        self.assertIn("0 faults beside the witness", self.wrong(events=[]))

    def test_fault_that_does_not_tell_the_witness(self):
        del self.events[1]["progress"][1]
        self.assertIn("does not tell", self.wrong())

    def test_missing_witness(self):
        del self.events[-1]["partitions"][1]
        self.assertIn("no witness", self.wrong(partitions={}))

    def test_refusal(self):
        self.events[:] = [{"type": "refused", "reason": "config"}]
        plain = {"partitions": {}, "events": [], "witness": None, "status": 2}
        self.assertEqual(self.wrong(ended=2, refused="config", **plain), "")
        self.assertIn("expected one, for image", self.wrong(ended=2, refused="image", **plain))
        self.events.append(SOUND[-1])
        self.events.append(self.events[0])
        self.assertIn("refusals", self.wrong(ended=2, refused="config", **plain))

    def test_bad_descriptions_are_refused(self):
        for changes in ({"colour": "red"}, {"cpus": "four"}, {"cpus": True}, {"about": None}, {"serial_has": ["("]},
                        {"events": [{"count": 1}]}, {"refused": "config"}, {"cpu_model": "z80"},
                        {"witness": {"partition": "w"}},
                        {"serial_has": [], "events": [], "partitions": {}}):
            with self.assertRaises(ToolError, msg=str(changes)):
                self.load(**changes)

    def test_every_scenario_can_be_read(self):
        names = [one.name for one in scenario.load_all()]
        self.assertIn("two-tenants", names)
        with self.assertRaisesRegex(ToolError, "there are .*two-tenants"):
            scenario.load_all(["nope"])
