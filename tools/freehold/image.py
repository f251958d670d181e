"""Makes a bootable disk image: GPT with one EFI system partition. Needs no root and no loop device.

Must never write outside the image file it was asked for.
"""

import os
import re
import subprocess

from . import gpt
from .common import ToolError, find_program

SECTOR_BYTES = gpt.SECTOR_BYTES
MIB = 1024 * 1024
PARTITION_START_SECTOR = 2048  # 1 MiB: every disk's erase block and RAID stripe divides it
GPT_TAIL_BYTES = MIB  # room for the backup table
# FAT32 needs 65,525 clusters; with one sector each and the tables that is just above 33 MiB.
ESP_MINIMUM_BYTES = 48 * MIB
ESP_SPARE_BYTES = 8 * MIB
# Fixed, so that the same input makes the same bytes.
DISK_GUID = "5EE7AC1E-F4EE-401D-8000-000000000001"
PARTITION_GUID = "5EE7AC1E-F4EE-401D-8000-000000000002"
VOLUME_SERIAL = "F4EE401D"
TIMESTAMP = "1704067200"  # 2024-01-01: files carry it, not the time of the build

CONFIG_PATH = "freehold/freehold.toml"
LOADER_PATH = "EFI/BOOT/BOOTX64.EFI"
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


def esp_path(text):
    """Normalises a path on the EFI system partition to slashes, without a leading one."""
    parts = text.replace("\\", "/").strip("/").split("/")
    for part in parts:
        if part in ("", ".", "..") or FORBIDDEN.search(part) or len(part) > 255:
            raise ToolError(f"'{text}' is no path for a FAT file system: '{part}' cannot be a name there")
    return "/".join(parts)


def parse_add(text):
    """HOST_FILE[=PATH_ON_ESP] -> (host file, path on the ESP). Without a path it goes under freehold/."""
    host, sign, target = text.partition("=")
    if not host or (sign and not target):
        raise ToolError(f"--add '{text}': expected HOST_FILE or HOST_FILE=PATH_ON_ESP")
    if not os.path.isfile(host):
        raise ToolError(f"--add: there is no file '{host}'")
    return host, esp_path(target) if sign else esp_path("freehold/" + os.path.basename(host))


def collect(loader, config, adds):
    """[(host file, path on the ESP)] in order, each target once (FAT does not tell case apart)."""
    files = [(loader, LOADER_PATH)]
    if config:
        files.append((config, CONFIG_PATH))
    files += list(adds)
    seen = {}
    for host, target in files:
        if not os.path.isfile(host):
            raise ToolError(f"there is no file '{host}'" + ("; build it with make" if host == loader else ""))
        if target.casefold() in seen:
            raise ToolError(f"both '{seen[target.casefold()]}' and '{host}' would become {target} on the image")
        seen[target.casefold()] = host
    for directory in directories(files):
        if directory.casefold() in seen:
            raise ToolError(f"{directory} would be both a file and a directory on the image")
    return files


def directories(files):
    """Every directory the files need, parents first, each once."""
    ordered, seen = [], set()
    for _, target in files:
        parts = target.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            if path.casefold() not in seen:
                seen.add(path.casefold())
                ordered.append(path)
    return ordered


def esp_bytes(files):
    """Size of the EFI system partition for these files: a whole number of MiB."""
    content = sum(os.path.getsize(host) for host, _ in files)
    wanted = max(ESP_MINIMUM_BYTES, content + content // 32 + ESP_SPARE_BYTES)
    return (wanted + MIB - 1) // MIB * MIB


def run_quietly(command, environment):
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise ToolError(f"{os.path.basename(command[0])} failed:\n{done.stdout.strip()}")


def fill(path, files, sectors, environment):
    """Makes the FAT file system inside the partition and copies the files into it."""
    mtools = {name: find_program(name, "mtools") for name in ("mformat", "mmd", "mcopy")}
    drive = ["-i", f"{path}@@{PARTITION_START_SECTOR * SECTOR_BYTES}"]
    run_quietly([mtools["mformat"], *drive, "-F", "-T", str(sectors), "-h", "64", "-s", "32",
                 "-H", str(PARTITION_START_SECTOR), "-c", "1", "-N", VOLUME_SERIAL, "-v", "FREEHOLD", "::"],
                environment)
    for directory in directories(files):
        run_quietly([mtools["mmd"], *drive, "::/" + directory], environment)
    for host, target in files:
        run_quietly([mtools["mcopy"], *drive, os.path.abspath(host), "::/" + target], environment)


def make_image(path, loader, config=None, adds=()):
    """Writes the image to `path` (replaced whole, never half-done). Returns its size in bytes."""
    files = collect(loader, config, adds)
    size = esp_bytes(files)
    sectors = size // SECTOR_BYTES
    environment = dict(os.environ, MTOOLS_SKIP_CHECK="1", MTOOLSRC=os.devnull, SOURCE_DATE_EPOCH=TIMESTAMP, TZ="UTC")
    partial = f"{path}.partial"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    total = PARTITION_START_SECTOR * SECTOR_BYTES + size + GPT_TAIL_BYTES
    try:
        with open(partial, "wb") as image:
            image.truncate(total)
            gpt.write(image, total // SECTOR_BYTES, PARTITION_START_SECTOR, PARTITION_START_SECTOR + sectors - 1,
                      DISK_GUID, PARTITION_GUID, "EFI system")
        fill(partial, files, sectors, environment)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    return total
