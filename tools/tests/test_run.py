"""tools/run from outside, with a made-up Bochs that says on its serial ports what each test wants."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

from freehold.common import ROOT

RUN = os.path.join(ROOT, "tools", "run")
REPORT = {"v": 1, "type": "report", "partitions": [{"name": "a", "met": True}], "met": True}
UNMET = {"v": 1, "type": "report", "partitions": [{"name": "a", "met": True}, {"name": "b", "met": False}], "met": False}

# Knows --help as Bochs does, finds its serial files in the bochsrc, then runs the test's own lines.
FAKE = """\
#!{python}
import os, sys, time
if sys.argv[1:] == ["--help"]:
    print("  -rc filename  execute debugger commands")
    sys.exit(0)
if sys.argv[1:] == ["--help", "cpu"]:
    print("corei7_skylake_x\\ncorei7_haswell_4770")
    sys.exit(0)
rc = dict(line.split(": ", 1) for line in open(sys.argv[sys.argv.index("-f") + 1]).read().splitlines())
com1, com2 = (rc[port].split("dev=")[1] for port in ("com1", "com2"))
def say(path, text):
    with open(path, "a") as out:
        out.write(text)
here = os.path.dirname(os.path.abspath(__file__))
{body}
"""


class FakeBochs(unittest.TestCase):
    """Runs tools/run with a Bochs whose behaviour the test writes."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.loader = self.file("loader.efi", "MZ")

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as text:
            text.write(content)
        return path

    def command(self, body, *arguments):
        fake = self.file("bochs", FAKE.format(python=sys.executable, body=textwrap.dedent(body)))
        os.chmod(fake, 0o755)
        self.environment = dict(os.environ, BOCHS=fake, TMPDIR=self.directory)
        return [sys.executable, RUN, "--emulator", "bochs", "--loader", self.loader, *arguments]

    def run_tool(self, body, *arguments):
        return subprocess.run(self.command(body, *arguments), env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    def says(self, *events):
        """Body of a machine that says these events and powers off."""
        return "".join(f"say(com2, {json.dumps(json.dumps(event))} + '\\n')\n" for event in events)

    def test_all_met_is_0(self):
        self.assertEqual(self.run_tool(self.says({"v": 1, "type": "boot"}, REPORT)).returncode, 0)

    def test_one_unmet_is_1_and_named(self):
        done = self.run_tool(self.says(UNMET))
        self.assertEqual(done.returncode, 1)
        self.assertIn("not met by: b", done.stderr)

    def test_report_that_contradicts_itself_is_1(self):
        self.assertEqual(self.run_tool(self.says({**UNMET, "met": True})).returncode, 1)

    def test_last_report_counts(self):
        self.assertEqual(self.run_tool(self.says(UNMET, REPORT)).returncode, 0)

    def test_refused_configuration_is_2(self):
        for reason in ("config", "image", "plan", "memory"):
            done = self.run_tool(self.says({"v": 1, "type": "refused", "reason": reason, "message": "line 3"}))
            self.assertEqual(done.returncode, 2)
            self.assertIn("line 3", done.stderr)

    def test_refused_machine_is_3(self):
        self.assertEqual(self.run_tool(self.says({"v": 1, "type": "refused", "reason": "no-vmx"})).returncode, 3)

    def test_refusal_ends_a_firmware_that_goes_on(self):
        body = self.says({"v": 1, "type": "refused", "reason": "config"}) + "time.sleep(60)"
        started = time.monotonic()
        self.assertEqual(self.run_tool(body).returncode, 2)
        self.assertLess(time.monotonic() - started, 20)

    def test_panic_is_3_even_after_a_report(self):
        done = self.run_tool(self.says(REPORT, {"v": 1, "type": "panic", "message": "CHECK failed"}))
        self.assertEqual(done.returncode, 3)
        self.assertIn("CHECK failed", done.stderr)

    def test_no_report_is_3_with_the_emulators_complaint(self):
        body = """\
            say(rc["log"], "00001p[CPU0  ] >>PANIC<< 3rd exception with no resolution\\n")
            say(com1, "boot\\n")
            sys.exit(1)
        """
        done = self.run_tool(body)
        self.assertEqual(done.returncode, 3)
        self.assertIn("no resolution", done.stderr)

    def test_no_end_is_4_and_nothing_is_left(self):
        body = 'say(os.path.join(here, "pid"), str(os.getpid()))\ntime.sleep(60)'
        self.assertEqual(self.run_tool(body, "--timeout", "1").returncode, 4)
        self.assert_gone()

    def assert_gone(self):
        with open(os.path.join(self.directory, "pid"), encoding="ascii") as text:
            pid = int(text.read())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("freehold-run-")], [])

    def ends_on(self, number):
        body = 'say(os.path.join(here, "pid"), str(os.getpid()))\nsay(com1, "up\\n")\ntime.sleep(60)'
        # Under a shell in the background SIGINT comes ignored.
        with subprocess.Popen(self.command(body), env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
            self.assertEqual(process.stdout.readline(), b"up\n")  # it streams: the machine is still running
            process.send_signal(number)
            process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)
        self.assert_gone()

    def test_interrupt_ends_the_emulator(self):
        self.ends_on(signal.SIGINT)

    def test_termination_ends_the_emulator(self):
        self.ends_on(signal.SIGTERM)

    def test_console_streams_without_clearing_the_screen(self):
        done = self.run_tool('say(com1, "\\x1b[2J\\x1b[01;01H\\x1b[=3hhello\\x1b[32m\\n")\n' + self.says(REPORT))
        self.assertEqual(done.stdout, "hello\x1b[32m\n")

    def test_serial_and_events_are_kept(self):
        serial, events = os.path.join(self.directory, "serial"), os.path.join(self.directory, "events")
        body = 'say(com1, "\\x1b[2Jhello\\n")\nsay(com2, "firmware was here\\n\\x1b[1m")\n' + self.says(REPORT)
        self.run_tool(body, "--serial", serial, "--events", events)
        with open(serial, "rb") as text:
            self.assertEqual(text.read(), b"\x1b[2Jhello\n")
        with open(events, encoding="utf-8") as text:
            self.assertEqual([json.loads(line) for line in text], [REPORT])

    def test_torn_event_is_told(self):
        done = self.run_tool("say(com2, '{\"v\":1,\"type\":\"report\",\"met\":tr')")
        self.assertEqual(done.returncode, 3)
        self.assertIn("malformed event", done.stderr)

    def test_display_libraries_are_tried_in_turn(self):
        body = """\
            if rc["display_library"] == "term":
                print(">>PANIC<< display library 'term' not available")
                sys.exit(1)
            say(com1, rc["display_library"])
        """ + "\n" + textwrap.indent(self.says(REPORT), " " * 12)
        done = self.run_tool(body)
        self.assertEqual((done.returncode, done.stdout), (0, "nogui"))

    def test_fight_for_a_display_port_is_tried_again(self):
        body = """\
            first = os.path.join(here, "first")
            if not os.path.exists(first):
                say(first, "")
                say(rc["log"], "RFB could not bind any port between 5900 and 5949")
                sys.exit(1)
        """ + "\n" + textwrap.indent(self.says(REPORT), " " * 12)
        self.assertEqual(self.run_tool(body).returncode, 0)

    def test_typed_input_reaches_com1(self):
        body = """\
            say(com2, '{"v":1,"type":"plan"}\\n')
            with open(com1, "rb+", buffering=0) as port:
                port.write(b"> ")
                for _ in range(3):
                    port.write(port.read(1))  # the next key comes when this one was echoed
        """ + "\n" + textwrap.indent(self.says(REPORT), " " * 12)
        done = subprocess.run(self.command(body, "--interactive"), env=self.environment, input="abc",
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "> abc"))

    def test_machine_is_described_to_bochs(self):
        body = "say(com1, rc['cpu'] + ' ' + rc['memory'])\n" + self.says(REPORT)
        done = self.run_tool(body, "--cpus", "8", "--threads", "2", "--packages", "2", "--memory", "6144",
                             "--cpu-model", "corei7_haswell_4770")
        self.assertIn("model=corei7_haswell_4770, count=2:2:2", done.stdout)
        self.assertIn("guest=6144, host=2048", done.stdout)

    def test_usage_errors_are_2(self):
        for arguments in (["--cpus", "0"], ["--cpus", "3", "--threads", "2"], ["--memory", "1"], ["--config", "/none"],
                          ["--add", "/none"], ["--add", f"{self.loader}=EFI/BOOT/bootx64.efi"], ["--cpu-model", "z80"],
                          ["--add", f"{self.loader}=a/../b"], ["--timeout", "-1"], ["--image", "/none"], ["--what"]):
            self.assertEqual(self.run_tool(self.says(REPORT), *arguments).returncode, 2, arguments)

    def test_missing_loader_names_the_remedy(self):
        os.unlink(self.loader)
        done = self.run_tool(self.says(REPORT))
        self.assertEqual(done.returncode, 2)
        self.assertIn("build it", done.stderr)

    def test_missing_bochs_names_the_remedy(self):
        command = self.command("")
        self.environment["BOCHS"] = "/none/bochs"
        done = subprocess.run(command, env=self.environment, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("tools/deps", done.stderr)
