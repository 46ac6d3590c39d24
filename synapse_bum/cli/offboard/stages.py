"""Closing, opening again, erasing: what is asked before, and what is printed."""

import argparse
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum import __version__
from synapse_bum.cli.backup.restic import Repository
from synapse_bum.cli.check.configuration import files_of, read_configuration
from synapse_bum.cli.offboard import closing, rules
from synapse_bum.cli.offboard.erasing import Eraser, erase_all
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import (
    Erasure,
    Journal,
    JournalFile,
    Step,
    held_journal,
    now_ms,
    write_durably,
)
from synapse_bum.cli.offboard.planning import BACKUPS, BY_HAND, CONFIGURATION, Plan, Wanted, make_plan, signing_key_text
from synapse_bum.cli.offboard.report import (
    certify,
    checked,
    content_of,
    counted_in_words,
    lines_of,
    new_seed,
    public_of,
    refuse_changed_order,
    server_key_in,
    signed,
)
from synapse_bum.cli.offboard.small_files import recovery_log_of
from synapse_bum.contract_end import closing_note
from synapse_bum.homeserver.offline_database import OfflineDatabase, database_settings

_REASON: Final = "end of the contract"


def close(options: argparse.Namespace) -> None:
    """Closes the server, or has a closing that stands be open to change for longer.

    Raises:
        OffboardError: nothing was done; the other exceptions of `closing.close` too.
    """
    homeserver = _homeserver(options)
    name = str(homeserver["server_name"])
    _, server_key = server_key_in(signing_key_text(homeserver, files_of(options.config_path)))
    with held_journal(options.journal.absolute()) as file:
        found = file.read()
        if found is not None:
            rules.refuse_begun(_of_this_server(file, found, name))

        def announce(changed: closing.Changed) -> None:
            # A journal that can't be written is noticed before the server is closed.
            file.write(attr.evolve(Journal.of(name, changed.closing), closed_ts=None))

        changed = closing.close(
            OfflineDatabase(database_settings(homeserver)),
            _order(options, name),
            options.grace_days,
            None if options.dry_run else announce,
        )
        if options.dry_run:
            done = "was closed before" if changed.was_done else f"would be closed: {counted_in_words(changed.counts)}"
            print(f"{name} {done}; nothing was changed")
            return
        _note(homeserver, is_closed=True)
        # As the database has it: who repeats an order has not given it.
        file.write(Journal.of(name, changed.closing))
    done = f"was closed before, by {changed.closing.closed_by}" if changed.was_done else "is closed"
    print(f"{name} {done}" + (f": {counted_in_words(changed.counts)}" if changed.counts else ""))
    until = rules.shown_time(rules.end_of_grace(changed.closing))
    print(f"until {until} it can be opened again (--stage reopen), then it can be erased (--stage erase)")
    print(f"public key of the server, by which its report can be checked: {public_of(server_key)}")


def reopen(options: argparse.Namespace) -> None:
    """Opens the server again.

    Raises:
        OffboardError: nothing was done; the other exceptions of `closing.reopen` too.
    """
    homeserver = _homeserver(options)
    name = str(homeserver["server_name"])
    with held_journal(options.journal.absolute()) as file:
        journal = _journal(file, name)
        rules.refuse_begun(journal)
        order = _order(options, name)
        if journal.closing is not None:
            # A restored database does not say until when it may be opened.
            rules.refuse_late(journal.closing, order.now_ms)

        def announce(_changed: closing.Changed) -> None:
            # Before the database is open: a journal that still says "closed" would be believed months later.
            file.write(attr.evolve(journal, reopened_ts=journal.reopened_ts or order.now_ms, shown=None))

        changed = closing.reopen(
            OfflineDatabase(database_settings(homeserver)),
            order,
            journal.closing_id,
            None if options.dry_run else announce,
        )
        if options.dry_run:
            done = (
                "is open already" if changed.was_done else f"would be opened again: {counted_in_words(changed.counts)}"
            )
            print(f"{name} {done}; nothing was changed")
            return
        _note(homeserver, is_closed=False)
    done = "was open already" if changed.was_done else f"is open again: {counted_in_words(changed.counts)}"
    print(f"{name} {done}; people log in anew. Start Synapse")


def erase(options: argparse.Namespace) -> None:
    """Erases the server, or goes on with that.

    Raises:
        OffboardError: nothing was done, or not all; the other exceptions of `Eraser.do` too.
    """
    repository = _repository(options)
    with held_journal(options.journal.absolute()) as file:
        found = file.read()
        erasure = None if found is None else found.erasure
        needs_configuration = erasure is None or any(_open(step) for step in erasure.steps)
        homeserver = _homeserver(options) if needs_configuration else {}
        name = str(homeserver["server_name"]) if homeserver else str(found and found.server_name)
        rules.refuse_unconfirmed(options.confirm, name)
        journal = _journal(file, name)
        rules.refuse_early(journal, now_ms())
        rules.refuse_same_person(journal, options.by)
        if erasure is None:
            begun = _begin(options, file, journal, homeserver, repository)
            if begun is None:
                return
            journal, erasure = begun
        elif options.dry_run:
            for step in erasure.steps:
                print(f"{'open' if step.done_ts is None else 'done'}  {step.what}")
            return
        else:
            refuse_changed_order(journal, erasure)
            if options.no_backups:
                journal, erasure = _by_hand(file, journal, erasure, options.by)
        files = files_of(options.config_path) if homeserver else []
        eraser = Eraser(journal, homeserver, repository, files, options.work_dir)
        journal, erasure = erase_all(file, journal, erasure, eraser)
        _write_report(options, file, journal, erasure)


def check_report(options: argparse.Namespace) -> None:
    """Checks a report and prints it.

    Raises:
        OffboardError: it is none, was changed, or nobody has said whose key it must bear.
        OSError: it can't be read.
    """
    try:
        text = options.check_report.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OffboardError(f"{options.check_report}: is no report") from None
    document = checked(text, options.public_key)
    lines = lines_of(document)
    if options.public_key is not None:
        print("ok: the report is unchanged, and the server with that public key has vouched for it")
    for line in lines:
        print(line)
    if options.public_key is None:
        raise OffboardError(
            "the report is unchanged since it was signed, but not proved is by whom: anybody can make such a file with"
            " a key of his own. Name the server's public key, known from elsewhere, with --public-key"
        )


def _begin(
    options: argparse.Namespace,
    file: JournalFile,
    journal: Journal,
    homeserver: Mapping[str, Any],
    repository: Repository | None,
) -> tuple[Journal, Erasure] | None:
    """Begins the erasing; None after a dry run."""
    if repository is None and not options.no_backups:
        raise OffboardError("name the backups with --repository and --password-file, or say --no-backups")
    data = rules.data_return(
        options.data_returned, declined=options.return_declined, today=datetime.now(timezone.utc).date()
    )
    _refuse_taken(options)
    wanted = Wanted(
        config_files=tuple(files_of(options.config_path)),
        included=tuple(options.include),
        left=tuple(options.leave),
        repository=repository,
        despite_holds=options.despite_holds,
        kept_files=(options.journal.absolute(), _report_path(options), *_password_file(options)),
        work_dirs=tuple(options.work_dir),
    )
    plan = make_plan(homeserver, journal, wanted, now_ms())
    if options.dry_run:
        file.write(attr.evolve(journal, shown=plan.fingerprint))
        for line in _shown(plan):
            print(line)
        return None
    rules.refuse_unseen(journal, plan.fingerprint)
    server_key = server_key_in(plan.signing_key)
    seed, begun_ts = new_seed(), now_ms()
    erasure = Erasure(
        by=options.by,
        begun_ts=begun_ts,
        data_return=data,
        backups=plan.backups,
        steps=plan.steps,
        left=plan.left,
        server_key=(server_key[0], public_of(server_key[1])),
        certificate=certify(server_key, journal, options.by, begun_ts, seed),
        report_seed=seed,
        out_of_sight=plan.out_of_sight,
    )
    journal = attr.evolve(journal, erasure=erasure)
    file.write(journal)
    return journal, erasure


def _by_hand(file: JournalFile, journal: Journal, erasure: Erasure, by: str) -> tuple[Journal, Erasure]:
    """Notes that somebody has deleted the backups by hand: without their password nobody else can."""
    if not any(step.kind == BACKUPS and step.done_ts is None for step in erasure.steps):
        return journal, erasure
    steps = tuple(attr.evolve(step, kind=BY_HAND) if step.kind == BACKUPS else step for step in erasure.steps)
    said = f"deleted by hand, as was said by {by} after the erasing had begun; nobody has looked"
    erasure = attr.evolve(erasure, steps=steps, backups=said)
    journal = attr.evolve(journal, erasure=erasure)
    file.write(journal)
    return journal, erasure


def _write_report(options: argparse.Namespace, file: JournalFile, journal: Journal, erasure: Erasure) -> None:
    if erasure.report_seed is None:
        print(f"{journal.server_name} was erased before; its report was written then")
        return
    path = _report_path(options)
    _refuse_other_report(path, journal)
    content = content_of(journal, erasure, f"synapse_bum {__version__}")
    write_durably(path, signed(content, erasure.report_seed, erasure.server_key, erasure.certificate), mode=0o644)
    file.write(attr.evolve(journal, erasure=attr.evolve(erasure, report_seed=None)))
    print(f"{journal.server_name} is erased; the signed report is {path}")
    print(f"public key of the server, by which it can be checked: {erasure.server_key[1]}")


def _shown(plan: Plan) -> Iterator[str]:
    yield "would be erased:"
    yield from (f"  {step.what}: {counted_in_words(step.counted)}" for step in plan.steps if step.counted)
    yield from (f"    {path}" for step in plan.steps if step.kind == CONFIGURATION for path in step.paths)
    if plan.left:
        yield "would be left:"
        yield from (f"  {one}" for one in plan.left)
    yield "not looked at, and still to be done by hand:"
    yield from (f"  {one}" for one in plan.out_of_sight)
    yield "nothing was erased; the same command without --dry-run does it, as long as nothing changes"


def _journal(file: JournalFile, name: str) -> Journal:
    journal = file.read()
    if journal is None:
        raise OffboardError(f"--journal {file.path}: is not there; --stage close makes it")
    return _of_this_server(file, journal, name)


def _of_this_server(file: JournalFile, journal: Journal, name: str) -> Journal:
    if journal.server_name != name:
        raise OffboardError(f"--journal {file.path}: is that of {journal.server_name}")
    return journal


def _order(options: argparse.Namespace, name: str) -> closing.Order:
    return closing.Order(name, options.by, options.reason or _REASON, now_ms())


def _note(homeserver: Mapping[str, Any], *, is_closed: bool) -> None:
    """Notes outside the database whether the server is closed, where the recovery module will look."""
    log = recovery_log_of(homeserver)
    if log is None:
        return
    if is_closed:
        write_durably(closing_note(log), "closed at the end of the contract; see `synapse-bum offboard`\n", mode=0o644)
    else:
        closing_note(log).unlink(missing_ok=True)


def _homeserver(options: argparse.Namespace) -> dict[str, Any]:
    homeserver = read_configuration(options.config_path)
    name = homeserver.get("server_name")
    if not isinstance(name, str) or not name:
        raise OffboardError("homeserver.yaml has no `server_name`")
    rules.refuse_unconfirmed(options.confirm, name)
    return homeserver


def _repository(options: argparse.Namespace) -> Repository | None:
    location = options.repository
    if options.repository_file is not None:
        location = options.repository_file.read_text(encoding="utf-8").strip()
    if not location:
        return None
    if options.password_file is None:
        raise OffboardError("--repository needs --password-file")
    shown = location if ":" in location else str(Path(location).absolute())
    # Without a cache, which a kill would leave.
    return Repository(shown, options.password_file.absolute(), None)


def _refuse_other_report(path: Path, journal: Journal) -> None:
    """One that a kill has left before the journal said so is of the same closing."""
    if not os.path.lexists(path):
        return
    try:
        is_ours = checked(path.read_text(encoding="utf-8"), None)["report"]["closing_id"] == journal.closing_id
    except (OffboardError, UnicodeDecodeError):
        is_ours = False
    if not is_ours:
        raise _taken(path)


def _taken(path: Path) -> OffboardError:
    return OffboardError(f"--report {path}: is there already; nothing is ever overwritten: name another file")


def _refuse_taken(options: argparse.Namespace) -> None:
    """A report of somebody else's end is not overwritten, nor what this command still needs."""
    path = _report_path(options)
    if os.path.lexists(path):
        raise _taken(path)
    needed = [options.journal.absolute(), *_password_file(options)]
    if path.resolve() in {one.resolve() for one in needed} or path.name.startswith(f"{options.journal.name}.lock"):
        raise OffboardError(f"--report {path}: is still needed for something else: name another file")


def _password_file(options: argparse.Namespace) -> tuple[Path, ...]:
    """Without it a broken off erasing could not go on."""
    return () if options.password_file is None else (options.password_file.absolute(),)


def _report_path(options: argparse.Namespace) -> Path:
    path: Path = options.report or options.journal.with_name(f"{options.journal.name}.report.json")
    return path.absolute()


def _open(step: Step) -> bool:
    return step.done_ts is None and step.kind != CONFIGURATION
