"""What the storage module leaves open, and what of it does not fit homeserver.yaml or the calendar."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.quantities import parse_size
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.invoice.parties import Buyer, Parties, Seller, missing_keys
from synapse_bum.storage.invoice.price_list import InvoiceError, choose
from synapse_bum.storage.invoice.readings import TierReading
from synapse_bum.storage.month import Month

_LITERAL_SERVER: Final = re.compile(r"[^*?]+")


def policy_remarks(config: StorageConfig, today: date | None = None) -> Iterator[Remark]:
    """What the configuration leaves open.

    Args:
        config: of the module.
        today: decides which prices hold; None for the day that it is.
    """
    if not (config.count.local_media or config.count.remote_media):
        yield warning(Check.STORAGE_COUNT, "`count`: neither local nor remote files count: `used_bytes` is always 0")
    if not config.alert_at:
        yield warning(Check.STORAGE_ALERT, "`alert_at` is empty: nobody is told when the pool fills up")
    elif config.alert_email is None:
        yield warning(
            Check.STORAGE_ALERT, "`alert_email` is not set: that the pool fills up is in the log and the metrics only"
        )
    yield from _price_remarks(config, today or datetime.now(config.timezone).date())
    if config.readings.tiers is TierReading.GRADUATED and config.customer_users is not None:
        yield warning(
            Check.STORAGE_TIERS,
            "`customer_users` and `readings.tiers: graduated` do not go together: there is no invoice unless this"
            " server has just so many users; remove one of them",
        )
    missing = missing_keys(config.invoice)
    if missing and _is_begun(config.invoice):
        yield warning(
            Check.STORAGE_INVOICE, f"an XRechnung can't be written: these keys are missing: {', '.join(missing)}"
        )


def homeserver_remarks(config: StorageConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """What of the configuration does not fit Synapse's own. Pure.

    Args:
        config: of the module.
        homeserver: homeserver.yaml.
    """
    email = homeserver.get("email")
    if config.alert_email is not None and not (isinstance(email, dict) and email.get("notif_from")):
        yield error(
            Check.STORAGE_MAIL,
            "`alert_email` is set, but homeserver.yaml has no section `email` with `notif_from`: Synapse can't"
            " send mail, and does not start",
        )
    server_name = homeserver.get("server_name")
    if isinstance(server_name, str):
        for number, pattern in enumerate(config.exclude_users):
            of_server = pattern.partition(":")[2]
            if _LITERAL_SERVER.fullmatch(of_server) and of_server != server_name:
                yield warning(
                    Check.STORAGE_EXCLUDED, f"`exclude_users.<item {number}>`: `{pattern}` is no user of {server_name}"
                )
    yield from _limit_remarks(config, homeserver)


def _limit_remarks(config: StorageConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    limits = config.limits
    if limits is None:
        return
    if not config.count.remote_media:
        yield warning(
            Check.STORAGE_LIMIT, "`hard_limit_gb` does not see files of other servers: `count.remote_media` is false"
        )
    try:
        max_upload_size = parse_size(homeserver.get("max_upload_size", "50M"))
    except ValueError:
        # Synapse itself says what is wrong with it.
        return
    largest = min(limits.pool_bytes, limits.user_bytes)
    if largest < max_upload_size:
        yield warning(
            Check.STORAGE_LIMIT,
            f"a file above {largest} bytes never fits into a user's share of `hard_limit_gb`, although"
            f" `max_upload_size` ({max_upload_size} bytes) allows it",
        )


def _price_remarks(config: StorageConfig, today: date) -> Iterator[Remark]:
    month = Month.of(today)
    try:
        price_list = choose(config.price_lists, month)
    except InvoiceError as failure:
        yield warning(Check.STORAGE_PRICES, f"`price_list`: {failure}; before that there is no invoice")
        return
    without = [position for position, rates in price_list.hourly.items() if month.year not in rates]
    if without:
        yield warning(
            Check.STORAGE_PRICES,
            f"the price list from {price_list.valid_from.isoformat()} has no rate for {month.year} for"
            f" {', '.join(without)}: these items can't be billed; write a `price_list` with the rates of the year",
        )


def _is_begun(parties: Parties) -> bool:
    """Whether somebody has written down who bills whom; a contract and an address alone are for text."""
    return parties.seller != Seller() or parties.buyer != Buyer() or parties.payment.iban is not None
