"""When a session ends, whose forms are ours, and what a sealed record is worth."""

from pathlib import Path

import attr
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.forms import form_token
from synapse_bum.portal.sessions.sealing import Sealer, read_keys
from synapse_bum.portal.sessions.session import Limits, Session, Standing

LIMITS = Limits(idle_ms=1_800_000, absolute_ms=28_800_000)
NOW = 1_800_000_000_000
SKEW = 300_000
HOST = "admin.example"


def a_session(begun_ms: int = NOW, seen_ms: int | None = None) -> Session:
    session = Session.begin("@boss:a.example", "DEVICE", begun_ms)
    return attr.evolve(session, seen_ms=begun_ms if seen_ms is None else seen_ms)


class TestSession:
    @pytest.mark.parametrize(
        ("since_begin", "since_seen", "standing"),
        [
            (0, 0, Standing.ALIVE),
            (LIMITS.idle_ms - 1, LIMITS.idle_ms - 1, Standing.ALIVE),
            (LIMITS.idle_ms, LIMITS.idle_ms, Standing.IDLE),
            (LIMITS.absolute_ms - 1, 0, Standing.ALIVE),
            (LIMITS.absolute_ms, 0, Standing.OLD),
            (-SKEW, -SKEW, Standing.ALIVE),
            (-SKEW - 1, -SKEW - 1, Standing.OLD),
            (0, -SKEW - 1, Standing.IDLE),
        ],
    )
    def test_its_end(self, since_begin: int, since_seen: int, standing: Standing) -> None:
        assert a_session(NOW - since_begin, NOW - since_seen).standing(LIMITS, NOW) is standing

    @given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
    def test_once_over_it_is_never_alive_again(self, begun: int, seen: int) -> None:
        session = a_session(NOW + begun, NOW + seen)
        assert session.standing(LIMITS, session.over_ms(LIMITS)) is not Standing.ALIVE
        assert session.standing(LIMITS, session.unused_ms(LIMITS)) is not Standing.ALIVE

    @given(st.integers(0, 10**8), st.integers(0, 10**8))
    def test_while_it_is_alive_it_does_not_count_as_unused(self, seen: int, later: int) -> None:
        session = a_session(NOW, NOW + seen)
        if session.standing(LIMITS, NOW + seen + later) is Standing.ALIVE:
            assert session.unused_ms(LIMITS) > NOW + seen + later + SKEW - 1

    def test_secrets_are_not_shown(self) -> None:
        session = a_session()
        assert session.form_secret not in repr(session)

    def test_a_cookie_holds_all_of_it(self) -> None:
        session = a_session()
        assert Session.of(attr.asdict(session)) == session


class TestFormToken:
    def test_each_form_has_its_own(self) -> None:
        first, second = form_token.make("secret"), form_token.make("secret")
        assert first != second
        assert form_token.form_id_of(first, "secret") != form_token.form_id_of(second, "secret")
        assert form_token.form_id_of(first, "secret") == first.partition(".")[0]

    @given(st.text())
    def test_nothing_else_is_one(self, text: str) -> None:
        assert form_token.form_id_of(text, "secret") is None

    def test_that_of_another_session_is_none(self) -> None:
        assert form_token.form_id_of(form_token.make("other"), "secret") is None

    @pytest.mark.parametrize(
        ("origin", "site"),
        [
            (f"https://{HOST}", "same-origin"),
            (f"https://{HOST}:8443", None),
            (None, "same-origin"),
            (f"https://{HOST}", None),
        ],
    )
    def test_our_own_pages(self, origin: str | None, site: str | None) -> None:
        assert form_token.is_from_here(origin, site, HOST)

    @pytest.mark.parametrize(
        ("origin", "site"),
        [
            (None, None),
            ("null", None),
            ("null", "same-origin"),
            (f"http://{HOST}", "same-origin"),
            (f"https://{HOST}.evil.example", None),
            (f"https://evil.example/{HOST}", None),
            (f"https://{HOST}@evil.example", None),
            ("https://[", None),
            ("", None),
            (f"https://{HOST}", "same-site"),
            (f"https://{HOST}", "cross-site"),
            (f"https://{HOST}", "none"),
            (None, ""),
        ],
    )
    def test_everybody_else(self, origin: str | None, site: str | None) -> None:
        assert not form_token.is_from_here(origin, site, HOST)


class TestSealer:
    OLD, NEW = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())

    def test_what_was_sealed_is_opened_for_its_purpose_and_in_time(self) -> None:
        sealer = Sealer([self.NEW])
        sealed = sealer.seal("session", {"a": "ä"}, NOW)
        assert sealer.open("session", sealed, NOW + 999, 1_000) == {"a": "ä"}
        assert sealer.open("session", sealed, NOW + 1_000, 1_000) is None
        assert sealer.open("notice", sealed, NOW, 1_000) is None
        assert sealer.open("session", sealed, NOW - SKEW - 1, 1_000) is None

    def test_keys_are_changed_without_ending_sessions(self) -> None:
        sealed = Sealer([self.OLD]).seal("session", {}, NOW)
        assert Sealer([self.NEW, self.OLD]).open("session", sealed, NOW, 1_000) == {}
        assert Sealer([self.NEW]).open("session", sealed, NOW, 1_000) is None
        assert Sealer([self.OLD]).open("session", Sealer([self.NEW, self.OLD]).seal("session", {}, NOW), NOW, 1) is None

    def test_a_key_file_names_the_key_that_seals_first(self, tmp_path: Path) -> None:
        old, new = Fernet.generate_key(), Fernet.generate_key()
        path = tmp_path / "keys"
        sealers = []
        for lines in ((old,), (old, new), (new, old), (new,)):
            path.write_bytes(b"\n".join(lines) + b"\n")
            sealers.append(Sealer(read_keys(str(path))))
        before, prepared, swapped, after = (sealer.seal("session", {}, NOW) for sealer in sealers)
        opened = [
            [sealer.open("session", sealed, NOW, 1_000) == {} for sealer in sealers]
            for sealed in (before, prepared, swapped, after)
        ]
        assert opened == [
            [True, True, True, False],
            [True, True, True, False],
            [False, True, True, True],
            [False, True, True, True],
        ]

    @given(st.text())
    def test_everything_else_is_nothing(self, text: str) -> None:
        assert Sealer([self.NEW]).open("session", text, NOW, 1_000) is None

    @given(st.data())
    def test_a_changed_record_is_nothing(self, data: st.DataObject) -> None:
        sealed = Sealer([self.NEW]).seal("session", {"user": "boss"}, NOW)
        place = data.draw(st.integers(0, len(sealed) - 5))
        other = "A" if sealed[place] != "A" else "B"
        assert Sealer([self.NEW]).open("session", sealed[:place] + other + sealed[place + 1 :], NOW, 1_000) is None
