"""Names that turn round what stands beside them, in sentences."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.language.bidi import isolated
from synapse_bum.portal.language.texts import Texts

CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@pytest.mark.parametrize("name", ["", "Erika", "Jürgen Groß", "@a:b.example", "日本語", "zwei\nZeilen"])
def test_most_names_stay_as_they_are(name: str) -> None:
    assert isolated(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Harmlos\u202e!nehcsol etiB", "Harmlos!nehcsol etiB"),
        ("\u202bx", "x"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u2068\u05e9\u05dc\u05d5\u05dd\u2069"),
        ("\u0645\u0631\u062d\u0628\u0627 1", "\u2068\u0645\u0631\u062d\u0628\u0627 1\u2069"),
        ("a\u2067b", "ab"),
        ("a\u2069b", "ab"),
        ("a\u2067b\u2069c", "\u2068a\u2067b\u2069c\u2069"),
        ("a\u200f", "\u2068a\u200f\u2069"),
        ("\u05e9\u05dc\u05d5\u05dd\n\u05d0", "\u2068\u05e9\u05dc\u05d5\u05dd\u2069\n\u2068\u05d0\u2069"),
        ("a\u2067\nb", "a\nb"),
    ],
)
def test_others_change_nothing_around_them(name: str, shown: str) -> None:
    assert isolated(name) == shown


@given(st.text(alphabet=CONTROLS + "a\u05d01 \n\u2029", max_size=12))
def test_no_mixture_reaches_out(name: str) -> None:
    for line in isolated(name).replace("\u2029", "\n").split("\n"):
        depth = 0
        for character in line:
            kind = unicodedata.bidirectional(character)
            assert kind not in {"LRE", "RLE", "LRO", "RLO", "PDF"}
            assert depth or kind not in {"R", "AL", "AN"}, "what turns its neighbours is isolated"
            depth += (kind in {"LRI", "RLI", "FSI"}) - (kind == "PDI")
            assert depth >= 0
        assert depth == 0


def test_every_sentence_isolates_its_values() -> None:
    texts = Texts({"a": "Raum {name} löschen", "b": ["{name}!"]})
    assert texts("a", name="x\u202ey") == "Raum xy löschen"
    assert texts.lines("b", name="\u05d0") == ["\u2068\u05d0\u2069!"]
