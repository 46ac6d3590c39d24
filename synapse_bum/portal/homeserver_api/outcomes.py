"""What else than an answer can come of asking the homeserver. A page catches what it has an answer to.

The others become a page of their own (`portal_site.py`): the login, a refusal, a sentence. None is ever an empty list.
"""


class HomeserverError(Exception):
    """The homeserver did not do what it was asked."""


class UnauthorisedError(HomeserverError):
    """The access token is not known, or not any more: the session ends."""


class RefusedError(HomeserverError):
    """The homeserver understood and said no.

    Attributes:
        status: of HTTP, 400 to 499.
        errcode: as Matrix has them; empty when the answer has none.
        sentence: the server's own words, in English.
        retry_after_ms: when it may be tried again, with M_LIMIT_EXCEEDED.
    """

    def __init__(self, status: int, errcode: str, sentence: str, retry_after_ms: int | None = None) -> None:
        super().__init__(f"{status} {errcode}: {sentence}")
        self.status = status
        self.errcode = errcode
        self.sentence = sentence
        self.retry_after_ms = retry_after_ms


class ForbiddenError(RefusedError):
    """Whoever asks may not do this: no administrator any more, or no operator."""


class NotFoundError(RefusedError):
    """There is no such object."""


class NotOfferedError(NotFoundError):
    """There is no such function: the module that has it is not loaded, or this Synapse is too old for it."""


class UnavailableError(HomeserverError):
    """No answer, or none that can be believed; whether something was done is not known.

    Attributes:
        is_in_step: whether a change was asked for (`steps.py`), which may still be carried out.
    """

    is_in_step = False


class HoldsUnknownError(UnavailableError):
    """Whether something is on hold could not be asked: nothing was done."""
