"""The published rules for an XRechnung as a judge: the schema of UBL 2.1, then EN 16931, then XRechnung.

They are fetched by `scripts/fetch_xrechnung_rules.py`. EN 16931 and XRechnung are Schematron compiled to XSLT 2.0, for
which Python needs Saxon; their report is SVRL (ISO/IEC 19757-3).
"""

from pathlib import Path
from typing import Final

from lxml import etree  # type: ignore[import-untyped]
from saxonche import PySaxonProcessor  # type: ignore[import-not-found]  # compiled, without types

_SVRL: Final = "{http://purl.oclc.org/dsdl/svrl}"


class XRechnungRules:
    """Judges documents. Compiling the rules takes half a second, so that one object should judge all of them."""

    def __init__(self, folder: Path) -> None:
        """Compiles the rules.

        Args:
            folder: what `scripts/fetch_xrechnung_rules.py` prints.
        """
        self._schema = etree.XMLSchema(etree.parse(folder / "invoice.xsd"))
        # Kept, because what it has made must not outlive it.
        self._saxon = PySaxonProcessor(license=False)
        compiler = self._saxon.new_xslt30_processor()
        self._rules = [
            compiler.compile_stylesheet(stylesheet_file=str(folder / name))
            for name in ("en16931.xslt", "xrechnung.xslt")
        ]

    def complaints(self, document: bytes) -> list[str]:
        """Returns what is wrong with a document, warnings and remarks included; empty for a flawless one.

        Each begins with the name of the rule where there is one, for example `[BR-DE-15] ...`.
        """
        if not self._schema.validate(etree.fromstring(document)):
            return [str(error) for error in self._schema.error_log]
        node = self._saxon.parse_xml(xml_text=document.decode())
        return [
            complaint
            for rules in self._rules
            for complaint in _failed_asserts(rules.transform_to_string(xdm_node=node))
        ]


def _failed_asserts(report: str) -> list[str]:
    """Returns the texts of the rules that a document broke; a report in which no rule was tried is an error."""
    root = etree.fromstring(report.encode())
    assert root.find(f"{_SVRL}fired-rule") is not None, "no rule has looked at the document"
    failed = [*root.iter(f"{_SVRL}failed-assert"), *root.iter(f"{_SVRL}successful-report")]
    return [_named(found.get("id"), " ".join("".join(found.itertext()).split())) for found in failed]


def _named(rule: str, text: str) -> str:
    """Puts the name of the rule before its text, in which most of them carry it already."""
    return f"[{rule}] {text.removeprefix(f'[{rule}]').lstrip(' -')}"
