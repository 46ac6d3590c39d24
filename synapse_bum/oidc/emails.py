"""The e-mail address of the identity provider, bound to the account; never taken from somebody else.

What was bound because of an identity provider is remembered with the person (`bound_email`), and only that is removed
when the identity provider names another address. What a user or an administrator has bound stays.
"""

import logging
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Cursor, Database
from synapse_bum.homeserver import user_emails
from synapse_bum.oidc import people

logger = logging.getLogger(__name__)

_TAKEN_ACTION: Final = "oidc.email.taken"

# One row by primary key: nobody can note another login of this person until the commit.
_HOLD_LOGIN: Final = "UPDATE synapse_bum_oidc_people SET pending = pending WHERE idp_id = ? AND subject = ?"
# By the index on the action: one row for each address that two people claim.
_IS_WRITTEN_DOWN: Final = "SELECT 1 FROM synapse_bum_audit WHERE action = ? AND target = ? AND reason = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EmailStep:
    """What a login changes about an account's addresses.

    Attributes:
        remove: the address that was bound because of an earlier login.
        bind: an address that nobody has.
        taken_by: who has the address of the identity provider instead.
    """

    remove: str | None = attr.ib(default=None, repr=False)
    bind: str | None = attr.ib(default=None, repr=False)
    taken_by: str | None = None

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING: Final = EmailStep()


def email_step(email: str | None, bound: str | None, holder: str | None, user_id: str) -> EmailStep:
    """Decides what a login changes. Pure.

    Args:
        email: that the login showed and that may be trusted; None says nothing, and changes nothing.
        bound: that was bound because of an earlier login.
        holder: whose account `email` is bound to; None when it is nobody's.
        user_id: the account of the person.
    """
    if email is None:
        return _NOTHING
    return EmailStep(
        remove=bound if bound != email else None,
        bind=email if holder is None else None,
        taken_by=holder if holder not in {None, user_id} else None,
    )


class Emails:
    """What logins change about addresses; in every process."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the tables OIDC and AUDIT.
        """
        self._api = api
        self._database = database

    async def apply(self, login: people.PendingLogin, user_id: str) -> None:
        """Changes what a login says, if it is still pending.

        Args:
            login: as it was read.
            user_id: of the account.

        Raises:
            Exception: of the database or of Synapse. Again, then.
        """
        now_ms = self._api.get_current_time_msec()

        def settle(txn: LoggingTransaction) -> EmailStep:
            txn.execute(_HOLD_LOGIN, (login.idp_id, login.subject))
            if people.pending_of(txn, login.idp_id, login.subject) != login:
                return _NOTHING
            return _carry_out(txn, login, user_id, now_ms)

        if login.bound_email is not None and login.email not in {None, login.bound_email}:
            # First: once the address is forgotten, nobody would know that mails go there.
            await user_emails.end_mails_to(self._api, user_id, login.bound_email)
        step = await self._database.run("synapse_bum_oidc_email", settle)
        if step.remove is not None:
            await user_emails.tell_unbound(self._api, user_id, step.remove)
        if step.bind is not None:
            await user_emails.tell_bound(self._api, user_id, step.bind)


def step_of(txn: LoggingTransaction, login: people.PendingLogin, user_id: str) -> EmailStep:
    """What is left to do for a login; one row by an index when it showed an address."""
    holder = None if login.email is None else user_emails.holder_of(txn, login.email)
    return email_step(login.email, login.bound_email, holder, user_id)


def _carry_out(txn: LoggingTransaction, login: people.PendingLogin, user_id: str, now_ms: int) -> EmailStep:
    """Returns what was done; an address that the account has lost meanwhile was not removed, for example."""
    step = step_of(txn, login, user_id)
    removed = step.remove is not None and user_emails.unbind(txn, user_id, step.remove)
    bound = step.bind is not None and user_emails.bind(txn, user_id, step.bind, now_ms)
    if bound:
        people.set_bound_email(txn, login.idp_id, login.subject, step.bind)
    elif step.remove is not None:
        people.set_bound_email(txn, login.idp_id, login.subject, None)
    done = EmailStep(step.remove if removed else None, step.bind if bound else None, step.taken_by)
    _write_down(txn, done, login.idp_id, user_id, now_ms)
    return done


def _write_down(txn: LoggingTransaction, step: EmailStep, idp_id: str, user_id: str, now_ms: int) -> None:
    """Addresses themselves are not in the audit: it outlives them."""
    if step.remove is not None or step.bind is not None:
        old, new = ("bound" if address is not None else None for address in (step.remove, step.bind))
        audit.append(txn, audit.Entry(now_ms, f"idp:{idp_id}", "oidc.email.changed", user_id, old, new))
    if step.taken_by is None:
        return
    taken = audit.Entry(now_ms, f"idp:{idp_id}", _TAKEN_ACTION, user_id, reason=f"it is bound to {step.taken_by}")
    if not _is_written_down(txn, taken):
        audit.append(txn, taken)
        txn.call_after(
            logger.warning,
            "%s gets no e-mail address: that of his identity provider is bound to %s, and stays there",
            user_id,
            step.taken_by,
        )


def _is_written_down(txn: Cursor, entry: audit.Entry) -> bool:
    txn.execute(_IS_WRITTEN_DOWN, (entry.action, entry.target, entry.reason))
    return txn.fetchone() is not None
