"""What `synapse-bum demo` does: plays the story, says where the servers are, and keeps them running if asked to."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from synapse_bum import __version__
from synapse_bum.cli.demo import opening
from synapse_bum.cli.demo.command import KEEP_VARIABLE
from synapse_bum.cli.demo.performance import Performance
from synapse_bum.cli.demo.report import Report
from synapse_bum.cli.demo.scanner import ChosenClamd, choose_clamd
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.cli.demo.story import STORY
from synapse_bum.testing.clamd import RealClamd

_SERVER_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where distributions keep clamd, and which ordinary users do not have on their PATH."""

_WATCH_SECONDS: Final = 0.5


def perform(
    report: Report,
    story: Sequence[Step] = STORY,
    choose: Callable[[], ChosenClamd] = choose_clamd,
    *,
    keep: bool = False,
) -> bool:
    """Play the demo. Whatever it started is stopped and removed when it returns or raises.

    Args:
        report: what people see.
        story: the steps behind the opening.
        choose: prepares the scanner.
        keep: keep the servers running until Ctrl-C.

    Returns:
        Whether every step was as promised.
    """
    started = time.monotonic()
    performance = Performance(report)
    steps = opening.STEPS + len(story)
    with ExitStack() as resources:
        stage = opening.open_stage(performance, resources, choose)
        if stage is not None:
            for step in story:
                performance.play(step.title, step.proves, partial(step.play, stage))
        report.paragraph(performance.summary(steps, time.monotonic() - started), bold=True)
        if stage is not None:
            report.table(_places(stage))
            if keep:
                _keep_running(report, stage)
    if stage is not None and not keep:
        report.paragraph(
            "All is stopped and removed. `KEEP=1 make demo`, or `synapse-bum demo --keep`, keeps it running."
        )
    return not performance.broken


def _places(stage: Stage) -> dict[str, str]:
    url = stage.synapse.base_url
    return {
        "Homeserver": url,
        "Admin API": url + API,
        "Metrics": stage.metrics_url,
        "Identity provider": stage.identity_provider.issuer,
    }


def _keep_running(report: Report, stage: Stage) -> None:
    """Say how to use the servers, and return after Ctrl-C or when the homeserver has ended."""
    report.table({"Log": str(stage.synapse.log_path), "Administrator": stage.admin.user_id})
    report.paragraph(
        "This is a throw-away server: it listens on the loopback interface only, and at the end everything is deleted,"
        " this access token of its administrator included. Try:"
    )
    report.verbatim(
        [
            f"TOKEN={stage.admin.token}",
            f"API={stage.synapse.base_url}{API}",
            'curl -H "Authorization: Bearer $TOKEN" $API/antivirus/findings',
        ]
    )
    report.paragraph("Running until Ctrl-C.")
    try:
        while stage.synapse.running:
            time.sleep(_WATCH_SECONDS)
        report.paragraph("Synapse has ended.")
    except KeyboardInterrupt:
        report.paragraph("Stopping.")


def run(options: argparse.Namespace) -> int:
    """Do what the command promises; returns the exit status."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVER_FOLDERS])
    missing = RealClamd.missing()
    if missing is not None:
        print(f"synapse-bum demo: {missing}", file=sys.stderr)
        return 1
    report = Report(sys.stdout)
    report.paragraph(f"synapse_bum {__version__}: a real homeserver, a real scanner, real files", bold=True)
    keep = options.keep or os.environ.get(KEEP_VARIABLE, "0") not in ("", "0")
    return 0 if perform(report, keep=keep) else 1
