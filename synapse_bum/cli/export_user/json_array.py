"""Lists of any length in a JSON file, one element a line, without holding them in memory."""

import json
from types import TracebackType
from typing import IO, Any

from typing_extensions import Self


class JsonArray:
    """A file that becomes one JSON array.

    Attributes:
        count: elements so far.
    """

    def __init__(self, file: IO[str]) -> None:
        """Takes over a file that is open for writing."""
        self._file = file
        self.count = 0

    def __enter__(self) -> Self:
        """Begins the array."""
        self._file.write("[")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the array and closes the file; after an error only the latter."""
        with self._file:
            if kind is None:
                self._file.write("\n]\n")

    def add(self, element: Any) -> None:  # noqa: ANN401 - any JSON value
        """Appends an element."""
        self._file.write(",\n" if self.count else "\n")
        self._file.write(json.dumps(element, ensure_ascii=False))
        self.count += 1
