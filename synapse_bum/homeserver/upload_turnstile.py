"""Every upload of a local user on its way into the media repository: counted in before, counted out after.

Synapse's own callback for modules (`is_user_allowed_to_upload_media_of_size`) asks before an upload and never says how
it ended. Here both ends are seen, whatever happens between: a refusal by a scanner, a full disk, a lost database.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/media_repository.py`. What clients upload, synchronously and
asynchronously, goes through these methods (`synapse/rest/media/upload_resource.py`), and so do avatars that a login
brings (`synapse/handlers/sso.py`). Thumbnails, URL previews and files of other servers do not.
"""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from synapse.media.media_storage import SpamMediaException
from synapse.module_api import ModuleApi

from synapse_bum.homeserver.requirements import UnsupportedSynapseError

_STORING: Final = ("create_or_update_content", "create_content", "update_content")
"""Methods of `MediaRepository`: the first since some version between 1.133.0 and 1.143.0, the two others before."""

Turnstile = Callable[[str, int], AbstractAsyncContextManager[None]]
"""Gets the uploader's user id and the size in bytes; raises a `SynapseError` to refuse, and learns how it ended."""


def guard_uploads(api: ModuleApi, turnstile: Turnstile) -> None:
    """Have each upload go through a turnstile, before anything of it is stored.

    Args:
        api: of a process with a media repository.
        turnstile: entered before, left when the row and the thumbnails are written, or with the error.

    Raises:
        UnsupportedSynapseError: uploads go another way in this Synapse.
    """
    repository = api._hs.get_media_repository()
    names = [name for name in _STORING if hasattr(repository, name)]
    for name in names:
        # Synapse's own method, even where another module has put something before it.
        signature = inspect.signature(getattr(type(repository), name).__get__(repository))
        if not {"auth_user", "content_length"} <= set(signature.parameters):
            raise _unsupported(f"synapse.media.media_repository.MediaRepository.{name}(auth_user, content_length)")
        setattr(repository, name, _guarded(getattr(repository, name), signature, turnstile))
    if not names:
        raise _unsupported("synapse.media.media_repository.MediaRepository.create_or_update_content")


def left_nothing(error: BaseException) -> bool:
    """Whether an upload that ended with this error has surely no row: a scanner refused it before there was one."""
    return isinstance(error, SpamMediaException)


def _guarded(
    store: Callable[..., Awaitable[Any]], signature: inspect.Signature, turnstile: Turnstile
) -> Callable[..., Awaitable[Any]]:
    async def guarded(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 - Synapse's type
        given: dict[str, Any] = signature.bind(*args, **kwargs).arguments
        async with turnstile(given["auth_user"].to_string(), given["content_length"]):
            return await store(*args, **kwargs)

    return guarded


def _unsupported(missing: str) -> UnsupportedSynapseError:
    return UnsupportedSynapseError(
        f"this Synapse has no {missing}, which synapse_bum needs for refusing uploads that do not fit. Tested with"
        " Synapse 1.133.0, 1.143.0 and 1.163.2: use one of these, or a newer synapse_bum"
    )
