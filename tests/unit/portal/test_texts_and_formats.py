"""The catalogue is whole in both languages, and values are written as Germans write them."""

import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import synapse_bum.portal
from synapse_bum.portal.forms.form import Field, Form, Kind
from synapse_bum.portal.language.formats import Formats, day_begin_ms
from synapse_bum.portal.language.texts import Texts, load
from synapse_bum.portal.page_table import all_pages

pytestmark = pytest.mark.any_synapse

PACKAGE = Path(synapse_bum.portal.__file__).parent
GERMAN, ENGLISH = load("de"), load("en")
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
NBSP = "\N{NO-BREAK SPACE}"


def names_in(entry: Any) -> set[str]:  # noqa: ANN401 - of a catalogue
    lines = [entry] if isinstance(entry, str) else list(entry.values()) if isinstance(entry, dict) else entry
    return {name for line in lines for _, name, _, _ in Formatter().parse(line) if name is not None}


class TestCatalogue:
    def test_both_languages_have_the_same_texts_with_the_same_values(self) -> None:
        assert set(GERMAN) == set(ENGLISH)
        assert {key: names_in(entry) for key, entry in GERMAN.items()} == {
            key: names_in(entry) for key, entry in ENGLISH.items()
        }
        assert {key: type(entry) for key, entry in GERMAN.items()} == {key: type(e) for key, e in ENGLISH.items()}

    @pytest.mark.parametrize("key", GERMAN)
    def test_texts_are_plain_and_keys_are_words(self, key: str) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+", key)
        for entry in (GERMAN[key], ENGLISH[key]):
            written = " ".join(
                [entry] if isinstance(entry, str) else entry.values() if isinstance(entry, dict) else entry
            )
            assert written.strip()
            assert not re.search(r"[<>&]", written), "plain text, never HTML"
            assert "{" not in re.sub(r"\{[a-z_]+\}", "", written)

    @pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(PACKAGE)))
    def test_every_text_that_a_template_names_is_there(self, template: Path) -> None:
        source = re.sub(r"(?s){#.*?#}", "", template.read_text(encoding="utf-8"))
        named = set(re.findall(r'\b(?:t|lines)\("([a-z0-9_.]+)"[,)]', source))
        assert named - set(GERMAN) == set()

    @pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(PACKAGE)))
    def test_templates_hold_nothing_that_the_policy_forbids_and_escape_everything(self, template: Path) -> None:
        source = template.read_text(encoding="utf-8")
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|https?://|\|\s*safe|autoescape", source)

    @pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.path or "start")
    def test_every_page_has_a_title(self, page: Any) -> None:  # noqa: ANN401 - a page
        assert page.title in GERMAN

    def test_values_plural_and_lists(self) -> None:
        texts = Texts(
            {"a.n": {"one": "{count} Tag", "other": "{count} Tage"}, "a.l": ["eins {x}", "zwei"], "a.t": "x {y}"},
            Formats("de").number,
        )
        assert [texts("a.n", count=n) for n in (0, 1, 1234)] == ["0 Tage", "1 Tag", "1.234 Tage"]
        assert texts.lines("a.l", x=1.5) == ["eins 1,5", "zwei"]
        assert texts.lines("a.t", y="{z}") == ["x {z}"]
        assert texts("a.t", y=True) == "x True"
        for wrong in ("a.none", "a.t", "a.l"):
            with pytest.raises(KeyError):
                texts(wrong)


class TestFormats:
    german, english = Formats("de"), Formats("en")

    @pytest.mark.parametrize(
        ("value", "written"),
        [(0, "0"), (1234.5, "1.234,5"), (1_000_000, "1.000.000"), (-0.25, "-0,2"), (None, "\N{EN DASH}")],
    )
    def test_numbers(self, value: float | None, written: str) -> None:
        assert self.german.number(value) == written

    @pytest.mark.parametrize(
        ("value", "written"),
        [(0, "0 B"), (999, "999 B"), (1000, "1,0 kB"), (999_999, "1,0 MB"), (123_456, "123 kB"), (10**18, "1.000 PB")],
    )
    def test_sizes(self, value: int, written: str) -> None:
        assert self.german.size(value) == written.replace(" ", NBSP)

    def test_money_and_shares(self) -> None:
        assert self.german.money("2896.00") == f"2.896,00{NBSP}€"
        assert self.english.money("2896.00") == "€2,896.00"
        assert self.german.percent(0.9995, 2) == f"99,95{NBSP}%"

    def test_times_are_those_of_germany_in_summer_and_winter(self) -> None:
        assert self.german.time(1_767_222_000_000) == "01.01.2026, 00:00 Uhr"
        assert self.german.time(1_782_856_800_000) == "01.07.2026, 00:00 Uhr"
        assert self.german.date(1_767_222_000_000 - 1) == "31.12.2025"
        assert self.english.time(1_767_222_000_000) == "2026-01-01 00:00"
        assert self.german.machine_time(1_767_222_000_000) == "2026-01-01T00:00:00+01:00"
        assert day_begin_ms("2026-07-01") == 1_782_856_800_000
        assert day_begin_ms("2026-02-30") is None

    @pytest.mark.parametrize(
        ("value", "written"),
        [(0, "0 Minuten"), (1, "1 Minute"), (5_400_000, "1 Stunde 30 Minuten"), (90 * 86_400_000, "90 Tage")],
    )
    def test_durations(self, value: int, written: str) -> None:
        assert self.german.duration(value).replace(NBSP, " ") == written


class TestForm:
    def test_what_each_kind_refuses(self) -> None:
        for kind, good, bad in (
            (Kind.EMAIL, "a@b.example", "a"),
            (Kind.NUMBER, "12", "-1"),
            (Kind.DATE, "2026-02-28", "2026-02-30"),
            (Kind.DATE, "2026-02-28", "20260228"),
            (Kind.CHOICE, "x", "y"),
            (Kind.TEXT, "a", "a\nb"),
            (Kind.TEXT, "a" * 255, "a" * 256),
        ):
            field = Field("f", kind, choices=("x",))
            assert field.complaint(good) is None
            assert field.complaint("") is None
            complaint = field.complaint(bad)
            assert complaint is not None
            assert complaint.key in GERMAN

    def test_a_password_keeps_its_white_space(self) -> None:
        from synapse_bum.portal.forms.form_data import FormData  # noqa: PLC0415

        form = Form("f", (Field("password", Kind.PASSWORD), Field("name")))
        filled = form.read(FormData({"password": " a ", "name": " a "}))
        assert (filled["password"], filled["name"]) == (" a ", "a")
