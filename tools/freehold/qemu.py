"""QEMU: with KVM and nested VT-x the fast way; without KVM it emulates no VT-x at all, which is good for seeing
Freehold's refusal and for debugging the loader."""

import os
import shutil

from .common import find_program, first_existing

# (code, variable store) pairs as distributions name them; the store is copied, it is written to.
FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)
GDB_PORT = 1234


class Qemu:
    """One way to start one machine. `why` is told to the person."""

    def __init__(self, machine, why, kvm, gdb_port=None):
        self.machine = machine
        self.why = why
        self.kvm = kvm
        self.gdb_port = gdb_port
        self.name = "QEMU/KVM" if kvm else "QEMU without KVM"
        self.program = find_program(os.environ.get("QEMU", "qemu-system-x86_64"), "qemu-system-x86")
        self.model = machine.cpu_model or ("host,+vmx" if kvm else "max")
        self._arguments = []

    def describe(self):
        return f"{self.program}, CPU model {self.model}"

    def prepare(self, scratch, image, com1, com2, _full_log=False):
        """Copies the firmware's variable store into the scratch directory; com1 is (mode, device)."""
        machine = self.machine
        pairs = [pair for pair in FIRMWARE if os.path.exists(pair[0]) and os.path.exists(pair[1])]
        code, store = pairs[0] if pairs else (first_existing(FIRMWARE[0], "UEFI firmware (OVMF)", "ovmf"), FIRMWARE[0][1])
        own_store = os.path.join(scratch, "OVMF_VARS.fd")
        shutil.copyfile(store, own_store)
        serial1 = f"file,id=com1,path={com1[1]}" if com1[0] == "file" else f"serial,id=com1,path={com1[1]}"
        self._arguments = [
            "-machine", "q35,accel=" + ("kvm" if self.kvm else "tcg"), "-cpu", self.model,
            "-smp", f"{machine.cpus},sockets={machine.packages},cores={machine.cores},threads={machine.threads}",
            "-m", str(machine.memory_mib), "-nodefaults", "-no-user-config", "-nic", "none",
            "-vga", "std", "-display", "none", "-no-reboot",
            "-drive", f"if=pflash,format=raw,readonly=on,file={escaped(code)}",
            "-drive", f"if=pflash,format=raw,file={escaped(own_store)}",
            "-drive", f"format=raw,file={escaped(image)}",
            "-chardev", serial1, "-serial", "chardev:com1",
            "-chardev", f"file,id=com2,path={escaped(com2)}", "-serial", "chardev:com2",
        ]
        if self.gdb_port is not None:
            self._arguments += ["-gdb", f"tcp:127.0.0.1:{self.gdb_port}", "-S"]

    def command(self, _scratch):
        return [self.program, *self._arguments]

    def retry(self, _scratch, _output):
        """QEMU needs no second attempt."""
        return None

    def complaint(self, _scratch, output):
        """What the emulator itself said went wrong, or None."""
        lines = [line for line in output.splitlines() if line.startswith("qemu")]
        return "\n".join(lines[-3:]) or None


def escaped(path):
    """QEMU's option syntax: a comma inside a value is doubled."""
    return path.replace(",", ",,")
