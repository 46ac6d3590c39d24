"""Whether a file that a module appends to could be written by whoever runs the check."""

import os
from collections.abc import Iterator
from pathlib import Path

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error


def written_file_remarks(check: Check, key: str, path: Path) -> Iterator[Remark]:
    """Look at the file, or at the folder where it is to be made.

    Args:
        check: what is said belongs to.
        key: that names the file.
        path: of it.
    """
    says = None
    try:
        if path.is_dir():
            says = f"{path} is a folder; name a file"
        elif not path.parent.is_dir():
            says = f"the folder {path.parent} is not there; it is not made"
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            says = f"{path} can't be written by this user; run the check as Synapse's user"
    except OSError as failure:
        says = f"{path} can't be looked at by this user ({failure.strerror}); run the check as Synapse's user"
    if says is not None:
        yield error(check, f"`{key}`: {says}")
