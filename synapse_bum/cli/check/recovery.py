"""What the recovery module leaves open, and whether its log can be written and stays as it was written."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.cli.check.written_files import written_file_remarks
from synapse_bum.recovery.config import RecoveryConfig
from synapse_bum.retention.config import RetentionConfig

LOGROTATE: Final = Path("/etc/logrotate.d")
"""Where Debian's logrotate has its rules."""


def recovery_remarks(configs: Iterable[object], *, logrotate: Path = LOGROTATE) -> Iterator[Remark]:
    """What the configuration leaves open, and whether the log could be written by whoever runs the check.

    Args:
        configs: of all our modules; nothing is said without the recovery module.
        logrotate: folder with rules of logrotate; it may be missing.
    """
    config, retention = None, None
    for each in configs:
        if isinstance(each, RecoveryConfig):
            config = each
        elif isinstance(each, RetentionConfig):
            retention = each
    if config is None:
        return
    if config.log_begins_at is not None:
        yield Remark(
            Check.RECOVERY_BEGIN,
            Level.WARNING,
            "`log_begins_at` is set: an older part of the log is taken for lost; remove it once the server has started",
        )
    if config.log_path is None:
        yield Remark(
            Check.RECOVERY_LOG,
            Level.WARNING,
            "`log_path` is not set: who was locked, logged out or removed after a backup is back when it is restored",
        )
        return
    if retention is not None and retention.deletion_log_path == config.log_path:
        yield Remark(
            Check.RECOVERY_LOG,
            Level.ERROR,
            "`log_path` is the retention module's `deletion_log_path`: give each its own file",
        )
    yield from written_file_remarks(Check.RECOVERY_LOG, "log_path", Path(config.log_path))
    yield from _rotation_remarks(Path(config.log_path), logrotate)


def _rotation_remarks(path: Path, logrotate: Path) -> Iterator[Remark]:
    for rules in sorted(logrotate.iterdir()) if logrotate.is_dir() else ():
        try:
            text = rules.read_text(errors="replace")
        except OSError:
            # A folder, or not for this user.
            continue
        lines = (line.partition("#")[0].replace("{", " ").split() for line in text.splitlines())
        words = (word.strip("\"'") for words in lines for word in words)
        if any(word.startswith("/") and PurePath(path).match(word) for word in words):
            yield Remark(Check.RECOVERY_ROTATED, Level.WARNING, f"`log_path`: {path} is rotated, as {rules} says")
