"""build/check_config from outside: plans, refusals with their places, machines, images; and docs/configuration.md."""

import os
import re
import struct
import subprocess
import tempfile
import unittest

from freehold.common import ROOT

PROGRAM = os.path.join(ROOT, "build", "check_config")
DOCUMENT = os.path.join(ROOT, "docs", "configuration.md")
REFUSED = 2
PARTITION = '[[partition]]\nname = "{}"\nmemory = "64M"\nimage = "builtin:hello"\n{}\n'


def setUpModule():  # pylint: disable=invalid-name
    subprocess.run(["make", "-s", "--no-print-directory", "build/check_config"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)


def elf(entry=0x100000, gpa=0x100000):
    """The least ELF64 executable with one segment."""
    code = b"\xf4" * 16
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 120, gpa, gpa, len(code), len(code), 4096)
    return header + program + code


class CheckConfig(unittest.TestCase):
    """Each test writes its files into a directory of its own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, content):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def check(self, *arguments):
        return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=60)

    def plan(self, text, *arguments):
        """The plan's lines."""
        done = self.check(self.write("freehold.toml", text), *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def refusal(self, text, *arguments):
        """The message, without the file's name."""
        path = self.write("freehold.toml", text)
        done = self.check(path, *arguments)
        self.assertEqual((done.returncode, done.stdout), (REFUSED, ""))
        self.assertTrue(done.stderr.startswith(path + ":"), done.stderr)
        return done.stderr[len(path) + 1:].rstrip("\n")

    def test_a_plan_is_a_table(self):
        lines = self.plan(PARTITION.format("web", 'tenant = "acme"\nvcpus = 2'))
        self.assertRegex(lines[0], r'^region "local" on 4 cores, \d+M of memory for partitions$')
        self.assertEqual(lines[1].split()[:5], ["partition", "tenant", "vcpus", "cores", "memory"])
        self.assertEqual(lines[2].split()[:5], ["web", "acme", "2", "1-2", "64M"])
        self.assertEqual(lines[3], "core 0 runs the control loop; idle cores: 1")

    def test_parser_and_planner_errors_have_their_place(self):
        self.assertEqual(self.refusal("[[partition]]\nmemroy = 1\n"),
                         '2:1: error: unknown key "memroy": did you mean "memory"?')
        self.assertTrue(self.refusal(PARTITION.format("a", "vcpus = 4")).startswith(
            '5:9: error: partition "a" wants 4 vCPUs: of 4 physical cores one is kept for control and 3 are free'))

    def test_the_machine_can_be_described(self):
        two = PARTITION.format("a", "vcpus = 2") + PARTITION.format("b", "vcpus = 4")
        self.assertTrue(self.refusal(two, "--cpus", "6").startswith("10:9: error: "))
        lines = self.plan(two, "--cpus", "8", "--threads-per-core", "2", "--memory", "512")
        self.assertEqual([line.split()[3] for line in lines[2:4]], ["2-3", "4-7"])
        self.assertTrue(self.refusal(two, "--cpus", "8", "--memory", "128").startswith("8:10: error: "))
        self.assertIn("core 0 runs the control loop too",
                      self.plan(PARTITION.format("a", ""), "--cpus", "1")[-1])

    def test_zones_come_from_a_file(self):
        zone = "[[zone]]\ncores = 4\nmemory_mib = 1024\n"
        machine = self.write("machine.toml", zone + zone)
        lines = self.plan(PARTITION.format("a", "vcpus = 4"), "--machine", machine)
        self.assertRegex(lines[0], r'on 8 cores')
        self.assertRegex(lines[2], r' 4-7 +64M  0x04')  # core 0 is taken from zone 0; zone 1 starts at 1 GiB

    def test_wrong_machine_files_are_refused(self):
        config = self.write("freehold.toml", PARTITION.format("a", ""))
        zone = "[[zone]]\ncores = 4\nmemory_mib = 1024\n"
        for text, place in (("", "1:1: error: the file describes no machine"),
                            ("cores = 4\n", "1:1: error: a machine is a list of [[zone]]"),
                            ("[zone\n", "1:6: error: expected ]"),
                            ("[[node]]\n", "1:1: error: unknown table"),
                            ("[[zone]]\ncores = 4\n", "1:1: error: this [[zone]] needs both"),
                            ("[[zone]]\ncpus = 4\n", "2:1: error: unknown key"),
                            ("[[zone]]\ncores = 0\n", '2:9: error: "cores" must be an integer from 1 to 256'),
                            ("[[zone]]\ncores = '4'\n", '2:9: error: "cores" must be an integer from 1 to 256'),
                            (zone * 17, "49:1: error: more than 16 zones")):
            path = self.write("machine.toml", text)
            done = self.check(config, "--machine", path)
            self.assertEqual(done.returncode, REFUSED)
            self.assertTrue(done.stderr.startswith(f"{path}:{place}"), (text, done.stderr))
        path = self.write("machine.toml", "[[zone]]\ncores = 256\nthreads_per_core = 2\nmemory_mib = 64\n")
        self.assertIn("more than 256 logical cores", self.check(config, "--machine", path).stderr)

    def test_a_machine_can_be_too_small_for_freehold_itself(self):
        many = "".join(PARTITION.format(f"p{number}", "").replace("builtin:hello", f"{number}.elf") for number in range(32))
        done = self.check(self.write("freehold.toml", many), "--cpus", "256", "--memory", "64")
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("too small", done.stderr)

    def test_images_are_checked_where_they_are(self):
        self.write("files/acme/good.elf", elf())
        self.write("files/bad.elf", elf()[:100])
        self.write("files/far.elf", elf(entry=1 << 40, gpa=1 << 40))
        self.write("files/flat.BIN", b"\xf4")
        images = os.path.join(self.directory, "files")
        text = '[[partition]]\nname = "a"\nmemory = "64M"\nimage = "{}"\n'
        for good in ("acme/good.elf", "/acme/good.elf", "acme\\\\good.elf", "flat.BIN", "builtin:hello"):
            self.plan(text.format(good), "--images", images)
        for bad in ("bad.elf", "far.elf", "missing.elf", "acme"):
            self.plan(text.format(bad))
            message = self.refusal(text.format(bad), "--images", images)
            self.assertTrue(message.startswith(f'4:9: error: partition "a": image {images}/{bad} '), message)

    def test_wrong_usage_is_explained(self):
        config = self.write("freehold.toml", PARTITION.format("a", ""))
        for arguments, message in (([], "FILE is missing"),
                                   ([config, config], "one FILE at a time"),
                                   ([config, "--cpu", "4"], "there is no option --cpu"),
                                   ([config, "--cpus"], "a value is missing after --cpus"),
                                   ([config, "--cpus", "0"], "--cpus takes a number from 1 to 256"),
                                   ([config, "--cpus", "4x"], "--cpus takes a number"),
                                   ([config, "--cpus", "-1"], "--cpus takes a number"),
                                   ([config, "--cpus", "99999999999999999999"], "--cpus takes a number"),
                                   ([config, "--memory", "63"], "--memory takes a number from 64"),
                                   ([config, "--cpus", "3", "--threads-per-core", "2"], "must be a multiple"),
                                   ([config + "x"], "No such file"),
                                   ([self.directory], "cannot be read")):
            done = self.check(*arguments)
            self.assertEqual((done.returncode, done.stdout), (REFUSED, ""), arguments)
            self.assertIn(message, done.stderr)
        self.assertEqual(self.check("--help").returncode, 0)

    def test_make_check_config_passes_everything_on(self):
        config = self.write("freehold.toml", PARTITION.format("a", "vcpus = 6"))
        command = ["make", "-s", "--no-print-directory", "check-config", f"FILE={config}"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("M")}

        def make(*arguments):
            return subprocess.run([*command, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)

        self.assertIn(config + ":5:9: error: ", make().stdout)
        self.assertNotEqual(make().returncode, 0)
        done = make("CPUS=8", "THREADS=2", "MEMORY=512")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(" 2-7 ", done.stdout)

    def test_the_document_is_right(self):
        with open(DOCUMENT, encoding="utf-8") as file:
            document = file.read()
        keys = self.refusal("[[partition]]\nxyzzy = 1\n").split("there are ")[1].split(", ")
        keys += self.refusal("xyzzy = 1\n").split("there are ")[1].split(", ")
        faults = self.refusal("[[partition]]\nexpect = 'fault:xyzzy'\n").split("there are ")[1].split(", ")
        builtins = self.refusal("[[partition]]\nimage = 'builtin:xyzzy'\n").split("there are ")[1].split(", ")
        self.assertGreater(min(len(keys), len(faults), len(builtins)), 4)
        for key in keys + faults:
            self.assertIn(f"\n| `{key}` |", document)
        self.assertIn(", ".join(f"`{name}`" for name in builtins), document)
        for example in re.findall(r"```toml\n(.*?)```", document, re.DOTALL):
            if "[[zone]]" in example:
                self.plan(PARTITION.format("a", ""), "--machine", self.write("machine.toml", example))
            else:
                self.plan(example, "--cpus", "8", "--memory", "8192")
        table = re.search(r"\$ make -s check-config FILE=(\S+)\n((?:    .*\n)+)", document)
        done = self.check(os.path.join(ROOT, table.group(1)))
        self.assertEqual(done.stdout.splitlines()[1:], [line[4:] for line in table.group(2).splitlines()[1:]])


if __name__ == "__main__":
    unittest.main()
