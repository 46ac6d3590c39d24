"""What of an error may be shown: logs and tables must not hold what databases quote. Pure."""

import traceback

from synapse_bum.quantities import escaped


def first_line(error: BaseException) -> str:
    """What an exception says, without the lines that follow: databases quote rows there, and so messages and names.

    Others quote what strangers sent, a partner's reason for a refusal for example: see `escaped`.
    """
    return f"{type(error).__name__}: {escaped(next(iter(str(error).splitlines()), ''))}"


def traced(error: BaseException, *, is_quoted: bool = True) -> str:
    """Where an exception that nobody has foreseen came from: the places of a traceback, and its causes.

    For a log: unlike `logger.exception`, which prints all that each of them says.

    Args:
        error: caught.
        is_quoted: whether the first line of each stands there; its type alone where it may quote a message or a key.
    """
    words = []
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        said = first_line(one) if is_quoted else type(one).__name__
        words.append("\n".join([said, *traceback.format_tb(one.__traceback__)]).rstrip())
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\nafter ".join(words)
