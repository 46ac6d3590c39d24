"""What a verdict about an encrypted file is bound to, and how long it stands."""

import sqlite3
from collections.abc import Callable, Iterator

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.content_scanner.encrypted_file import EncryptedFile
from synapse_bum.antivirus.content_scanner.key_verdicts import (
    LIFETIME_MS,
    BoundVerdict,
    KeyVerdict,
    binding_of,
    digest_of_policy,
    purge_expired,
    read_verdict,
    write_verdicts,
)
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.database.schema import Dialect, migrate

FILE = EncryptedFile("a.example", "file", key=b"k" * 32, iv=b"i" * 16, sha256=b"h" * 32)
NAMES = st.tuples(st.text(max_size=3), st.text(max_size=3))
SECRET = b"secret of this server"


@pytest.fixture
def txn() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    migrate(cursor, Dialect.SQLITE, (ANTIVIRUS,))
    yield cursor
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda file: attr.evolve(file, server_name="b.example"),
        lambda file: attr.evolve(file, media_id="other"),
        lambda file: attr.evolve(file, key=b"x" * 32),
        lambda file: attr.evolve(file, iv=b"x" * 16),
        lambda file: attr.evolve(file, sha256=b"x" * 32),
    ],
)
def test_every_part_of_the_file_binds(change: Callable[[EncryptedFile], EncryptedFile]) -> None:
    assert binding_of(SECRET, "policy", FILE) != binding_of(SECRET, "policy", change(FILE))


def test_secret_and_policy_bind() -> None:
    assert len({binding_of(secret, policy, FILE) for secret in (b"1", b"2") for policy in ("a", "b")}) == 4


@given(one=NAMES, other=NAMES)
def test_no_two_names_run_into_each_other(one: tuple[str, str], other: tuple[str, str]) -> None:
    first = attr.evolve(FILE, server_name=one[0], media_id=one[1])
    second = attr.evolve(FILE, server_name=other[0], media_id=other[1])
    assert (binding_of(SECRET, "", first) == binding_of(SECRET, "", second)) == (one == other)


def test_the_digest_of_a_policy_does_not_depend_on_order() -> None:
    assert digest_of_policy({"a": 1, "b": [2]}) == digest_of_policy({"b": [2], "a": 1})
    assert digest_of_policy({"a": 1}) != digest_of_policy({"a": 2})


def test_a_verdict_stands_until_it_expires(txn: sqlite3.Cursor) -> None:
    verdict = BoundVerdict("b1", "a.example", "file", KeyVerdict.INFECTED, "Sig", "27800")
    write_verdicts(txn, [verdict], 1000)
    assert read_verdict(txn, "b1", 1000 + LIFETIME_MS - 1) == verdict
    assert read_verdict(txn, "b1", 1000 + LIFETIME_MS) is None
    assert read_verdict(txn, "b2", 1000) is None
    newer = attr.evolve(verdict, verdict=KeyVerdict.CLEAN, signature=None, signature_version="27801")
    write_verdicts(txn, [newer], 2000)
    assert read_verdict(txn, "b1", 1000 + LIFETIME_MS) == newer


def test_expired_verdicts_are_removed(txn: sqlite3.Cursor) -> None:
    for number in range(5):
        name = f"b{number}"
        write_verdicts(txn, [BoundVerdict(name, "a.example", "file", KeyVerdict.CLEAN, None, "27800")], number)
    assert purge_expired(txn, LIFETIME_MS + 2) == 3
    assert read_verdict(txn, "b3", 3) is not None


def test_neither_key_nor_iv_nor_hash_is_in_the_repr() -> None:
    assert "k" * 32 not in repr(FILE)
    assert "i" * 16 not in repr(FILE)
