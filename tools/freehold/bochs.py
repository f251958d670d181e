"""Bochs: full VT-x in software, on any machine. Slow, and deterministic: with `clock: sync=none` the TSC counts
instructions.

Builds differ. Debian's has the debugger compiled in, stops at once and needs `-rc FILE` with the command to go on;
others do not know -rc. They also differ in display libraries, so several are tried.
"""

import os
import shutil
import subprocess

from .common import ToolError, first_existing

DEFAULT_MODEL = "corei7_skylake_x"
# In order: `term` (on a pseudo-terminal of ours) and `nogui` open no network port; `rfb` listens on 5900 and up.
DISPLAYS = ("term", "nogui", "rfb")
HOST_MEMORY_LIMIT_MIB = 2048  # what Bochs 2.7 can allocate; the rest of guest memory it pages itself
FIRMWARE = ("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd", "/usr/share/qemu/OVMF.fd",
            "/usr/share/edk2/ovmf/OVMF.fd")
VGA_BIOS = ("/usr/share/bochs/VGABIOS-lgpl-latest", "/usr/share/vgabios/vgabios.bin",
            "/usr/share/seabios/vgabios-stdvga.bin", "/usr/share/seabios/vgabios.bin")


class Bochs:
    """One way to start one machine. `why` is told to the person."""

    name = "Bochs"

    def __init__(self, machine, why, debugger=False):
        self.machine = machine
        self.why = why
        self.debugger = debugger
        self.model = machine.cpu_model or DEFAULT_MODEL
        self.program = self._find()
        self.help = self._ask("--help")
        self.display = 0
        if self.model not in self.models():
            raise ToolError(f"Bochs knows no CPU model '{self.model}'; it knows {', '.join(self.models())}")
        if debugger and not self.has_debugger:
            raise ToolError(f"{self.program} was built without its debugger; use the distribution's Bochs")
        if debugger:
            self.display = DISPLAYS.index("rfb")  # the terminal belongs to the debugger's prompt

    @staticmethod
    def _find():
        wanted = os.environ.get("BOCHS", "bochs")
        found = shutil.which(wanted)
        if not found:
            raise ToolError(f"Bochs not found ('{wanted}'); run tools/deps run, or name one in the environment: BOCHS=")
        return found

    def _ask(self, *question):
        done = subprocess.run([self.program, *question], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=30, check=False)
        return done.stdout

    @property
    def has_debugger(self):
        return "-rc " in self.help

    def models(self):
        """Names of the CPU models of this build."""
        lines = [line.strip() for line in self._ask("--help", "cpu").splitlines()]
        return [line for line in lines if line and " " not in line and "=" not in line]

    def describe(self):
        return f"{self.program}, CPU model {self.model}"

    def prepare(self, scratch, image, com1, com2, full_log=False):
        """Writes the configuration into the scratch directory; com1 is (mode, device). The full log has a line for
        every EPT violation, and takes time."""
        machine = self.machine
        topology = f"{machine.packages}:{machine.cores}:{machine.threads}"
        display = DISPLAYS[self.display]
        host_memory = min(machine.memory_mib, HOST_MEMORY_LIMIT_MIB)
        lines = [
            f"romimage: file={first_existing(FIRMWARE, 'UEFI firmware (OVMF.fd)', 'ovmf')}",
            f"vgaromimage: file={first_existing(VGA_BIOS, 'a VGA BIOS', 'vgabios')}",
            f"cpu: model={self.model}, count={topology}, ips={machine.instructions_per_second}, reset_on_triple_fault=0",
            f"memory: guest={machine.memory_mib}, host={host_memory}",
            "clock: sync=none, time0=1704067200",
            "vga: realtime=0",  # else the screen is refreshed by wall time, and figures depend on how busy the host is
            f"com1: enabled=1, mode={com1[0]}, dev={com1[1]}",
            f"com2: enabled=1, mode=file, dev={com2}",
            f"ata0-master: type=disk, path={image}, mode=flat",
            "boot: disk",
            "sound: driver=dummy",
            f"display_library: {display}" + (', options="timeout=0"' if display == "rfb" else ""),
            f"log: {os.path.join(scratch, 'bochs.log')}",
            "panic: action=fatal",
            f"error: action={'report' if full_log else 'ignore'}",
            f"info: action={'report' if full_log else 'ignore'}",
            "debug: action=ignore",
        ]
        with open(os.path.join(scratch, "bochsrc"), "w", encoding="utf-8") as text:
            text.write("\n".join(lines) + "\n")
        with open(os.path.join(scratch, "go"), "w", encoding="utf-8") as text:
            text.write("c\n")
        lock = image + ".lock"  # left behind by a Bochs that was killed
        if os.path.exists(lock):
            os.unlink(lock)

    def command(self, scratch):
        command = [self.program, "-q", "-f", os.path.join(scratch, "bochsrc")]
        if self.has_debugger and not self.debugger:
            command += ["-rc", os.path.join(scratch, "go")]
        return command

    def retry(self, scratch, output):
        """After an end without a word from the machine: a reason to start again, changed or not; or None."""
        log = read_text(os.path.join(scratch, "bochs.log")) + output
        if f"display library '{DISPLAYS[self.display]}' not available" in log and self.display + 1 < len(DISPLAYS):
            self.display += 1
            return f"this Bochs has no {DISPLAYS[self.display - 1]} display, trying {DISPLAYS[self.display]}"
        if "RFB could not bind any port" in log:
            return "another Bochs took the display port at the same moment"
        return None

    def complaint(self, scratch, output):
        """What the emulator itself said went wrong, or None."""
        lines = (output + read_text(os.path.join(scratch, "bochs.log"))).splitlines()
        panics = [line for line in lines if "p[" in line[:14] or ">>PANIC<<" in line]
        ordinary = ("soft power off",)
        panics = [line.strip() for line in panics if not any(word in line for word in ordinary)]
        return "\n".join(panics[-3:]) or None


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read()
    except OSError:
        return ""
