"""What ends a backup, its verification or a restore."""


class BackupError(Exception):
    """Something that was expected to go wrong some day; the text is one sentence that says what to do."""


class FilesLostError(BackupError):
    """Everything but some files was saved: old backups may be all that still holds those, and stay."""
