"""The figures of `make bench`: which there are, which runs they come from, how they compare with the last release.

A figure is taken from the events of a run, from the files that were built, or from other figures. Nothing here starts an
emulator; tools/bench does.
"""

import os
import struct
from dataclasses import dataclass
from typing import Callable, Optional

from .common import ToolError

MIB = 1024 * 1024
ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
ELF_SEGMENT = struct.Struct("<IIQQQQQQ")
SEGMENT_LOAD = 1
PARTITION_NAME = "bench"
MEMORY_MIB = 256  # of the partition whose start is measured

# What is booted: name -> (CPUs, guest, its vCPUs); no guest: the load on the bare machine.
RUNS = {
    "one": (1, "bench", 1),
    "three": (3, "bench", 2),
    "work": (1, "worker", 1),
    "native": (1, None, 0),
}


@dataclass
class Figure:
    """One line of the table. `take` gets a Measured and returns the value; `aim` is the most it should be."""

    name: str
    unit: str
    what: str
    take: Callable
    aim: Optional[float] = None
    emulated: bool = True  # False: a property of what was built, the same everywhere


class Measured:
    """What the runs and the build gave. Every question has an answer, or a ToolError that says what is missing."""

    def __init__(self, events, files):
        self._events = events  # run -> list of event objects
        self._files = files  # name -> path

    def metric(self, run, name):
        """The last value of a metric in a run."""
        for event in reversed(self._events[run]):
            if event.get("type") == "metric" and event.get("name") == name:
                return event["value"]
        raise ToolError(f"the run '{run}' has told no metric {name}")

    def _first(self, run, kind):
        for event in self._events[run]:
            if event.get("type") == kind:
                return event
        raise ToolError(f"the run '{run}' has told no {kind} event")

    def own_bytes(self, run, kind):
        """The hypervisor's memory in a run: image, pool, used or cores."""
        return self._first(run, "boot")["hypervisor_bytes"][kind]

    def cores(self, run):
        return self._first(run, "boot")["cores"]

    def partition_bytes(self, run, kind):
        """Of the run's only partition: tables, vcpus or other."""
        return self._first(run, "plan")["partitions"][0]["hypervisor_bytes"][kind]

    def vcpus(self, run):
        return self._first(run, "plan")["partitions"][0]["vcpus"]

    def file_bytes(self, name):
        return os.path.getsize(self._files[name])

    def loaded_bytes(self, name):
        """Memory that the segments of an ELF file take, from the first byte to the last."""
        with open(self._files[name], "rb") as file:
            return loaded_bytes(file.read())


def loaded_bytes(elf):
    """Memory that the loadable segments of an ELF64 image span. ToolError when it is none."""
    if len(elf) < ELF_HEADER.size or elf[:5] != b"\x7fELF\x02":
        raise ToolError("the hypervisor's file is no ELF64 file; build it again")
    header = ELF_HEADER.unpack_from(elf)
    start, size, count = header[5], header[9], header[10]
    spans = []
    for index in range(count):
        segment = ELF_SEGMENT.unpack_from(elf, start + index * size)
        if segment[0] == SEGMENT_LOAD:
            spans.append((segment[3], segment[3] + segment[6]))
    if not spans:
        raise ToolError("the hypervisor's file has nothing to load; build it again")
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def overhead_percent(measured):
    native = measured.metric("native", "work.ticks")
    return round((measured.metric("work", "work.ticks") - native) * 100 / native, 3)


def exit_figure(name, what, run="one", aim=None):
    return Figure(name, "ticks", what, lambda measured: measured.metric(run, name), aim)


FIGURES = [
    exit_figure("exit.cpuid", "CPUID, from exit to re-entry as the guest sees it", aim=120),
    exit_figure("exit.vmcall", "a hypercall that does nothing", aim=120),
    exit_figure("exit.rdmsr", "RDMSR of the x2APIC id"),
    exit_figure("exit.port_in", "IN from a port without a device"),
    exit_figure("exit.uart_lsr", "IN from the UART's line status"),
    exit_figure("exit.hlt_wake", "HLT with an interrupt pending, to its handler"),
    exit_figure("exit.ipi", "IPI there and back, the other vCPU spinning; 3 CPUs", "three"),
    exit_figure("exit.ipi_halted", "the same, the other vCPU halted; 3 CPUs", "three"),
    Figure("boot.efi_main_to_first_guest", "ticks", f"from efi_main to a guest of {MEMORY_MIB} MiB",
           lambda measured: measured.metric("one", "start.from_efi_main")),
    Figure("start.256m_with_scrub", "ticks", "from the decision to start it, its memory zeroed",
           lambda measured: measured.metric("one", "start.with_scrub")),
    Figure("start.256m_without_scrub", "ticks", "the same less the zeroing",
           lambda measured: measured.metric("one", "start.without_scrub")),
    Figure("start.256m_first_instruction", "ticks", "from the decision to the guest's first RDTSC",
           lambda measured: measured.metric("one", "first_instruction")),
    Figure("memory.per_core", "bytes", "of the hypervisor's, each core of 3; tables and guard pages counted",
           lambda measured: measured.own_bytes("three", "cores") // measured.cores("three")),
    Figure("memory.per_partition", "bytes", "besides its page tables and vCPUs",
           lambda measured: measured.partition_bytes("one", "other"), 64 * 1024),
    Figure("memory.per_vcpu", "bytes", "its VMCS included",
           lambda measured: measured.partition_bytes("three", "vcpus") // measured.vcpus("three")),
    Figure("memory.page_tables_256m", "bytes", "second-stage tables of the partition",
           lambda measured: measured.partition_bytes("one", "tables")),
    Figure("size.hv_image", "bytes", "the hypervisor as loaded",
           lambda measured: measured.loaded_bytes("hv.elf"), 256 * 1024, False),
    Figure("size.efi_file", "bytes", "BOOTX64.EFI, the built-in guests included",
           lambda measured: measured.file_bytes("BOOTX64.EFI"), 256 * 1024, False),
    Figure("work.native", "ticks", "the worker's load on the bare machine, interrupts off",
           lambda measured: measured.metric("native", "work.ticks")),
    Figure("work.partition", "ticks", "the same load in a partition that shares its core with the control loop",
           lambda measured: measured.metric("work", "work.ticks")),
    Figure("work.overhead_percent", "percent", "what Freehold adds to it", overhead_percent),
]


def config(run):
    """freehold.toml for a run, or None when it boots no Freehold."""
    _, guest, vcpus = RUNS[run]
    if guest is None:
        return None
    return (f'region = "bench"\n\n[[partition]]\nname = "{PARTITION_NAME}"\nvcpus = {vcpus}\n'
            f'memory = "{MEMORY_MIB}M"\nimage = "builtin:{guest}"\nexpect = "exit:0"\n')


def rows(measured, emulator, cpu_model):
    """The figures as objects of bench.json, in the order of the table."""
    return [{"name": figure.name, "value": figure.take(measured), "unit": figure.unit,
             "emulator": emulator if figure.emulated else None,
             "cpu_model": cpu_model if figure.emulated else None} for figure in FIGURES]


def check_rows(where, values):
    """The rows of a baseline by name. ToolError unless they are what `rows` writes."""
    keys = {"name", "value", "unit", "emulator", "cpu_model"}
    if not isinstance(values, list):
        raise ToolError(f"{where}: expected a list of figures")
    by_name = {}
    for row in values:
        if not isinstance(row, dict) or set(row) != keys:
            raise ToolError(f"{where}: a figure has exactly {', '.join(sorted(keys))}")
        if not isinstance(row["value"], (int, float)) or isinstance(row["value"], bool):
            raise ToolError(f"{where}: {row['name']}: the value should be a number")
        if row["name"] in by_name:
            raise ToolError(f"{where}: {row['name']} is there twice")
        by_name[row["name"]] = row
    return by_name


def difference(row, old):
    """How a figure stands to the last release's: "+3", "-2 (-1.5%)", "same", "new", or why they do not compare."""
    if old is None:
        return "new"
    if (old["unit"], old["emulator"], old["cpu_model"]) != (row["unit"], row["emulator"], row["cpu_model"]):
        return "not comparable"
    change = round(row["value"] - old["value"], 3)
    if change == 0:
        return "same"
    share = f" ({change * 100 / old['value']:+.1f}%)" if old["value"] and row["unit"] != "percent" else ""
    return f"{change:+,}{share}"


def aim_text(figure, value):
    if figure.aim is None:
        return ""
    return f"{'<=' if value <= figure.aim else 'MISSED:'} {figure.aim:,}"


def table(values, baseline):
    """Lines for people: one a figure."""
    header = ("figure", "value", "unit", "aim", "last release", "difference", "what")
    lines = [header]
    for figure, row in zip(FIGURES, values):
        old = baseline.get(row["name"])
        lines.append((row["name"], f"{row['value']:,}", row["unit"], aim_text(figure, row["value"]),
                      f"{old['value']:,}" if old else "", difference(row, old), figure.what))
    right = (1, 4)
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [text.rjust(width) if column in right else text.ljust(width)
                 for column, (text, width) in enumerate(zip(line, widths))]
        yield "  ".join(cells).rstrip()
