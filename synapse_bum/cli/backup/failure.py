"""What ends a backup, its verification or a restore."""


class BackupError(Exception):
    """Something that was expected to go wrong some day; the text is one sentence that says what to do."""


class FilesLostError(BackupError):
    """Files are not where they should be: old backups may be all that still holds them, and stay."""
