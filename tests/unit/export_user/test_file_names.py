"""Names of copies: whatever a person's application said, a copy has a harmless name of its own."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli.export_user.file_names import copy_name, is_shown_safely


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("Bericht 2026.pdf", "000001_Bericht 2026.pdf"),
        ("../../etc/passwd", "000001_passwd"),
        ("C:\\Users\\a\\b.doc", "000001_b.doc"),
        ("..", "000001_datei.png"),
        ("a\0b\nc.txt", "000001_abc.txt"),
        ("rechnung\u202efdp.exe", "000001_rechnungfdp.exe"),
        (".htaccess", "000001_htaccess"),
        ("a?b#c%2f.txt", "000001_a_b_c_2f.txt"),
        ("Gru\u0308ße.txt", "000001_Grüße.txt"),
        ("", "000001_datei.png"),
        (None, "000001_datei.png"),
        ("seite.html", "000001_seite.html.txt"),
        ("Bild.SVG", "000001_Bild.SVG.txt"),
        ("ä" * 200 + ".xhtml", "000001_" + "ä" * 57 + ".xhtml.txt"),
        ("ä" * 200 + ".pdf", "000001_" + "ä" * 58 + ".pdf"),
    ],
)
def test_names(given_name: str | None, name: str) -> None:
    assert copy_name(1, given_name, "image/png; charset=x") == name


@given(st.integers(1, 10**7), st.text(max_size=300), st.none() | st.text(max_size=40))
def test_a_name_is_one_harmless_component(number: int, given_name: str, media_type: str | None) -> None:
    name = copy_name(number, given_name, media_type)
    assert PurePosixPath(name).name == name == PureWindowsPath(name).name
    assert len(name.encode()) <= 134
    assert name.startswith(f"{number:06}_")
    assert not name.endswith((".", " "))
    assert all(unicodedata.category(character)[0] != "C" for character in name)


@pytest.mark.parametrize("name", ["a", "a.xyz", "html", ".html", "a.html", "a.sVg", "a.svg.", "a.html "])
def test_no_page_leads_to_what_a_browser_would_run(name: str) -> None:
    copied = copy_name(1, name, "text/html")
    assert not is_shown_safely(copied) or copied.endswith(".txt")


def test_pages_lead_to_pictures_and_letters() -> None:
    assert all(is_shown_safely(copy_name(1, name, None)) for name in ("a.png", "a.PDF", "a.txt", "a.html"))
    assert is_shown_safely(copy_name(1, None, "image/png"))
    assert copy_name(1, None, "text/html") == "000001_datei.html.txt"
