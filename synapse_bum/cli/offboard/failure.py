"""What ends the command."""


class OffboardError(Exception):
    """Something that was expected to go wrong some day; the text is one sentence that says what to do."""
