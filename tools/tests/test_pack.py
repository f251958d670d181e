"""tools/pack: what goes in comes out, within the limits of the format, and smaller where it repeats itself."""

import importlib.machinery
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import unittest

from freehold.common import ROOT

PROGRAM = os.path.join(ROOT, "tools", "pack")


def load():
    loader = importlib.machinery.SourceFileLoader("pack", PROGRAM)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("pack", loader))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


pack = load()


class Packing(unittest.TestCase):
    """By the functions, and as the build calls it."""

    def assert_round_trip(self, data):
        packed = pack.pack(data)
        self.assertEqual(pack.unpack(packed), data)
        return packed

    def test_small_and_odd(self):
        for data in (b"", b"a", b"abc", b"abcd", b"aaaa", b"aaaaa", b"a" * 135, b"a" * 136, b"abcd" * 3 + b"x", bytes(range(256))):
            self.assert_round_trip(data)

    def test_runs_of_literals(self):
        for length in (127, 128, 129, 255, 256, 257):
            data = random.Random(length).randbytes(length)
            self.assertEqual(len(self.assert_round_trip(data)), 4 + length + (length + 127) // 128)

    def test_distances(self):
        for gap in (pack.DISTANCE_MAX - 20, pack.DISTANCE_MAX - 16, pack.DISTANCE_MAX - 15, pack.DISTANCE_MAX + 1):
            data = b"0123456789abcdef" + bytes(gap) + b"0123456789abcdef"
            packed = self.assert_round_trip(data)
            self.assertEqual(packed.count(b"0123456789abcdef"), 1 if gap + 16 <= pack.DISTANCE_MAX else 2)

    def test_random(self):
        for seed in range(200):
            source = random.Random(seed)
            words = [source.randbytes(source.randrange(1, 9)) for _ in range(8)]
            self.assert_round_trip(b"".join(source.choice(words) for _ in range(source.randrange(300))))

    def test_repetition_shrinks(self):
        self.assertLess(len(self.assert_round_trip(b"a line that comes again\n" * 1000)), 1000)

    def test_program(self):
        with tempfile.TemporaryDirectory() as directory:
            given, made = os.path.join(directory, "in"), os.path.join(directory, "out")
            with open(given, "wb") as file:
                file.write(b"abc" * 100)
            subprocess.run([sys.executable, PROGRAM, given, made], check=True, timeout=60)
            with open(made, "rb") as file:
                self.assertEqual(pack.unpack(file.read()), b"abc" * 100)
            self.assertEqual(sorted(os.listdir(directory)), ["in", "out"])

    def test_usage(self):
        done = subprocess.run([sys.executable, PROGRAM], stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
