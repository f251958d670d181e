"""The disk image: readable by the same tools a person would use, and the same bytes from the same input."""

import os
import subprocess
import tempfile
import unittest

from freehold import image
from freehold.common import ToolError, find_program


class Image(unittest.TestCase):
    """Makes images in a directory of their own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.loader = self.file("loader", b"MZ loader")
        self.config = self.file("config", b'region = "r"\n')
        self.path = os.path.join(self.directory, "disk.img")

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def read(self, path):
        drive = f"{self.path}@@{image.PARTITION_START_SECTOR * image.SECTOR_BYTES}"
        return subprocess.run([find_program("mtype", "mtools"), "-i", drive, "::/" + path], stdout=subprocess.PIPE,
                              env=dict(os.environ, MTOOLSRC=os.devnull), check=True).stdout

    def test_files_are_where_the_firmware_looks(self):
        guest = self.file("guest", os.urandom(100_000))
        image.make_image(self.path, self.loader, self.config, [(guest, "freehold/deep/down/guest.elf")])
        self.assertEqual(self.read("EFI/BOOT/BOOTX64.EFI"), b"MZ loader")
        self.assertEqual(self.read("freehold/freehold.toml"), b'region = "r"\n')
        with open(guest, "rb") as file:
            self.assertEqual(self.read("freehold/deep/down/guest.elf"), file.read())

    def test_partition_table_is_sound(self):
        image.make_image(self.path, self.loader)
        said = subprocess.run([find_program("sgdisk", "gdisk"), "--verify", "--print", self.path],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn("No problems found", said)
        self.assertIn("EF00", said)

    def test_same_input_makes_the_same_bytes(self):
        other = os.path.join(self.directory, "other.img")
        image.make_image(self.path, self.loader, self.config)
        os.utime(self.loader, (0, 0))
        image.make_image(other, self.loader, self.config)
        with open(self.path, "rb") as first, open(other, "rb") as second:
            self.assertTrue(first.read() == second.read())

    def test_large_files_make_it_larger(self):
        big = self.file("big", b"")
        os.truncate(big, 80 * image.MIB)
        size = image.make_image(self.path, self.loader, None, [(big, "freehold/big")])
        self.assertGreater(size, 80 * image.MIB)
        self.assertEqual(len(self.read("freehold/big")), 80 * image.MIB)

    def test_two_files_of_one_name_are_refused(self):
        with self.assertRaisesRegex(ToolError, "both"):
            image.make_image(self.path, self.loader, self.config, [(self.loader, "freehold/FREEHOLD.toml")])
        self.assertFalse(os.path.exists(self.path))

    def test_failure_leaves_no_half_image(self):
        with self.assertRaises(ToolError):
            image.make_image(self.path, self.loader, None, [(self.loader, "EFI/BOOT/BOOTX64.EFI/x")])
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("disk")], [])

    def test_paths_are_normalised_or_refused(self):
        self.assertEqual(image.esp_path("\\freehold\\a.elf"), "freehold/a.elf")
        for bad in ("", "/", "a//b", "../a", "a/./b", "a:b", "a\nb", "x" * 256):
            with self.assertRaises(ToolError):
                image.esp_path(bad)
