"""tools/deps on made-up systems: what it would install, and what it says where it cannot."""

import os
import shutil
import subprocess
import tempfile
import unittest

from freehold.common import ROOT

DEPS = os.path.join(ROOT, "tools", "deps")
# What the script itself runs; nothing it looks for is among them.
TOOLS = ("bash", "env", "id", "sed", "head", "cat", "touch", "chmod")
APT_GET = """\
#!/bin/bash
echo "apt-get $DEBIAN_FRONTEND $*" >>"{log}"
[[ " $* " == *" install "* ]] && touch "{directory}/bin/bochs" && chmod +x "{directory}/bin/bochs"
exit {status}
"""


@unittest.skipUnless(os.path.exists("/bin/bash"), "needs bash")
class Deps(unittest.TestCase):
    """A PATH with almost nothing on it. Packages that bring files, not commands, are those of this machine."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.bin = os.path.join(self.directory, "bin")
        self.log = os.path.join(self.directory, "log")
        os.mkdir(self.bin)
        for name in TOOLS:
            os.symlink(shutil.which(name), os.path.join(self.bin, name))

    def script(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def provide(self, *names):
        for name in names:
            self.script(name, "#!/bin/bash\n")

    def provide_all_but(self, *missing):
        self.provide(*{"gcc", "make", "ld", "objcopy", "python3", "bochs", "qemu-system-x86_64", "mformat", "mcopy",
                       "mmd"} - set(missing))

    def run_deps(self, *arguments):
        return subprocess.run([shutil.which("bash"), DEPS, *arguments], env={"PATH": self.bin}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def called(self):
        try:
            with open(self.log, encoding="utf-8") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def apt(self, status=0, known="true"):
        self.script("apt-get", APT_GET.format(log=self.log, directory=self.directory, status=status))
        self.script("apt-cache", f"#!/bin/bash\n{known}\n")
        self.script("sudo", '#!/bin/bash\nexec "$@"\n')

    def test_all_there_is_quiet(self):
        self.provide_all_but()
        done = self.run_deps()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_missing_is_installed_by_name_after_saying_so(self):
        self.provide_all_but("bochs")
        self.apt()
        done = self.run_deps("run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("installing with apt: bochs bochs-term\n", done.stderr)
        self.assertEqual(self.called(), "apt-get noninteractive -q -y update\n"
                         "apt-get noninteractive -q -y install --no-install-recommends bochs bochs-term\n")

    def test_failed_update_does_not_stop_the_installation(self):
        self.provide_all_but("bochs")
        self.apt()
        self.script("apt-get", APT_GET.format(log=self.log, directory=self.directory, status='$([[ $* == *update ]]; echo $((1-$?)))'))
        done = self.run_deps("run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("apt-get update failed", done.stderr)

    def test_installed_but_still_not_there_is_told(self):
        self.provide_all_but("mcopy")
        self.apt()
        done = self.run_deps("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("mtools is installed, but 'mcopy' is still not there", done.stderr)

    def test_failed_installation_is_2(self):
        self.provide_all_but("mcopy")
        self.apt(status=100)
        self.assertEqual(self.run_deps("run").returncode, 2)

    def test_package_that_does_not_exist_names_the_remedy(self):
        self.provide_all_but("bochs")
        self.apt(known="false")
        done = self.run_deps("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("universe", done.stderr)
        self.assertNotIn(" install ", self.called())

    def test_other_systems_are_told_the_names(self):
        self.provide_all_but("bochs", "gcc")
        done = self.run_deps("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("please install (names of Debian packages): gcc bochs bochs-term", done.stderr)

    def test_unknown_set_is_2(self):
        self.assertEqual(self.run_deps("everything").returncode, 2)
