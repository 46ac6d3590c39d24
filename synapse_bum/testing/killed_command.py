"""`run_until_killed`: a command of `synapse-bum` in a process of its own that is killed (SIGKILL) in the middle."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TREE: Final = Path(__file__).resolve().parent.parent.parent
_SECONDS: Final = 120.0
# Python imports a module of this name at its start, and tells hooks of an event just before it happens (PEP 578).
_HOOK: Final = """
import os, signal, sys

left = {number}

def hook(event, arguments):
    global left
    if event == {event!r} and {text!r} in repr(arguments):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
"""


def run_until_killed(folder: Path, event: str, text: str, number: int, arguments: Sequence[str]) -> None:
    """Run a command that is killed just before something happens.

    Args:
        folder: for a file of this function; it is made.
        event: that Python tells its hooks of, such as `os.remove` (Python's manual, "Audit events table").
        text: that stands in what the event is about.
        number: before which of these events; 1 for the first.
        arguments: of `synapse-bum`.

    Raises:
        AssertionError: it came to an end.
        subprocess.TimeoutExpired: it came neither there nor to an end.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_HOOK.format(event=event, text=text, number=number))
    done = subprocess.run(
        [sys.executable, "-m", "synapse_bum", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(_TREE)])},
        cwd=_TREE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode < 0, f"it ended with {done.returncode}: {done.stdout} {done.stderr}"
