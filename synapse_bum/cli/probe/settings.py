"""What the options of the command mean, before anything is sent."""

import argparse
from pathlib import Path
from urllib.parse import SplitResult

import attr

from synapse_bum.cli.probe.accounts import PasswordAccount, TokenAccount
from synapse_bum.cli.probe.files import read_secret
from synapse_bum.cli.probe.matrix import server_of
from synapse_bum.cli.probe.round import Account
from synapse_bum.identifiers import is_user_id


class SettingsError(Exception):
    """The options don't fit together; the text says how."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Settings:
    """What a probe does.

    Attributes:
        server: that is tried.
        report_to: that gets the results.
        report_token: the secret for that, None when results are only kept.
        accounts: who writes to whom.
        folder: journal, rooms and tokens.
        timeout_s: of one try.
        every_s: how often; None for once.
        reference: what tells whether this machine reaches anybody, None when nothing does.
    """

    server: SplitResult
    report_to: SplitResult
    report_token: str | None = attr.ib(repr=False)
    accounts: tuple[Account, Account]
    folder: Path
    timeout_s: float
    every_s: float | None
    reference: SplitResult | None


def read_settings(options: argparse.Namespace) -> Settings:
    """Read the options of the command.

    Raises:
        SettingsError: they don't fit together, or a file can't be read.
    """
    accounts: list[Account] = [TokenAccount(path) for path in options.token_file]
    accounts += [_with_password(text) for text in options.password_file]
    if len(accounts) != 2:
        raise SettingsError(f"two accounts are needed, not {len(accounts)}: give --token-file or --password-file twice")
    if options.every is not None and options.timeout >= options.every:
        raise SettingsError("--timeout must be shorter than --every: a try must be over before the next one")
    try:
        server = server_of(options.url)
        report_to = server if options.report_url is None else server_of(options.report_url)
        reference = None if options.reference_url is None else server_of(options.reference_url)
        token = None if options.report_token_file is None else read_secret(options.report_token_file)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return Settings(
        server,
        report_to,
        token,
        (accounts[0], accounts[1]),
        options.state,
        options.timeout,
        options.every,
        reference,
    )


def _with_password(text: str) -> PasswordAccount:
    user_id, _, path = text.partition("=")
    if not is_user_id(user_id) or not path:
        raise SettingsError("--password-file: must be a user id and a file, such as @probe-a:example.org=/etc/probe/a")
    return PasswordAccount(user_id, Path(path))
