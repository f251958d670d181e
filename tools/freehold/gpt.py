"""A GUID partition table with one partition, as bytes.

Source: UEFI Specification 2.10, "GUID Partition Table (GPT) Disk Layout" and "Legacy Master Boot Record".
"""

import struct
import uuid
import zlib

SECTOR_BYTES = 512
ENTRY_COUNT = 128
ENTRY_BYTES = 128
ENTRY_SECTORS = ENTRY_COUNT * ENTRY_BYTES // SECTOR_BYTES
HEADER_BYTES = 92
REVISION = 0x00010000
EFI_SYSTEM_PARTITION = uuid.UUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
PROTECTIVE_TYPE = 0xEE
CHS_BEYOND = b"\xff\xff\xff"  # "no cylinder, head and sector can say it"


def protective_mbr(disk_sectors):
    """Tells tools that know no GPT that the disk is taken."""
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", PROTECTIVE_TYPE, CHS_BEYOND, 1,
                        min(disk_sectors - 1, 0xFFFFFFFF))
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def entries(first_sector, last_sector, partition_guid, name):
    one = struct.pack("<16s16sQQQ72s", EFI_SYSTEM_PARTITION.bytes_le, uuid.UUID(partition_guid).bytes_le,
                      first_sector, last_sector, 0, name.encode("utf-16-le"))
    return one.ljust(ENTRY_COUNT * ENTRY_BYTES, b"\0")


def header(own_sector, other_sector, entries_sector, disk_sectors, disk_guid, table):
    """One of the two headers; both differ in where they and their entries lie."""

    def packed(checksum):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", REVISION, HEADER_BYTES, checksum, 0, own_sector,
                           other_sector, 2 + ENTRY_SECTORS, disk_sectors - ENTRY_SECTORS - 2,
                           uuid.UUID(disk_guid).bytes_le, entries_sector, ENTRY_COUNT, ENTRY_BYTES, zlib.crc32(table))

    return packed(zlib.crc32(packed(0))).ljust(SECTOR_BYTES, b"\0")


def write(disk, disk_sectors, first_sector, last_sector, disk_guid, partition_guid, name):
    """Writes both copies of the table into a file open for writing, `disk_sectors` long."""
    table = entries(first_sector, last_sector, partition_guid, name)
    backup = disk_sectors - 1
    disk.seek(0)
    disk.write(protective_mbr(disk_sectors))
    disk.write(header(1, backup, 2, disk_sectors, disk_guid, table))
    disk.write(table)
    disk.seek((backup - ENTRY_SECTORS) * SECTOR_BYTES)
    disk.write(table)
    disk.write(header(backup, 1, backup - ENTRY_SECTORS, disk_sectors, disk_guid, table))
