"""Which rows of Synapse's table of users are registered users, as SQL.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: table `users`, with a unique index on `name` and an index on `creation_ts`.
`approved` is null where nobody had to approve, and `locked`, `approved` are 0 or 1 on SQLite. Rows are never deleted:
who is deactivated keeps his, with the time of his creation.
"""

from typing import Final

COULD_BE_REGISTERED: Final = (
    "u.is_guest = 0 AND (u.appservice_id IS NULL OR u.appservice_id = '')"
    " AND (u.user_type IS NULL OR u.user_type NOT IN ('bot', 'support')) AND u.approved IS NOT FALSE"
)
"""SQL: whether the row `u` of `users` is a registered user unless it is deactivated; suspended ones count."""

REGISTERED: Final = f"u.deactivated = 0 AND {COULD_BE_REGISTERED}"
"""SQL: whether the row `u` of `users` is a registered user, who may be locked."""

LOCKED: Final = "(CASE WHEN u.locked THEN 1 ELSE 0 END)"
"""SQL: 1 when the row `u` of `users` is locked, else 0."""

CREATED_MS: Final = "(COALESCE(u.upgrade_ts, u.creation_ts, 0) * 1000)"
"""SQL: when the user of the row `u` was registered, rounded down to seconds; ms since the epoch.

A guest who has registered was created as a guest before.
"""
