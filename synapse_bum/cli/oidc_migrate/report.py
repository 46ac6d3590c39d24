"""What is printed of a migration: one line for each person, then the numbers. Pure."""

from collections.abc import Iterator

from synapse_bum.oidc.migration import Migration


def lines(migration: Migration, *, applied: bool) -> Iterator[str]:
    """Write a report.

    Args:
        migration: what it comes to.
        applied: whether it was done.
    """
    for move in migration.moves:
        yield _line("changed" if applied else "change", f"{move.user_id}: {move.old} -> {move.new}")
    for link in migration.done:
        yield _line("done before", f"{link.user_id}: {link.external_id}")
    for renaming in migration.unlinked:
        yield _line("no account", f"{renaming.source}: {renaming.old} -> {renaming.new}")
    for link in migration.left_behind:
        yield _line("left behind", f"{link.user_id}: {link.external_id}")
    yield (
        f"{len(migration.moves)} {'were changed' if applied else 'would be changed'}, {len(migration.done)} are done"
        f" already, {len(migration.unlinked)} have no account, {len(migration.left_behind)} are left behind: at their"
        " next login these get new accounts"
    )
    if migration.provisioned:
        yield (
            f"{migration.provisioned} of them were provisioned by SCIM: their SCIM ids change, so the identity provider"
            " has to match its people with them anew"
        )


def problem_lines(problems: tuple[str, ...]) -> Iterator[str]:
    """Write the list of what forbids a migration."""
    yield "nothing can be changed before these are gone:"
    yield from (_line("", problem) for problem in problems)


def _line(word: str, text: str) -> str:
    """Whatever stands in a subject, it is one line and steers no terminal."""
    return f"{word:12} " + "".join(character if character.isprintable() else "?" for character in text)
