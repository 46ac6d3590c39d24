"""When the claim that names people changes: who becomes whom. Accounts stay, their links get the new subject.

A migration is all or nothing. `plan_migration` is pure; whatever could join two people or tear one apart is a problem,
and with a problem nothing is changed. Nothing is guessed: there are no chains, in which one's new subject is another
one's old subject.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attr

from synapse_bum.audit.chain import Entry
from synapse_bum.audit.table import Transaction, append
from synapse_bum.database import Cursor
from synapse_bum.homeserver.offline_database import StoredLink

ACTOR: Final = "cli:oidc-migrate"
ACTION: Final = "oidc.subject.migrated"

# A walk over the people of one provider that SCIM provisioned: by the primary key.
_PROVISIONED: Final = "SELECT subject, user_id FROM synapse_bum_oidc_scim_users WHERE idp_id = ?"
# By primary key: one row each.
_DROP_PERSON: Final = "DELETE FROM synapse_bum_oidc_people WHERE idp_id = ? AND subject = ?"
_MOVE_PERSON: Final = "UPDATE synapse_bum_oidc_people SET subject = ? WHERE idp_id = ? AND subject = ?"
_MOVE_PROVISIONED: Final = "UPDATE synapse_bum_oidc_scim_users SET subject = ? WHERE idp_id = ? AND subject = ?"
# The index on `(idp_id, ts)`: at most the people of one provider whose access ended lately.
_MOVE_ENDINGS: Final = "UPDATE synapse_bum_oidc_scim_endings SET subject = ? WHERE idp_id = ? AND subject = ?"
# A walk over the names that were reserved within the last hour.
_DROP_RESERVED: Final = "DELETE FROM synapse_bum_oidc_localparts WHERE idp_id = ? AND subject IN (?, ?)"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Renaming:
    """That one person's subject changes.

    Attributes:
        old: the subject until now.
        new: the subject from now on.
        source: where that stands, for example `line 3`.
    """

    old: str
    new: str
    source: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Move:
    """One account whose link changes.

    Attributes:
        user_id: of the account.
        old: its subject until now.
        new: its subject from now on.
    """

    user_id: str
    old: str
    new: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Migration:
    """What a migration comes to.

    Attributes:
        moves: links to be changed, by user id.
        done: links that have the new subject already, by user id.
        unlinked: renamings of people who have no account.
        left_behind: linked accounts that no renaming is about. With the new claim these people get new accounts.
        provisioned: how many of the moves are of people whom SCIM provisioned: their ids there change, too.
        problems: sentences; when there is one, nothing may be changed.
    """

    moves: tuple[Move, ...]
    done: tuple[StoredLink, ...]
    unlinked: tuple[Renaming, ...]
    left_behind: tuple[StoredLink, ...]
    provisioned: int
    problems: tuple[str, ...]


def plan_migration(
    renamings: Iterable[Renaming], links: Sequence[StoredLink], provisioned: Mapping[str, str]
) -> Migration:
    """Work out who becomes whom. Pure.

    Args:
        renamings: of the people of one identity provider; the same one twice is once.
        links: all of this provider.
        provisioned: accounts that SCIM provisioned there, by subject.
    """
    wanted: dict[tuple[str, str], Renaming] = {}
    for renaming in renamings:
        wanted.setdefault((renaming.old, renaming.new), renaming)
    owners = {link.external_id: link.user_id for link in links}
    problems = [*_ambiguities(wanted.values()), *_several_links(wanted.values(), links)]
    moves: list[Move] = []
    done: list[StoredLink] = []
    unlinked: list[Renaming] = []
    for renaming in wanted.values():
        holder, newcomer = owners.get(renaming.old), owners.get(renaming.new)
        if renaming.old == renaming.new or holder is None:
            if newcomer is None:
                unlinked.append(renaming)
            else:
                done.append(StoredLink(renaming.new, newcomer))
        elif newcomer is not None:
            if newcomer != holder:
                problems.append(
                    f"{renaming.source}: {renaming.new} is linked to {newcomer} already, {renaming.old} to {holder}"
                )
        elif provisioned.get(renaming.new, holder) != holder:
            problems.append(
                f"{renaming.source}: {renaming.new} was provisioned by SCIM as {provisioned[renaming.new]},"
                f" {renaming.old} is linked to {holder}"
            )
        else:
            moves.append(Move(holder, renaming.old, renaming.new))
    concerned = {subject for pair in wanted for subject in pair}
    return Migration(
        moves=tuple(sorted(moves, key=lambda move: move.user_id)),
        done=tuple(sorted(done, key=lambda link: link.user_id)),
        unlinked=tuple(unlinked),
        left_behind=tuple(link for link in links if link.external_id not in concerned),
        provisioned=sum(move.old in provisioned for move in moves),
        problems=tuple(problems),
    )


def provisioned_by_scim(txn: Cursor, idp_id: str) -> dict[str, str]:
    """Read which accounts SCIM provisioned, by subject."""
    txn.execute(_PROVISIONED, (idp_id,))
    return dict(txn.fetchall())


def move_rows(txn: Transaction, idp_id: str, move: Move, now_ms: int) -> None:
    """Give what this package knows of a person the new subject, and write that down. Synapse's link is not touched.

    Args:
        txn: in the transaction that changes the link.
        idp_id: of the identity provider.
        move: of a plan without problems.
        now_ms: the present, ms since the epoch.
    """
    # Somebody who tried to log in with the new subject has a row under it, without an account; his next login brings it
    # up to date. What was bound to the account stands in the old one.
    txn.execute(_DROP_PERSON, (idp_id, move.new))
    for statement in (_MOVE_PERSON, _MOVE_PROVISIONED, _MOVE_ENDINGS):
        txn.execute(statement, (move.new, idp_id, move.old))
    txn.execute(_DROP_RESERVED, (idp_id, move.old, move.new))
    old, new = ({"idp_id": idp_id, "subject": subject} for subject in (move.old, move.new))
    append(txn, Entry(now_ms, ACTOR, ACTION, move.user_id, old, new))


def _ambiguities(renamings: Iterable[Renaming]) -> list[str]:
    """One old subject with several new ones, or several old ones with one new."""
    by_old: defaultdict[str, list[Renaming]] = defaultdict(list)
    by_new: defaultdict[str, list[Renaming]] = defaultdict(list)
    for renaming in renamings:
        by_old[renaming.old].append(renaming)
        by_new[renaming.new].append(renaming)
    problems = [
        f"{_sources(several)}: {old} would become {', '.join(one.new for one in several)}"
        for old, several in by_old.items()
        if len(several) > 1
    ]
    problems += [
        f"{_sources(several)}: {', '.join(one.old for one in several)} would all become {new}"
        for new, several in by_new.items()
        if len(several) > 1
    ]
    problems += [
        f"{_sources([*by_old[subject], *by_new[subject]])}: {subject} is one person's old and another one's new subject"
        for subject in by_old
        if subject in by_new and any(one.old != one.new for one in (*by_old[subject], *by_new[subject]))
    ]
    return problems


def _several_links(renamings: Iterable[Renaming], links: Sequence[StoredLink]) -> list[str]:
    """Accounts with more than one link of which one would change: which of them is the person is not known."""
    concerned = {subject for one in renamings if one.old != one.new for subject in (one.old, one.new)}
    subjects: defaultdict[str, list[str]] = defaultdict(list)
    for link in links:
        subjects[link.user_id].append(link.external_id)
    return [
        f"{user_id} has {len(several)} links with this identity provider: {', '.join(several)}"
        for user_id, several in sorted(subjects.items())
        if len(several) > 1 and not concerned.isdisjoint(several)
    ]


def _sources(renamings: Iterable[Renaming]) -> str:
    return ", ".join(dict.fromkeys(one.source for one in renamings))
