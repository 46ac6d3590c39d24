"""No file that the portal gives away has a formula in it, whoever chose the words."""

import csv
import io
import re
import unicodedata
from typing import Any, Final

import pytest

from synapse_bum.portal.page import Page
from synapse_bum.testing.portal_tour import PortalTourCase, place

BEGINNINGS: Final = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1",
    "\n=1",
    "\N{FULLWIDTH EQUALS SIGN}1",
    "'=1",
    '=1;"\n=2',
)

pytestmark = pytest.mark.any_synapse

ONE_OF_A_FEW: Final = {"kind", "day", "state", "source", "classes"}
NUMBER: Final = re.compile(r"-?[0-9]+")
MADE_BY_THE_API: Final = {"availability/file", "invoice/file"}
"""Their bytes come as they are; `synapse_bum.csv_cells` has tests of its own."""
WITHOUT_NAMES: Final = {"statistics/csv", "users/import/template"}


class ExportTestCase(PortalTourCase):
    def rows(self, page: Page, word: str) -> list[list[str]] | None:
        """The rows of a file with this word in all its answers; None for what is no table."""

        def changed(content: Any, key: str = "") -> Any:  # noqa: ANN401 - any JSON
            if isinstance(content, dict):
                return {name: changed(value, name) for name, value in content.items()}
            if isinstance(content, list):
                return [changed(value, key) for value in content]
            return word if isinstance(content, str) and key not in ONE_OF_A_FEW else content

        self.sample.alter = lambda _key, found: changed(found)
        body = self.browser.get(place(page))
        if not self.browser.header("Content-Type").startswith("text/csv"):
            return None
        return list(csv.reader(io.StringIO(body.removeprefix("\ufeff"), newline=""), delimiter=";", strict=True))

    def test_no_cell_of_any_file_is_a_formula(self) -> None:
        files = set()
        for page in self.pages:
            for word in BEGINNINGS:
                rows = self.rows(page, word)
                if rows is None or page.path in MADE_BY_THE_API:
                    break
                files.add(page.path)
                assert len({len(row) for row in rows}) == 1, (page.path, word)
                assert (
                    page.path in WITHOUT_NAMES
                    or word[0].isspace()
                    or any(cell.startswith("'") for row in rows for cell in row)
                ), (
                    page.path,
                    word,
                )
                for cell in (cell for row in rows for cell in row):
                    begin = unicodedata.normalize("NFKC", cell.strip()[:1])
                    assert begin not in set("=+-@") or NUMBER.fullmatch(cell), (page.path, word, cell)
        assert {"audit/csv", "retention/deletions/csv", "users/export/file"} <= files

    def test_passwords_and_results_of_an_import(self) -> None:
        for name in ("=1+1", "@SUM(1)", " =1"):
            results = f'1;"{name}";created;"-{name}";"={name}"\n'
            body = self.browser.post(
                "users/import/passwords", {"_form": self.form_token(), "passwords": results}
            ).removeprefix("\ufeff")
            for row in csv.reader(io.StringIO(body, newline=""), delimiter=";"):
                assert not any(cell.strip().startswith(tuple("=+-@")) for cell in row), row
