"""The machine a run is to have, whatever emulates it."""

from dataclasses import dataclass
from typing import Optional

from .common import ToolError

MAX_CPUS = 64
MIN_MEMORY_MIB = 128  # OVMF does not start below
MAX_MEMORY_MIB = 1024 * 1024
MIN_IPS = 10_000_000
MAX_IPS = 4_000_000_000


@dataclass
class Machine:
    """cpus counts logical processors: packages * cores * threads."""

    cpus: int = 4
    packages: int = 1
    threads: int = 1  # per core
    memory_mib: int = 1024
    cpu_model: Optional[str] = None  # None: the emulator's default
    instructions_per_second: int = 100_000_000  # of emulated time, each processor; what an emulated TSC counts

    @property
    def cores(self):
        """Per package."""
        return self.cpus // (self.packages * self.threads)

    def check(self):
        if not 1 <= self.cpus <= MAX_CPUS:
            raise ToolError(f"--cpus {self.cpus}: expected 1 to {MAX_CPUS}")
        if not MIN_MEMORY_MIB <= self.memory_mib <= MAX_MEMORY_MIB:
            raise ToolError(f"--memory {self.memory_mib}: expected {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB} MiB")
        if not MIN_IPS <= self.instructions_per_second <= MAX_IPS:
            raise ToolError(f"--ips {self.instructions_per_second}: expected {MIN_IPS} to {MAX_IPS}")
        if self.packages < 1 or self.threads < 1 or self.cpus % (self.packages * self.threads):
            raise ToolError(f"{self.cpus} CPUs cannot be {self.packages} package(s) of whole cores with "
                            f"{self.threads} thread(s) each")
