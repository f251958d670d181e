"""No attack of guest/attacker/ may be forgotten: each is made in a scenario, in which its outcome is what it says."""

import glob
import os
import re
import unittest

from freehold import scenario
from freehold.common import ROOT

ATTACK = re.compile(r'\{"([a-z0-9-]+)",\s*"((?:exit|fault):[a-z0-9-]+)"')
PARTITION = re.compile(r'\[\[partition\]\](.*?)(?=\[\[partition\]\]|\Z)', re.DOTALL)
SETTING = re.compile(r'^(\w+) = "?([^"\n]*)"?$', re.MULTILINE)


def attacks():
    """Attack -> outcome, from the tables in the attacker's source."""
    found = {}
    for path in glob.glob(os.path.join(ROOT, "guest", "attacker", "*.c")):
        with open(path, encoding="utf-8") as source:
            found.update(ATTACK.findall(source.read()))
    return found


def attackers():
    """(scenario, settings) of every partition that runs the attacker."""
    for one in scenario.load_all():
        if one.config:
            with open(one.config, encoding="utf-8") as text:
                for body in PARTITION.findall(text.read()):
                    settings = dict(SETTING.findall(body))
                    if settings["image"] == "builtin:attacker":
                        yield one, settings


class Attacks(unittest.TestCase):
    """Compares the attacker's tables with the scenarios."""

    def test_the_tables_are_found(self):
        self.assertGreater(len(attacks()), 50)

    def test_every_attack_is_made(self):
        made = {word for _, settings in attackers() for word in settings["cmdline"].split()}
        self.assertEqual(set(attacks()) - made, set())
        self.assertEqual(made - set(attacks()), set())

    def test_every_attack_is_made_beside_a_witness(self):
        for one, settings in attackers():
            self.assertIsNotNone(one.expect["witness"], f"{one.name}: {settings['name']}")

    def test_every_outcome_is_checked(self):
        for one, settings in attackers():
            words = settings["cmdline"].split()
            name = f"{one.name}: {settings['name']}"
            fatal = [attacks()[word] for word in words if attacks()[word] != "exit:0"]
            self.assertEqual(settings["expect"], fatal[-1] if fatal else "exit:0", name)
            if fatal:
                self.assertEqual(attacks()[words[-1]], fatal[-1], f"{name}: attacks after the last fatal one")
            checked = [event for event in one.expect["events"]
                       if event["type"] == "fault" and event.get("partition") == settings["name"]]
            self.assertEqual(sum(event["count"] for event in checked), len(fatal), name)
            for reason in {outcome.split(":")[1] for outcome in fatal}:
                self.assertTrue(any(event["reason"] == reason for event in checked), name)
            if fatal:
                self.assertEqual(int(settings.get("restart_limit", 0)), len(fatal) - 1, name)
