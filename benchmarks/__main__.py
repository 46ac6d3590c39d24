"""The command `python -m benchmarks`: measures, prints Markdown, and writes JSON when asked to."""

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import (
    all_modules,
    content_scanner,
    federation,
    gate,
    oidc_login,
    oidc_mapping,
    portal,
    retention,
    storage,
    upload,
)
from benchmarks.measuring import Effort, GoalResult
from benchmarks.report import Section, as_json, markdown
from synapse_bum.testing.clamd import RealClamd

SUBJECTS: Final[Mapping[str, Callable[[Effort], Iterator[Section]]]] = {
    "gate": gate.measure,
    "upload": upload.measure,
    "content_scanner": content_scanner.measure,
    "retention": retention.measure,
    "storage": storage.measure,
    "federation": federation.measure,
    "oidc_mapping": oidc_mapping.measure,
    "oidc_login": oidc_login.measure,
    "portal": portal.measure,
    "all_modules": all_modules.measure,
}

# Debian keeps servers off the PATH of ordinary users.
_SERVER_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 1 when a server that is needed is missing."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = set(options.subjects) - SUBJECTS.keys()
    if unknown:
        parser.error(f"no such subject: {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVER_FOLDERS])
    missing = RealClamd.missing()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 1
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    sections = []
    print(f"# Benchmarks\n\n{_machine()}\n")
    for subject in dict.fromkeys(options.subjects or SUBJECTS):
        for section in SUBJECTS[subject](Effort.QUICK if options.quick else Effort.THOROUGH):
            sections.append(section)
            print(markdown(section), flush=True)
    goals = [goal for section in sections for goal in section.goals]
    results = Counter(goal.result for goal in goals)
    counted = ", ".join(f"{results[result]} {result.value}" for result in GoalResult)
    summary = f"{len(goals)} goals: {counted}; {time.monotonic() - began:.0f} s"
    noise = f"load of the machine {load_before:.1f} before and {os.getloadavg()[0]:.1f} after, our own work included"
    print(f"{summary}; {noise}.")
    if options.json is not None:
        result = {"machine": _machine(), "noise": noise, "sections": [as_json(section) for section in sections]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"what to measure: {', '.join(SUBJECTS)}; all")
    shorter = "about a minute (retention: ten, storage: four, portal: two, all_modules: three), with more noise"
    parser.add_argument("--quick", action="store_true", help=shorter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file as well")
    return parser


def _machine() -> str:
    programs = f"Python {platform.python_version()}, Synapse {version('matrix-synapse')}, Twisted {version('twisted')}"
    return f"{os.cpu_count()} cores, Linux {platform.release()}, {programs}; servers on the loopback interface."


if __name__ == "__main__":
    sys.exit(main())
