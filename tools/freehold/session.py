"""Runs one emulated machine from power-on to its end: starts the emulator in a scratch directory of its own, passes
COM1 on as it comes, reads events from COM2, and leaves neither processes nor files behind.
"""

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty
from dataclasses import dataclass, field
from typing import Optional

from .common import STATUS_FAILED, STATUS_TIMEOUT, ToolError, note
from .events import EventReader, judge
from .image import make_image

POLL_SECONDS = 0.05
ATTEMPTS = 6
REFUSED_GRACE_SECONDS = 1.0  # after a refusal the firmware goes on looking for something to boot
REPORT_GRACE_SECONDS = 20.0  # after its report the machine should power off
KILL_GRACE_SECONDS = 3.0
ECHO_SECONDS = 3.0  # after which a key counts as swallowed
INTERACTIVE_ESCAPE = b"\x1d"  # Ctrl-]
PR_SET_PDEATHSIG = 1  # linux/prctl.h

# Cursor movement and clearing, which firmware sends in plenty; colours are left alone.
ESCAPES = re.compile(rb"\x1b\[[0-9;?=]*[A-Za-ln-z]|\x1b[()][A-Z0-9]|\x1b[=>78]|\x00")
UNFINISHED_ESCAPE = re.compile(rb"\x1b(\[[0-9;?=]*)?$|\x1b[()]$")


@dataclass
class Request:
    """What to run. Files are host paths; None: not wanted."""

    loader: str
    config: Optional[str] = None
    adds: list = field(default_factory=list)
    image: Optional[str] = None  # a ready image instead of loader, config and adds
    timeout_seconds: float = 300.0  # 0: none
    events_path: Optional[str] = None
    serial_path: Optional[str] = None
    interactive: bool = False
    keep: bool = False  # leave the scratch directory for a look
    own_terminal: bool = False  # the emulator's own prompt takes the terminal
    console: object = None  # binary stream for COM1; None: discarded


@dataclass
class Result:
    status: int
    why: str
    seconds: float
    serial: bytes
    reader: EventReader


class Console:
    """Passes COM1 on without what would clear or move about on the person's screen."""

    def __init__(self, stream):
        self._stream = stream
        self._rest = b""

    def write(self, data):
        if not self._stream:
            return
        data = self._rest + data
        unfinished = UNFINISHED_ESCAPE.search(data)
        cut = unfinished.start() if unfinished and len(data) - unfinished.start() < 32 else len(data)
        data, self._rest = data[:cut], data[cut:]
        self._stream.write(ESCAPES.sub(b"", data))
        self._stream.flush()


class Tail:
    """New bytes of a file that something else is appending to."""

    def __init__(self, path):
        self._path = path
        self._file = None

    def read(self):
        if self._file is None:
            try:
                self._file = open(self._path, "rb")
            except FileNotFoundError:
                return b""
        return self._file.read()

    def close(self):
        if self._file:
            self._file.close()


def prepare_child():
    """In the child, before exec. Should these tools be killed outright, the emulator must not go on burning CPU.
    And SIGALRM stays blocked: Bochs writes its log from that signal's handler, and stops for ever on its own lock
    when the signal came while it was writing its log."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM,))
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


class Terminals:
    """Pseudo-terminals: one for the emulator's own display, one for COM1 when a person types to it."""

    def __init__(self, interactive):
        self.display, self.display_slave = os.openpty()
        os.set_blocking(self.display, False)
        self.com1 = self.com1_slave = None
        self.com1_name = None
        if interactive:
            self.com1, self.com1_slave = os.openpty()
            tty.setraw(self.com1_slave)
            os.set_blocking(self.com1, False)
            self.com1_name = os.ttyname(self.com1_slave)

    def close(self):
        for descriptor in (self.display, self.display_slave, self.com1, self.com1_slave):
            if descriptor is not None:
                os.close(descriptor)


def read_some(descriptor):
    """What is there now; empty when nothing is, or when the other side is gone."""
    chunks = []
    for _ in range(64):
        try:
            data = os.read(descriptor, 65536)
        except (BlockingIOError, OSError):
            break
        if not data:
            break
        chunks.append(data)
    return b"".join(chunks)


class Script:
    """Types what did not come from a person, who looks before typing on: each key when the one before was echoed. A
    UART has room for 16 characters, and Freehold may be busy printing."""

    def __init__(self):
        self.waiting = b""
        self._sent = None  # (key, how much COM1 had said, when)

    def go_on(self, com1, serial):
        if not self.waiting or com1 is None:
            return
        if self._sent:
            key, said, when = self._sent
            echoed = key in serial[said:] if key.isalnum() else len(serial) > said
            if not echoed and time.monotonic() - when < ECHO_SECONDS:
                return
        self._sent = self.waiting[:1], len(serial), time.monotonic()
        os.write(com1, self.waiting[:1])
        self.waiting = self.waiting[1:]


class Session:
    """One run. Use: Session(emulator, request).run()."""

    def __init__(self, emulator, request):
        self.emulator = emulator
        self.request = request
        self.console = Console(request.console)
        self.serial = bytearray()
        self.display_output = bytearray()
        self.process = None
        self.ended = None  # (status, why) decided before the emulator's end
        self.deadline_after = None  # (time, what it means)
        self.reader = EventReader()
        self.script = Script()

    def run(self):
        started = time.monotonic()
        scratch = tempfile.mkdtemp(prefix="freehold-run-")
        events = open(self.request.events_path, "w", encoding="utf-8") if self.request.events_path else None
        try:
            image = os.path.join(scratch, "disk.img")
            if self.request.image:
                shutil.copyfile(self.request.image, image)
            else:
                make_image(image, self.request.loader, self.request.config, self.request.adds)
            self._attempts(scratch, image, events)
            status, why = self.ended or judge(self.reader)
            if status == STATUS_FAILED:
                complaint = self.emulator.complaint(scratch, self.display_output.decode("utf-8", "replace"))
                why += f"; {self.emulator.name} says: {complaint}" if complaint else ""
            return Result(status, why, time.monotonic() - started, bytes(self.serial), self.reader)
        finally:
            if events:
                events.close()
            if self.request.serial_path:
                with open(self.request.serial_path, "wb") as serial:
                    serial.write(self.serial)
            if self.request.keep:
                note(f"scratch directory kept: {scratch}")
            else:
                shutil.rmtree(scratch, ignore_errors=True)

    def _attempts(self, scratch, image, events):
        for attempt in range(ATTEMPTS):
            self.reader = EventReader(events)
            self._one(scratch, image)
            if self.ended or self.serial or self.reader.events:
                return
            again = self.emulator.retry(scratch, self.display_output.decode("utf-8", "replace"))
            if not again:
                return
            note(again)
            self.display_output.clear()
            time.sleep(0.2 * attempt)

    def _one(self, scratch, image):
        com2 = os.path.join(scratch, "com2")
        com1_file = os.path.join(scratch, "com1")
        terminals = Terminals(self.request.interactive)
        com1 = ("term", terminals.com1_name) if self.request.interactive else ("file", com1_file)
        self.emulator.prepare(scratch, image, com1, com2, self.request.keep)
        own = self.request.own_terminal
        stream = None if own else terminals.display_slave
        tails = Tail(com1_file), Tail(com2)
        try:
            # pylint: disable=subprocess-popen-preexec-fn
            self.process = subprocess.Popen(
                self.emulator.command(scratch), stdin=stream, stdout=stream, stderr=stream, cwd=scratch,
                env=dict(os.environ, TERM=os.environ.get("TERM", "linux") if own else "linux"),
                start_new_session=not own, preexec_fn=prepare_child)
            with raw_input(self.request.interactive and not own) as keyboard:
                self._watch(terminals, tails, keyboard, time.monotonic())
        except OSError as error:
            raise ToolError(f"{self.emulator.program} cannot be started: {error.strerror}") from error
        finally:
            self._kill()
            self._drain(terminals, tails)
            self.reader.finish()
            terminals.close()
            for tail in tails:
                tail.close()

    def _watch(self, terminals, tails, keyboard, started):
        while self.process.poll() is None:
            self._drain(terminals, tails)
            self._check_end(time.monotonic(), started)
            if self.ended:
                return
            sources = [fd for fd in (terminals.display, terminals.com1) if fd is not None]
            if keyboard is not None and self._may_type(keyboard):
                sources.append(keyboard)
            ready, _, _ = select.select(sources, [], [], POLL_SECONDS)
            if keyboard in ready:
                keyboard = self._type(terminals.com1, keyboard)
            self.script.go_on(terminals.com1, self.serial)

    def _may_type(self, keyboard):
        """What a script has to say waits until Freehold listens: the firmware would take it for its own."""
        return os.isatty(keyboard) or self.reader.last("plan") is not None

    def _type(self, com1, keyboard):
        """Passes the person's keys on. Returns the keyboard to go on with, None at its end."""
        keys = os.read(keyboard, 256)
        if INTERACTIVE_ESCAPE in keys:
            raise KeyboardInterrupt
        if keys and os.isatty(keyboard):
            os.write(com1, keys)
        self.script.waiting += b"" if os.isatty(keyboard) else keys
        return keyboard if keys else None

    def _drain(self, terminals, tails):
        self.display_output += read_some(terminals.display)
        del self.display_output[:-65536]
        data = read_some(terminals.com1) if terminals.com1 is not None else tails[0].read()
        if data:
            self.serial += data
            self.console.write(data)
        self.reader.feed(tails[1].read())

    def _check_end(self, now, started):
        limit = self.request.timeout_seconds
        if self.reader.last("report") or self.reader.last("panic"):
            self._end_after(now + REPORT_GRACE_SECONDS, "the machine reported and then did not power off")
        elif self.reader.last("refused"):
            self._end_after(now + REFUSED_GRACE_SECONDS, None)
        elif limit and now - started > limit:
            self.ended = STATUS_TIMEOUT, f"no report within {limit:g} seconds"
        if self.deadline_after and now > self.deadline_after[0]:
            self.ended = judge(self.reader)
            if self.deadline_after[1]:
                note(self.deadline_after[1])

    def _end_after(self, when, remark):
        if not self.deadline_after:
            self.deadline_after = when, remark

    def _kill(self):
        """Ends the emulator and everything it started, gently at first."""
        if not self.process or self.process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                if self.request.own_terminal:
                    self.process.send_signal(number)
                else:
                    os.killpg(self.process.pid, number)
                self.process.wait(KILL_GRACE_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                return


class raw_input:
    """Standard input as it is typed, restored afterwards. Yields its descriptor, or None when not wanted."""

    def __init__(self, wanted):
        self._wanted = wanted
        self._saved = None

    def __enter__(self):
        if not self._wanted:
            return None
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor):
            self._saved = termios.tcgetattr(descriptor)
            tty.setraw(descriptor)
        return descriptor

    def __exit__(self, *_):
        if self._saved:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)
