"""Whose the files of a media store are, or copies of them: nothing is erased in a place that holds somebody else's."""

from collections.abc import Sequence

from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.homeserver.media_layout import Owner, owner_of
from synapse_bum.homeserver.media_ownership import Ownership


def refuse_strange(place: str, paths: Sequence[str], prefix: str = "") -> list[Owner]:
    """Make sure that Synapse would have made all of some paths.

    Args:
        place: what errors call the place.
        paths: relative to the media store.
        prefix: what errors show before each.

    Returns:
        Whose they are, in the same order.

    Raises:
        OffboardError: it would not.
    """
    owners = []
    for path in paths:
        owner = owner_of(path)
        if owner is None:
            raise OffboardError(
                f"the {place} holds {prefix}{path}, which is no file of Synapse's: it is shared. Nothing is deleted"
                " from it: take out what belongs to somebody else"
            )
        owners.append(owner)
    return owners


def refuse_foreign(place: str, paths: Sequence[str], ownership: Ownership, prefix: str = "") -> None:
    """Make sure that rows of this homeserver name all of some files.

    Args:
        place: what errors call the place.
        paths: relative to the media store.
        ownership: knows the rows.
        prefix: what errors show before each.

    Raises:
        OffboardError: they do not.
    """
    owners = refuse_strange(place, paths, prefix)
    foreign = set(ownership.not_ours(owners))
    if foreign:
        example = next(path for path, owner in zip(paths, owners, strict=True) if owner in foreign)
        raise OffboardError(
            f"the {place} holds files that this homeserver does not know, for example {prefix}{example}: another one"
            " uses the same place, or files were left by uploads and deletions that failed. Nothing is deleted from it:"
            " take out what belongs to somebody else, and delete what was left"
        )


def refuse_unknowable(place: str, left: int) -> None:
    """Make sure that a place is empty, once the database is erased that knew whose its files are.

    Raises:
        OffboardError: it is not.
    """
    if left:
        raise OffboardError(
            f"the {place} holds {left} files or folders again, and the database that knew whose they are is erased:"
            " look at them, delete them yourself, and start the command once more"
        )
