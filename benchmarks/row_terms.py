"""SQL of the names and times in row number `i` of a table, for tables that refer to each other."""

from typing import Final

import attr

# A multiplier that spreads neighbouring numbers over the whole range (Knuth, The Art of Computer Programming, 6.4).
SPREAD: Final = 2_654_435_761
HASH: Final = "repeat(md5('row' || i), 2)"
SENTENCE: Final = "'Aufbewahrung bis zum Abschluss des Verfahrens, Aktenzeichen Z 14-' || i"
DAY_MS: Final = 86_400_000
USERS: Final = 10_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RowTerms:
    """Terms for one homeserver.

    Attributes:
        server_name: of it.
        now_ms: ms since the epoch.
    """

    server_name: str
    now_ms: int

    def localpart(self, number: str) -> str:
        """Of the user with a number."""
        return f"'user' || lpad(({number})::text, 5, '0')"

    def user(self, number: str) -> str:
        """Id of the user with a number."""
        return f"'@' || {self.localpart(number)} || ':{self.server_name}'"

    def room(self, number: str) -> str:
        """Id of the room with a number."""
        return f"'!room' || ({number}) || ':{self.server_name}'"

    def file(self, number: str) -> str:
        """Media id of the file with a number."""
        return f"substr(md5('file' || {number}), 1, 24)"

    def earlier(self, days: int) -> str:
        """A moment of the last days, another for each row; ms since the epoch."""
        return f"{self.now_ms} - (i::bigint * {SPREAD}) % {days * DAY_MS}"
