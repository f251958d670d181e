"""Where things are, and how a tool ends with one clear line. Must stay free of emulator and image knowledge."""

import os
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
LOADER = os.path.join(BUILD, "BOOTX64.EFI")

# Exit statuses of tools/run, the same everywhere a tool reports on a run.
STATUS_MET = 0
STATUS_UNMET = 1
STATUS_USAGE = 2
STATUS_FAILED = 3
STATUS_TIMEOUT = 4
STATUS_INTERRUPTED = 130


class ToolError(Exception):
    """Something the person at the keyboard can put right; the message says what and how."""


def note(text):
    """One line about what the tool itself does, kept apart from what the machine prints."""
    print(f"freehold: {text}", file=sys.stderr, flush=True)


def find_program(name, package):
    """Path of a program, also looking where administration tools live. ToolError names the package."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    found = shutil.which(name, path=path)
    if not found:
        raise ToolError(f"{name} is not installed; run tools/deps run, or install the package {package}")
    return found


def first_existing(paths, what, package):
    """The first of several places where distributions put a file. ToolError names the package."""
    for path in paths:
        if os.path.exists(path):
            return path
    raise ToolError(f"{what} not found (looked for {', '.join(paths)}); install the package {package}")
