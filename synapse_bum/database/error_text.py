"""What of an error may be shown: logs and tables must not hold what databases quote. Pure."""


def first_line(error: Exception) -> str:
    """What an exception says, without the lines that follow: databases quote rows there, and so messages and names."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
