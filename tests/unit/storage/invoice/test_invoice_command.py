"""`synapse-bum invoice`: the published example by command, each format, and what it refuses."""

import csv
import io
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
import yaml

from synapse_bum.cli import main

STORAGE = "synapse_bum.storage.StorageModule"
EXAMPLE = ("--users", "960", "--storage-gb", "1000", "--month", "2026-06")
PRICES = {
    "valid_from": "2026-01-01",
    "users": [{"position": "P.1", "from_users": 1, "price": "3.00"}],
    "storage": "1.00",
    "service": "0.00",
}
PARTIES = {
    "contract": "V-1",
    "seller": {
        "name": "Betrieb GmbH",
        "street": "Königsallee 1",
        "post_code": "40212",
        "city": "Düsseldorf",
        "vat_id": "DE123456789",
        "contact": "Rechnungsstelle",
        "phone": "+49 211 123456",
        "email": "rechnung@betrieb.example",
    },
    "buyer": {
        "name": "Amt für Maß & Gewicht",
        "street": "Postfach 12 34",
        "post_code": "01067",
        "city": "Dresden",
        "leitweg_id": "04011000-1234512345-06",
    },
    "payment": {"iban": "DE02120300000000202051"},
}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["invoice", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on stderr when there is no invoice; status 1, nothing on stdout, one line."""
    assert main(["invoice", *arguments]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("synapse-bum invoice: ")
    assert len(told.err.splitlines()) == 1
    return told.err


def a_homeserver(folder: Path, *modules: object) -> str:
    path = folder / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"modules": list(modules)}), encoding="utf-8")
    return str(path)


def test_the_published_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, *EXAMPLE) == (
        "ML.1b  Registrierte Nutzer, Stufe 501 bis 999  960 x 2.00 = 1920.00\n"
        "ML.2   Speichererweiterung je angefangenes GB   40 x 0.40 =   16.00\n"
        "ML.3   Service je registrierten Nutzer         960 x 1.00 =  960.00\n"
        "2026-06, net, EUR                                           2896.00\n"
    )


def test_without_a_month_it_is_the_running_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--users", "960", "--storage-gb", "1000").endswith(" 2896.00\n")


def test_items_and_the_users_of_all_servers(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *EXAMPLE, "--customer-users", "1000", "--item", "ELO.1=1", "--item", "AL.3=7.5")
    assert [line.rpartition(" ")[2] for line in text.splitlines()] == [
        "1728.00",
        "16.00",
        "960.00",
        "250.00",
        "1096.00",
        "4050.00",
    ]


def test_each_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert "2.896,00 EUR\n" in printed(capsys, *EXAMPLE, "--format", "text")
    assert json.loads(printed(capsys, *EXAMPLE, "--format", "json"))["total"] == "2896.00"
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *EXAMPLE, "--format", "csv"))))
    assert [row["amount"] for row in rows] == ["1920.00", "16.00", "960.00", "2896.00"]
    german = printed(capsys, *EXAMPLE, "--format", "csv-de").lstrip("\ufeff")
    rows = list(csv.DictReader(io.StringIO(german), delimiter=";"))
    assert [row["Betrag netto"] for row in rows] == ["1920,00", "16,00", "960,00", "2896,00"]


@pytest.mark.parametrize("shape", ["text", "csv-de"])
def test_bytes_do_not_depend_on_the_terminal(shape: str) -> None:
    command = [sys.executable, "-m", "synapse_bum", "invoice", *EXAMPLE, "--format", shape]
    ascii_only = {"PYTHONIOENCODING": "ascii:strict", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, check=True, env=ascii_only)
    text = done.stdout.decode()
    if shape == "text":
        assert "Alle Beträge sind Nettobeträge" in text
    else:
        assert text.startswith('\ufeff"Monat"')
        assert text.count("\r\n") == text.count("\n") == 5


def test_an_xrechnung_of_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_homeserver(tmp_path, {"module": STORAGE, "config": {"invoice": PARTIES}})
    text = printed(capsys, *EXAMPLE, "-c", path, "--format", "xrechnung", "--number", "R-42")
    said = [element.text for element in ET.fromstring(text.encode()).iter()]  # noqa: S314 - our own
    assert {"R-42", "Amt für Maß & Gewicht", "2896.00", "3446.24"} <= set(said)
    assert datetime.now(ZoneInfo("Europe/Berlin")).date().isoformat() in said


def test_an_xrechnung_needs_parties_and_a_month_that_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xrechnung = ("--format", "xrechnung", "--number", "R-42")
    missing = refused(capsys, *EXAMPLE, *xrechnung)
    assert "invoice.contract, invoice.seller.name" in missing
    assert "invoice.payment.iban" in missing
    path = a_homeserver(tmp_path, {"module": STORAGE, "config": {"invoice": PARTIES}})
    running = refused(capsys, "--users", "1", "--storage-gb", "0", "-c", path, *xrechnung)
    assert "had not ended on" in running


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "xrechnung"], "--number and --format xrechnung belong together"),
        (["--format", "text", "--number", "R-42"], "--number and --format xrechnung belong together"),
        (["--customer-users", "959"], "can't have 959 users in all when this server has 960"),
        (["--item", "AL.9=1"], "there is no item `AL.9`; the items of the price list are: ELO.1, AL.1,"),
        (["--item", "AL.1=1", "--item", "AL.1=1"], "AL.1 stands there twice"),
        (["--item", "ELO.1=0.5"], "0.5 is no whole number"),
        (["--item", "AL.1=1", "--month", "2027-01"], "no rate for 2027; there are rates for: 2024, 2025, 2026"),
        (["--month", "2023-12"], "no price list for 2023-12: the first one holds from 2024-01-01"),
        (["--config", "/nowhere/homeserver.yaml"], "/nowhere/homeserver.yaml: No such file"),
    ],
)
def test_what_can_t_be_billed_is_a_sentence_and_1(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(capsys, *EXAMPLE, *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--users", "-5"], "`-5` is no number of users"),
        (["--users", "1e3"], "`1e3` is no number of users"),
        (["--users", "9.5"], "`9.5` is no number of users"),
        (["--users", "100000000"], "at most eight"),
        (["--storage-gb", "-1"], "`-1` is no quantity"),
        (["--storage-gb", "NaN"], "`NaN` is no quantity"),
        (["--storage-gb", "1e3"], "`1e3` is no quantity"),
        (["--storage-gb", "1.000,5"], "`1.000,5` is no quantity"),
        (["--item", "AL.3"], "`AL.3` is no item"),
        (["--item", "AL.3=7,5"], "`7,5` is no quantity"),
        (["--item", "AL.3=-7"], "`-7` is no quantity"),
        (["--month", "2026-13"], "`2026-13` is no month"),
        (["--month", "06/2026"], "is no month"),
        (["--format", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_a_wrong_command_line_is_a_sentence_and_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["invoice", *EXAMPLE, *arguments])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_prices_customer_and_pool_of_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "included_gb_per_user": 0.5,
        "customer_users": 2_000,
        "price_list": [PRICES],
        "invoice": {"contract": "V-1", "address": "Amt\nBerlin"},
    }
    path = a_homeserver(tmp_path, {"module": "elsewhere.Module"}, {"module": STORAGE, "config": config})
    shown = json.loads(printed(capsys, *EXAMPLE, "-c", path, "--format", "json"))
    assert shown["storage"] == {"used_gb": 1000, "included_gb": 480, "extension_gb": 520}
    assert [line["amount"] for line in shown["lines"]] == ["2880.00", "520.00", "0.00"]
    assert (shown["contract"], shown["address"], shown["customer_users"]) == ("V-1", "Amt\nBerlin", 2_000)
    shown = json.loads(printed(capsys, *EXAMPLE, "-c", path, "--format", "json", "--customer-users", "3000"))
    assert shown["customer_users"] == 3_000


def test_graduated_steps_of_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_homeserver(tmp_path, {"module": STORAGE, "config": {"readings": {"tiers": "graduated"}}})
    assert printed(capsys, *EXAMPLE, "-c", path).endswith(" 3070.75\n")


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        ([], "it is there 0 times"),
        ([{"module": STORAGE}, {"module": STORAGE}], "it is there 2 times"),
        (
            [{"module": STORAGE, "config": {"price_list": [{**PRICES, "storage": "1,50"}]}}],
            '`modules.<item 0>`: `config.price_list.<item 0>.storage`: has a comma; write `"1.50"`',
        ),
    ],
)
def test_a_wrong_configuration_is_a_sentence(
    modules: list[object], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(capsys, *EXAMPLE, "-c", a_homeserver(tmp_path, *modules))


def test_modules_that_are_no_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text("modules: {}\n", encoding="utf-8")
    assert "`modules` must be a list" in refused(capsys, *EXAMPLE, "-c", str(path))
