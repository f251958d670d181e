"""The figures of tools/bench from runs made up here: each must come from where it says, and what is missing be named."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest

from freehold import bench
from freehold.common import LOADER, ROOT, ToolError


def metric(name, value):
    return {"type": "metric", "partition": "bench", "name": name, "value": value}


def boot_events(cores, vcpus):
    return [{"type": "boot", "cores": cores,
             "hypervisor_bytes": {"image": 200000, "pool": 900000, "used": 500000, "cores": cores * 60000}},
            {"type": "plan", "partitions": [
                {"name": "bench", "vcpus": vcpus,
                 "hypervisor_bytes": {"tables": 12288, "vcpus": vcpus * 8192, "other": 32768}}]}]


ONE = boot_events(1, 1) + [metric(name, number) for number, name in enumerate((
    "exit.cpuid", "exit.vmcall", "exit.rdmsr", "exit.port_in", "exit.uart_lsr", "exit.hlt_wake", "start.from_efi_main",
    "start.with_scrub", "start.without_scrub", "first_instruction"), 101)]
EVENTS = {
    "one": ONE,
    "three": boot_events(3, 2) + [metric("exit.ipi", 1000), metric("exit.ipi_halted", 2000), metric("exit.cpuid", 9)],
    "work": [metric("work.ticks", 1010)],
    "native": [metric("work.ticks", 1000)],
}


def elf(segments):
    """An ELF64 file with these (type, address, bytes in memory)."""
    header = bench.ELF_HEADER.pack(b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return header + b"".join(bench.ELF_SEGMENT.pack(kind, 5, 0, address, address, 0, size, 4096)
                             for kind, address, size in segments)


class Figures(unittest.TestCase):
    """Values, and what happens when a run did not tell one."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.files = {name: os.path.join(directory.name, name) for name in ("BOOTX64.EFI", "hv.elf")}
        self.write("BOOTX64.EFI", b"x" * 777)
        self.write("hv.elf", elf([(1, 0xffffffff80000000, 100), (4, 0, 10 ** 9), (1, 0xffffffff80002000, 0x1000)]))
        self.events = copy.deepcopy(EVENTS)

    def write(self, name, data):
        with open(self.files[name], "wb") as file:
            file.write(data)

    def rows(self):
        return bench.rows(bench.Measured(self.events, self.files), "bochs", "some_model")

    def values(self):
        return {row["name"]: row["value"] for row in self.rows()}

    def test_each_from_its_place(self):
        self.assertEqual(self.values(), {
            "exit.cpuid": 101, "exit.vmcall": 102, "exit.rdmsr": 103, "exit.port_in": 104, "exit.uart_lsr": 105,
            "exit.hlt_wake": 106, "exit.ipi": 1000, "exit.ipi_halted": 2000, "boot.efi_main_to_first_guest": 107,
            "start.256m_with_scrub": 108, "start.256m_without_scrub": 109, "start.256m_first_instruction": 110,
            "memory.per_core": 60000, "memory.per_partition": 32768, "memory.per_vcpu": 8192,
            "memory.page_tables_256m": 12288, "size.hv_image": 0x3000, "size.efi_file": 777,
            "work.native": 1000, "work.partition": 1010, "work.overhead_percent": 1.0})

    def test_sizes_belong_to_no_emulator(self):
        for row in self.rows():
            built = row["name"].startswith("size.")
            self.assertEqual((row["emulator"], row["cpu_model"]), (None, None) if built else ("bochs", "some_model"))

    def test_every_missing_metric_is_named(self):
        for run, events in EVENTS.items():
            for event in events:
                if event["type"] != "metric" or (run, event["name"]) == ("three", "exit.cpuid"):
                    continue
                self.events = copy.deepcopy(EVENTS)
                self.events[run].remove(event)
                with self.assertRaisesRegex(ToolError, f"'{run}'.*{event['name']}"):
                    self.rows()

    def test_missing_plan(self):
        self.events["one"] = [event for event in ONE if event["type"] != "plan"]
        with self.assertRaisesRegex(ToolError, "no plan event"):
            self.rows()

    def test_files_that_are_no_elf(self):
        for data in (b"", b"\x7fELF", b"\x7fELF\x01" + bytes(100), b"MZ" + bytes(100), elf([(4, 0, 1)])):
            self.write("hv.elf", data)
            with self.assertRaisesRegex(ToolError, "build it again"):
                self.rows()

    def test_rows_are_a_baseline(self):
        rows = json.loads(json.dumps(self.rows()))
        self.assertEqual(list(bench.check_rows("there", rows).values()), rows)

    def test_configurations(self):
        self.assertIsNone(bench.config("native"))
        self.assertIn('image = "builtin:worker"', bench.config("work"))
        self.assertIn("vcpus = 2\n", bench.config("three"))


class Built(unittest.TestCase):
    """What was built last, against the aims that need no machine."""

    @unittest.skipUnless(os.path.exists(LOADER), "nothing is built yet")
    def test_the_efi_file_is_small(self):
        aim = next(figure.aim for figure in bench.FIGURES if figure.name == "size.efi_file")
        self.assertLessEqual(os.path.getsize(LOADER), aim)


class Comparison(unittest.TestCase):
    """Against the last release."""

    ROW = {"name": "exit.cpuid", "value": 110, "unit": "ticks", "emulator": "bochs", "cpu_model": "m"}

    def difference(self, **old):
        return bench.difference(self.ROW, {**self.ROW, **old})

    def test_differences(self):
        self.assertEqual(self.difference(), "same")
        self.assertEqual(self.difference(value=100), "+10 (+10.0%)")
        self.assertEqual(self.difference(value=2200), "-2,090 (-95.0%)")
        self.assertEqual(self.difference(value=0), "+110")
        self.assertEqual(bench.difference(self.ROW, None), "new")

    def test_other_circumstances_do_not_compare(self):
        for change in ({"unit": "bytes"}, {"emulator": "kvm"}, {"cpu_model": "n"}, {"cpu_model": None}):
            self.assertEqual(self.difference(**change), "not comparable")

    def test_aims(self):
        figure = bench.FIGURES[0]
        self.assertEqual(bench.aim_text(figure, 120), "<= 120")
        self.assertEqual(bench.aim_text(figure, 121), "MISSED: 120")

    def test_table(self):
        rows = [{**self.ROW, "name": figure.name, "value": number * 1000}
                for number, figure in enumerate(bench.FIGURES, 1)]
        lines = list(bench.table(rows, {"exit.cpuid": self.ROW}))
        self.assertEqual(len(lines), len(bench.FIGURES) + 1)
        self.assertRegex(lines[1], r"^exit\.cpuid +1,000  ticks  .*MISSED: 120 +110  \+890 \(\+809\.1%\)")
        self.assertRegex(lines[3], r"^exit\.rdmsr +3,000 .* new ")

    def test_baselines_that_are_none(self):
        flaws = ({}, [1], [{"name": "x"}], [{**self.ROW, "more": 1}], [{**self.ROW, "value": "1"}],
                 [{**self.ROW, "value": True}], [self.ROW, self.ROW])
        for flaw in flaws:
            with self.assertRaisesRegex(ToolError, "^here: "):
                bench.check_rows("here", flaw)

    def test_the_baseline_of_this_tree(self):
        with open(os.path.join(ROOT, "tools", "bench_baseline.json"), encoding="utf-8") as text:
            known = bench.check_rows("bench_baseline.json", json.load(text))
        self.assertEqual(list(known), [figure.name for figure in bench.FIGURES])


class Program(unittest.TestCase):
    """tools/bench from outside, as far as it goes without a machine."""

    def run_tool(self, *words, **environment):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "bench"), *words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                              env={**os.environ, **environment})
        return done.returncode, done.stdout

    def test_damaged_baseline(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write("[")
            file.flush()
            status, said = self.run_tool("--baseline", file.name)
        self.assertEqual(status, 2)
        self.assertIn(file.name, said)

    def test_no_emulator(self):
        with tempfile.TemporaryDirectory() as directory:
            status, said = self.run_tool("--build", directory, BOCHS="/nonexistent/bochs")
            self.assertEqual((status, os.listdir(directory)), (2, []))
        self.assertIn("status 2", said)
        self.assertIn("Bochs not found", said)


if __name__ == "__main__":
    unittest.main()
