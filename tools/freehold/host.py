"""What the machine under the tools can do, above all: does nested VT-x really work here?

/dev/kvm alone proves nothing: it may exist where the processor has no VT-x at all. Each condition is tested for
itself, and the first one missing is the reason given to the person.
"""

import fcntl
import os

KVM_GET_API_VERSION = 0xAE00  # linux/kvm.h: _IO(0xAE, 0x00)
KVM_CREATE_VM = 0xAE01
KVM_API_VERSION = 12


def cpu_flags(path="/proc/cpuinfo"):
    try:
        with open(path, encoding="ascii", errors="replace") as text:
            for line in text:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def read_word(path):
    try:
        with open(path, encoding="ascii", errors="replace") as text:
            return text.read().strip()
    except OSError:
        return None


def try_kvm(device):
    """None when a virtual machine can really be made through the device, else why not."""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"there is no {device}"
    except OSError as error:
        return f"{device} cannot be opened ({error.strerror}); are you in the group kvm?"
    try:
        if fcntl.ioctl(descriptor, KVM_GET_API_VERSION) != KVM_API_VERSION:
            return f"{device} speaks an unknown KVM version"
        os.close(fcntl.ioctl(descriptor, KVM_CREATE_VM, 0))
    except OSError as error:
        return f"KVM makes no virtual machine ({error.strerror})"
    finally:
        os.close(descriptor)
    return None


def nested_vtx_missing(cpuinfo="/proc/cpuinfo", device="/dev/kvm",
                       nested="/sys/module/kvm_intel/parameters/nested"):
    """None when a guest of KVM here would itself have VT-x; else the reason, as a clause."""
    if "vmx" not in cpu_flags(cpuinfo):
        return "this machine's processor offers no VT-x (no vmx flag in /proc/cpuinfo)"
    missing = try_kvm(device)
    if missing:
        return missing
    if read_word(nested) not in ("Y", "1"):
        return "kvm_intel does not nest (load it with nested=1)"
    return None
