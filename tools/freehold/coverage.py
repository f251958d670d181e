"""Line coverage of what the host tests run, from gcov's own data. Must never decide whether tests pass."""

import glob
import json
import os
import subprocess

from .common import BUILD, ROOT, ToolError, find_program

OBJECTS = os.path.join(BUILD, "host-obj")
COUNTED = ("alloc/", "hv/", "boot/", "guest/")


def forget():
    """Drops what earlier runs counted."""
    for path in glob.glob(os.path.join(OBJECTS, "**", "*.gcda"), recursive=True):
        os.unlink(path)


def merge(lines, document):
    """Adds one gcov JSON document to {file: {line: executed}}."""
    for entry in document.get("files", []):
        name = os.path.relpath(os.path.join(ROOT, entry["file"]), ROOT)
        if not name.startswith(COUNTED) or not name.endswith(".c"):
            continue
        seen = lines.setdefault(name, {})
        for line in entry["lines"]:
            seen[line["line_number"]] = seen.get(line["line_number"], False) or line["count"] > 0


def collect():
    """{file: {line number: executed}} over all files that the host tests link."""
    notes = sorted(glob.glob(os.path.join(OBJECTS, "**", "*.gcno"), recursive=True))
    notes = [path for path in notes if os.path.relpath(path, OBJECTS).startswith(COUNTED)]
    lines = {}
    if not notes:
        return lines
    done = subprocess.run([find_program("gcov", "gcc"), "--json-format", "--stdout", *notes], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace", check=False)
    for text in done.stdout.splitlines():
        if text.startswith("{"):
            merge(lines, json.loads(text))
    return lines


def table(lines):
    """Text: each file's share of executed lines, the least covered first, and the total."""
    rows = []
    for name, seen in lines.items():
        rows.append((sum(seen.values()), len(seen), name))
    rows.sort(key=lambda row: (row[0] / max(1, row[1]), row[2]))
    text = [f"  {100 * hit / max(1, total):5.1f} %  {hit:5}/{total:<5}  {name}" for hit, total, name in rows]
    hit, total = sum(row[0] for row in rows), sum(row[1] for row in rows)
    text.append(f"line coverage by the host tests: {100 * hit / max(1, total):.1f} % ({hit} of {total} lines)")
    return "\n".join(text)


def show():
    try:
        print(table(collect()), flush=True)
    except (ToolError, ValueError, KeyError) as error:
        print(f"line coverage could not be told: {error}", flush=True)
