"""tools/flash must refuse every disk but an idle removable one: shown on made-up machines."""

import os
import tempfile
import unittest

from freehold import flash
from freehold.common import ToolError

IMAGE_BYTES = 66 * 1024 * 1024


class MadeUpMachine:
    """A sysfs, /dev and tables in a directory, with disks as wanted."""

    def __init__(self, root):
        self.root = root
        for name in ("sys/block", "sys/class/block", "dev"):
            os.makedirs(os.path.join(root, name))
        self.where = flash.Surroundings(sys=f"{root}/sys", dev=f"{root}/dev", mounts=f"{root}/mounts",
                                        swaps=f"{root}/swaps")
        self.table("mounts", "proc /proc proc rw 0 0")
        self.table("swaps", "Filename Type Size Used Priority")

    def table(self, name, *lines):
        with open(os.path.join(self.root, name), "w", encoding="utf-8") as text:
            text.write("\n".join(lines) + "\n")

    def put(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def disk(self, name, bus, removable="0", size_bytes=8_000_000_000, read_only="0", partitions=()):
        home = f"sys/devices/pci0000:00/{bus}/block/{name}"
        self.put(f"{home}/removable", removable)
        self.put(f"{home}/ro", read_only)
        self.put(f"{home}/size", str(size_bytes // 512))
        self.put(f"{home}/device/vendor", "Acme")
        self.put(f"{home}/device/model", "Stick 3000")
        os.symlink(os.path.join(self.root, home), os.path.join(self.root, "sys/block", name))
        self.put(f"dev/{name}", "")
        for part in partitions:
            self.put(f"{home}/{part}/partition", "1")
            self.put(f"{home}/{part}/size", "2048")
            self.put(f"dev/{part}", "")
            os.symlink(os.path.join(self.root, home, part), os.path.join(self.root, "sys/class/block", part))
        return f"{self.root}/dev/{name}"


USB = "0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:0"
SATA = "0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0"
MMC = "0000:00:1c.0/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:0001"


class Refusals(unittest.TestCase):
    """Each test makes one disk and asks what would be done with it."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.machine = MadeUpMachine(os.path.realpath(directory.name))

    def refusal(self, path, image_bytes=IMAGE_BYTES):
        disk = flash.inspect(path, self.machine.where)
        return flash.refusal(disk, self.machine.where, image_bytes)

    def test_idle_usb_stick_is_accepted(self):
        self.assertIsNone(self.refusal(self.machine.disk("sdb", USB, removable="1", partitions=["sdb1"])))

    def test_usb_disk_that_calls_itself_fixed_is_accepted(self):
        self.assertIsNone(self.refusal(self.machine.disk("sdb", USB, removable="0")))

    def test_sd_card_is_accepted(self):
        self.assertIsNone(self.refusal(self.machine.disk("mmcblk0", MMC, removable="0", partitions=["mmcblk0p1"])))

    def test_internal_disk_is_refused(self):
        self.assertIn("not removable", self.refusal(self.machine.disk("sda", SATA)))

    def test_nvme_disk_is_refused(self):
        path = self.machine.disk("nvme0n1", "0000:00:1d.0/nvme/nvme0", partitions=["nvme0n1p1"])
        self.assertIn("not removable", self.refusal(path))

    def test_mounted_disk_is_refused(self):
        path = self.machine.disk("sdb", USB, removable="1")
        self.machine.table("mounts", f"{path} /media vfat rw 0 0")
        self.assertIn("mounted", self.refusal(path))

    def test_disk_with_a_mounted_partition_is_refused(self):
        path = self.machine.disk("sdb", USB, removable="1", partitions=["sdb1", "sdb2"])
        self.machine.table("mounts", f"{path}2 / ext4 rw 0 0")
        self.assertIn("sdb2 is mounted", self.refusal(path))

    def test_mount_through_a_symbolic_link_is_found(self):
        path = self.machine.disk("sdb", USB, removable="1", partitions=["sdb1"])
        link = os.path.join(self.machine.root, "dev", "root")
        os.symlink(path + "1", link)
        self.machine.table("mounts", f"{link} / ext4 rw 0 0")
        self.assertIn("mounted", self.refusal(path))

    def test_swap_is_refused(self):
        path = self.machine.disk("sdb", USB, removable="1", partitions=["sdb1"])
        self.machine.table("swaps", "Filename Type Size Used Priority", f"{path}1 partition 1024 0 -2")
        self.assertIn("swap", self.refusal(path))

    def test_disk_under_a_volume_manager_is_refused(self):
        path = self.machine.disk("sdb", USB, removable="1", partitions=["sdb1"])
        self.machine.put("sys/block/sdb/sdb1/holders/dm-0", "")
        self.assertIn("belongs to dm-0", self.refusal(path))

    def test_write_protected_disk_is_refused(self):
        self.assertIn("write-protected", self.refusal(self.machine.disk("sdb", USB, removable="1", read_only="1")))

    def test_disk_smaller_than_the_image_is_refused(self):
        path = self.machine.disk("sdb", USB, removable="1", size_bytes=IMAGE_BYTES - 512)
        self.assertIn("the image is", self.refusal(path))

    def test_empty_card_reader_is_refused(self):
        self.assertIn("holds 0 B", self.refusal(self.machine.disk("sdb", USB, removable="1", size_bytes=0)))

    def test_partition_is_no_disk(self):
        path = self.machine.disk("sdb", USB, removable="1", partitions=["sdb1"])
        with self.assertRaisesRegex(ToolError, "is a partition"):
            flash.inspect(path + "1", self.machine.where)

    def test_unknown_device_is_no_disk(self):
        with self.assertRaisesRegex(ToolError, "no disk of this machine"):
            flash.inspect(f"{self.machine.where.dev}/sdz", self.machine.where)

    def test_file_elsewhere_is_no_disk(self):
        with self.assertRaisesRegex(ToolError, "expected a disk"):
            flash.inspect(f"{self.machine.root}/mounts", self.machine.where)

    def test_unreadable_mount_table_stops(self):
        path = self.machine.disk("sdb", USB, removable="1")
        os.unlink(self.machine.where.mounts)
        with self.assertRaisesRegex(ToolError, "not known"):
            self.refusal(path)

    def test_description_names_model_size_and_partitions(self):
        path = self.machine.disk("sdb", USB, removable="1", partitions=["sdb1"])
        text = flash.inspect(path, self.machine.where).describe()
        for part in ("Acme Stick 3000", "8.0 GB", "usb", "sdb1: 1.0 MB"):
            self.assertIn(part, text)


class Writing(unittest.TestCase):
    """Writing to a plain file in the place of a device."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.image = os.path.join(directory.name, "image")
        self.device = os.path.join(directory.name, "device")
        with open(self.image, "wb") as image:
            image.write(os.urandom(512) + flash.GPT_SIGNATURE + os.urandom(5 * 1024 * 1024))
        with open(self.device, "wb") as device:
            device.truncate(8 * 1024 * 1024)

    def test_what_is_written_is_the_image(self):
        flash.write(self.image, self.device)
        with open(self.image, "rb") as image, open(self.device, "rb") as device:
            content = image.read()
            self.assertEqual(device.read(len(content)), content)

    def test_a_medium_that_lies_is_found(self):
        real = flash.write_all
        self.addCleanup(setattr, flash, "write_all", real)
        flash.write_all = lambda device, chunk: real(device, chunk[:-1] + bytes([chunk[-1] ^ 1]))
        with self.assertRaisesRegex(ToolError, "differs"):
            flash.write(self.image, self.device)

    def test_something_else_than_an_image_is_refused(self):
        with self.assertRaisesRegex(ToolError, "GPT"):
            flash.check_image(self.device)

    def test_missing_image_names_the_remedy(self):
        with self.assertRaisesRegex(ToolError, "make image"):
            flash.check_image(self.image + ".not")
