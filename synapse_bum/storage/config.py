"""What stands under `config:` of the storage module."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.config import (
    Path,
    Reader,
    SharedConfig,
    boolean,
    duration_ms,
    fail,
    integer,
    list_of,
    number,
    one_of,
    option,
    section,
    text,
    time_zone,
    user_pattern,
)
from synapse_bum.storage.invoice.parties import Parties
from synapse_bum.storage.invoice.price_list import OWN_LIST, PriceList
from synapse_bum.storage.invoice.prices_config import price_lists
from synapse_bum.storage.invoice.readings import Readings
from synapse_bum.storage.limit import UPDATE_EVERY_MS, Limits
from synapse_bum.storage.month import StorageBasis, UsersBasis
from synapse_bum.storage.registered_users import UserRule
from synapse_bum.storage.usage import CountConfig, Pool, Stored

_MAX_GB = 1_000_000_000


def _amount(minimum: float) -> Reader[Decimal]:
    """Makes a reader of numbers of gigabytes, exactly as they are written."""
    return lambda value, path: Decimal(str(number(minimum, _MAX_GB)(value, path)))


def _thresholds(value: object, path: Path) -> tuple[float, ...]:
    """Reads shares of the pool, in any order. 80 for 0.8 is refused."""
    return tuple(sorted(list_of(number(0.01, 10))(value, path)))


def _mail_address(value: object, path: Path) -> str:
    address = text(value, path)
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or any(character.isspace() for character in address):
        fail(path, "must be one mail address, for example `betrieb@example.org`")
    return address


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StorageConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        included_gb_per_user: what each registered user brings to the pool.
        gigabyte: bytes of one gigabyte.
        count: what counts as used.
        exclude_users: user ids or patterns that are no registered users.
        count_locked: whether locked users count as registered.
        users_basis: which number of users a month is billed by.
        storage_basis: which storage a month is billed by.
        customer_users: users of all instances of the customer; None when there is only this one.
        alert_at: shares of the pool at which operators are told, ascending.
        alert_email: who gets a mail then; None for nobody.
        hard_limit_gb: what is stored at most; None never refuses an upload.
        hard_limit_user_share: which share of that limit one user may have.
        update_interval_ms: how old what the ledger says may be; with a limit never more than a minute.
        own_price_lists: the operator's, by their first days; None for the service's own one.
        readings: how a price list is read where its words leave room.
        invoice: who bills whom.
        timezone: where days and months begin.
    """

    included_gb_per_user: Decimal = option(_amount(0), default=1)
    gigabyte: int = option(integer(1_000, 2**40), default=1_000_000_000)
    count: CountConfig = option(section(CountConfig), default={})
    exclude_users: tuple[str, ...] = option(list_of(user_pattern), default=[])
    count_locked: bool = option(boolean, default=True)
    users_basis: UsersBasis = option(one_of(UsersBasis), default="distinct")
    storage_basis: StorageBasis = option(one_of(StorageBasis), default="peak")
    customer_users: int | None = option(integer(1, 10**9), default=None)
    alert_at: tuple[float, ...] = option(_thresholds, default=[0.8, 0.95, 1.0])
    alert_email: str | None = option(_mail_address, default=None)
    hard_limit_gb: Decimal | None = option(_amount(0.001), default=None)
    hard_limit_user_share: float = option(number(0.001, 1), default=0.1)
    update_interval_ms: int = option(duration_ms, default="1h", key="update_interval")
    own_price_lists: tuple[PriceList, ...] | None = option(price_lists, default=None, key="price_list")
    readings: Readings = option(section(Readings), default={})
    invoice: Parties = option(section(Parties), default={})
    timezone: ZoneInfo = option(time_zone, default="Europe/Berlin")

    def __attrs_post_init__(self) -> None:
        if self.hard_limit_gb is not None and not self.count.local_media:
            raise ConfigError(
                "needs `count.local_media: true`: what does not count can't reach a limit", ("hard_limit_gb",)
            )

    @property
    def price_lists(self) -> tuple[PriceList, ...]:
        """The price lists that hold."""
        return (OWN_LIST,) if self.own_price_lists is None else self.own_price_lists

    @property
    def limits(self) -> Limits | None:
        """How much may be stored; None when no upload is ever refused."""
        if self.hard_limit_gb is None:
            return None
        return Limits.of(
            hard_limit_gb=self.hard_limit_gb,
            user_share=self.hard_limit_user_share,
            included_gb_per_user=self.included_gb_per_user,
            gigabyte=self.gigabyte,
        )

    @property
    def update_every_ms(self) -> int:
        """How often the ledger is brought up to date."""
        return self.update_interval_ms if self.limits is None else min(self.update_interval_ms, UPDATE_EVERY_MS)

    @property
    def user_rule(self) -> UserRule:
        """Who is a registered user."""
        return UserRule(exclude=self.exclude_users, count_locked=self.count_locked)

    def pool(self, users: int, stored: Stored) -> Pool:
        """The pool of some users with what is stored.

        Args:
            users: registered users.
            stored: whether it counts or not.
        """
        included_bytes = int(users * self.included_gb_per_user * self.gigabyte)
        return Pool(users, stored.used_bytes(self.count), included_bytes, self.gigabyte)
