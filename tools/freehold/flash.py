"""Which disks may be overwritten, and writing one. When in doubt it refuses: what is overwritten is gone.

Looks only at sysfs, /proc/mounts and /proc/swaps; their places are arguments so that tests can make up a machine.
"""

import os
import re
from dataclasses import dataclass, field

from .common import ToolError
from .host import read_word

SECTOR_BYTES = 512  # /sys/block/*/size counts these, whatever the disk's own sector
CHUNK_BYTES = 4 * 1024 * 1024
GPT_SIGNATURE = b"EFI PART"
DISK_NAME = re.compile(r"[a-z][a-z0-9]*$")


@dataclass
class Surroundings:
    """Where the running system tells about its disks."""

    sys: str = "/sys"
    dev: str = "/dev"
    mounts: str = "/proc/self/mounts"
    swaps: str = "/proc/swaps"


@dataclass
class Disk:
    """A whole disk, as a person recognises it."""

    name: str
    path: str
    model: str
    size_bytes: int
    transport: str  # usb, mmc or other
    removable: bool
    read_only: bool
    partitions: list = field(default_factory=list)  # (name, bytes)

    def describe(self):
        lines = [f"{self.path}: {self.model}, {human(self.size_bytes)}, {self.transport}"
                 f"{', removable' if self.removable else ''}"]
        lines += [f"  {name}: {human(size)}" for name, size in self.partitions] or ["  no partitions"]
        return "\n".join(lines)


def human(size):
    """A size as printed on the stick: powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "B" else f"{size} B"
        size /= 1000
    return f"{size:.1f} TB"


def transport(device_link):
    """How the disk is attached, from the chain of devices in its sysfs path."""
    if re.search(r"/usb\d+/", device_link + "/"):
        return "usb"
    if re.search(r"/mmc_host/", device_link):
        return "mmc"
    return "other"


def size_of(block):
    words = read_word(os.path.join(block, "size"))
    return int(words) * SECTOR_BYTES if words and words.isdigit() else 0


def inspect(path, where):
    """The disk behind a device path. ToolError when it is not a whole disk."""
    real = os.path.realpath(path)
    name = os.path.basename(real)
    block = os.path.join(where.sys, "block", name)
    if os.path.dirname(real) != os.path.realpath(where.dev) or not DISK_NAME.match(name):
        raise ToolError(f"{path}: expected a disk such as {where.dev}/sdb")
    if not os.path.isdir(block):
        if os.path.exists(os.path.join(where.sys, "class", "block", name, "partition")):
            raise ToolError(f"{path} is a partition; give the whole disk")
        raise ToolError(f"{path} is no disk of this machine")
    link = os.path.realpath(block)
    words = [read_word(os.path.join(block, "device", word)) for word in ("vendor", "model", "name")]
    partitions = [(entry, size_of(os.path.join(block, entry))) for entry in sorted(os.listdir(block))
                  if os.path.exists(os.path.join(block, entry, "partition"))]
    return Disk(name=name, path=os.path.join(where.dev, name), model=" ".join(filter(None, words)) or "unknown model",
                size_bytes=size_of(block), transport=transport(link),
                removable=read_word(os.path.join(block, "removable")) == "1",
                read_only=read_word(os.path.join(block, "ro")) == "1", partitions=partitions)


def first_words(path):
    """First word of each line: the devices in a table of mounts or swaps."""
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return [line.split()[0] for line in text if line.split()]
    except OSError as error:
        raise ToolError(f"{path} cannot be read, so what is in use is not known: {error.strerror}") from error


def uses(disk, where):
    """Why the disk is in use; empty when nothing is known to use it."""
    own = {disk.name} | {name for name, _ in disk.partitions}
    found = []
    for table, verb in ((where.mounts, "mounted"), (where.swaps, "used as swap")):
        for device in first_words(table):
            name = os.path.basename(os.path.realpath(device)) if device.startswith("/") else None
            if name in own:
                found.append(f"{device} is {verb}")
    for name in sorted(own):
        for base in (os.path.join(where.sys, "block", name), os.path.join(where.sys, "block", disk.name, name)):
            holders = os.path.join(base, "holders")
            if os.path.isdir(holders):
                found += [f"{name} belongs to {holder}" for holder in sorted(os.listdir(holders))]
    return sorted(set(found))


def refusal(disk, where, image_bytes):
    """Why this disk is not overwritten, as a sentence; None when it may be, once the person agrees."""
    used = uses(disk, where)
    if disk.transport not in ("usb", "mmc") and not disk.removable:
        return f"{disk.path} is not removable: only USB and SD media are written"
    if used:
        return f"{disk.path} is in use: {'; '.join(used)}"
    if disk.read_only:
        return f"{disk.path} is write-protected"
    if disk.size_bytes < image_bytes:
        return f"{disk.path} holds {human(disk.size_bytes)}, the image is {human(image_bytes)}"
    return None


def check_image(path):
    """Size of the image; ToolError when it is none of ours."""
    try:
        with open(path, "rb") as image:
            head = image.read(2 * SECTOR_BYTES)
            size = image.seek(0, os.SEEK_END)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}; make image builds it") from error
    if head[SECTOR_BYTES:SECTOR_BYTES + len(GPT_SIGNATURE)] != GPT_SIGNATURE:
        raise ToolError(f"{path} is not a disk image with a GPT; make image builds one")
    return size


def write(image_path, device_path, progress=None):
    """Copies the image, flushes it, and reads it back. ToolError at the first difference."""
    # O_EXCL on a block device: refused when anything holds it, even what the tables did not show.
    device = os.open(device_path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    try:
        done = 0
        with open(image_path, "rb") as image:
            while chunk := image.read(CHUNK_BYTES):
                write_all(device, chunk)
                done += len(chunk)
                if progress:
                    progress("written", done)
        os.fsync(device)
        # What is read back must come from the medium, not from memory.
        os.posix_fadvise(device, 0, 0, os.POSIX_FADV_DONTNEED)
        compare(image_path, device, progress)
    finally:
        os.close(device)


def write_all(device, chunk):
    view = memoryview(chunk)
    while view:
        view = view[os.write(device, view):]


def compare(image_path, device, progress):
    os.lseek(device, 0, os.SEEK_SET)
    done = 0
    with open(image_path, "rb") as image:
        while chunk := image.read(CHUNK_BYTES):
            there = b""
            while len(there) < len(chunk):
                more = os.read(device, len(chunk) - len(there))
                if not more:
                    break
                there += more
            if there != chunk:
                raise ToolError(f"what was written differs near byte {done}: the medium is bad, do not boot from it")
            done += len(chunk)
            if progress:
                progress("verified", done)
