"""Every command that a page shows is one: options, routes, methods, keys, make targets, file names, tables."""

import contextlib
import itertools
import json
import re
import shlex
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from synapse_bum.cli import COMMANDS, _parser
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.rest import BASE
from synapse_bum.testing.documented_commands import block_commands, code_lines, inline_commands
from synapse_bum.testing.own_tables import all_components

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]
API = (DOCS / "api.md").read_text(encoding="utf-8")
ROUTES = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", API, re.MULTILINE)  # test_api_reference.py: those of the code
OTHERS_ROUTES = [
    ("GET", "/health"),
    ("POST", "/_matrix/client/v3/login"),
    ("POST", "/_matrix/client/v3/logout"),
    ("GET", "/_matrix/media_proxy/unstable/public_key"),
    ("GET", "/_synapse/admin/v1/background_updates/status"),
    ("DELETE", "/_synapse/admin/v1/media/{server_name}/{media_id}"),
    ("PUT", "/_synapse/admin/v1/users/{user_id}/admin"),
    ("POST", "/_synapse/admin/v1/users/{user_id}/login"),
    ("POST", "/_synapse/admin/v1/deactivate/{user_id}"),
]
"""What pages ask of Synapse itself; tests/e2e/test_handbook.py and tests/e2e/upgrade do most of it."""

KEYS_OF_SYNAPSE = {"admin", "erase"}
CURL_WITH_A_VALUE = {"-X", "-H", "-d", "-o"}
PARSER = _parser()
VARIABLES = {"BUM": f"https://admin.messenger.example{BASE}"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def of_template(template: str) -> str:
    """A pattern for the paths of a route."""
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))


def is_route(method: str, path: str) -> bool:
    ours = [(ours, f"{BASE}{template}") for ours, template in ROUTES]
    return any(one == method and re.fullmatch(of_template(path_), path) for one, path_ in [*ours, *OTHERS_ROUTES])


def curl(command: str) -> tuple[str, str, str | None]:
    """Method, URL and body of a curl command."""
    method, body, urls = None, None, []
    words = itertools.takewhile(lambda word: word not in {"|", ">"}, shlex.split(command)[1:])
    for word in words:
        if word in CURL_WITH_A_VALUE:
            value = next(words)
            method = value if word == "-X" else method
            body = value if word == "-d" else body
        elif not word.startswith("-"):
            urls.append(word)
    (url,) = urls
    return method or ("GET" if body is None else "POST"), url, body


def parsed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Has the command line read a command; options in brackets may be left out, what is behind `>` is the shell's."""
    words = shlex.split(re.sub(r"[\[\]]", "", command.partition(" > ")[0]), comments=True)[1:]
    try:
        PARSER.parse_args(words)
    except SystemExit as end:
        if end.code:
            pytest.fail(f"{command}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_command_line_takes_what_code_blocks_show(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in block_commands(text_of(page), ["synapse-bum"]):
        parsed(command, capsys)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_in_sentences_are_there(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {command.name for command in COMMANDS}
    helps: dict[str, str] = {}
    for command in inline_commands(text_of(page), ["synapse-bum"]):
        words = re.sub(r"[\[\]]", "", command).split(" ")[1:]
        if not words or words[0].startswith(("-", "COMMAND")):
            continue
        assert words[0] in names, command
        if words[0] not in helps:
            with pytest.raises(SystemExit):
                PARSER.parse_args([words[0], "--help"])
            helps[words[0]] = capsys.readouterr().out
        options = [word.partition("=")[0] for word in words[1:] if re.match(r"--?\w", word)]
        assert [option for option in options if not re.search(rf"{option}\b", helps[words[0]])] == [], command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_curl_asks_routes_that_there_are(page: Path) -> None:
    for shown in block_commands(text_of(page), ["curl"]):
        command = shown.replace("$BUM", VARIABLES["BUM"]).replace("...", "x") if "$BUM" in shown else shown
        method, url, body = curl(command)
        parts = urlsplit(url)
        assert parts.scheme == "https" or parts.hostname == "127.0.0.1", command
        assert is_route(method, parts.path), command
        for key, _value in parse_qsl(parts.query, strict_parsing=bool(parts.query)):
            assert re.search(rf"`{key}`|[?&]{key}=", API), command
        if body is not None and not body.startswith("@"):
            assert json.loads(body).keys() <= set(re.findall(r'["`](\w+)["`]', API)) | KEYS_OF_SYNAPSE, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_routes_in_sentences_are_there(page: Path) -> None:
    for method, path in re.findall(r"\b(GET|POST|PUT|DELETE) \.\.\.(/[^\s`,;)]+)", text_of(page)):
        plain = re.sub(r"<[^>]*>|\{[^}]*\}", "x", path.partition("?")[0].rstrip(".:"))
        ends = [template for one, template in ROUTES if one == method]
        assert any(re.search(rf"{of_template(end)}$", plain) or end.endswith(plain) for end in ends), (method, path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_are_there(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = text_of(page)
    commands = [*block_commands(text, ["make"]), *inline_commands(text, ["make"])]
    named = {word for command in commands for word in command.split(" ")[1:] if re.fullmatch(r"[a-z-]+", word)}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_this_repository_are_there(page: Path) -> None:
    named = re.findall(r"(?<![\w/.-])((?:config-samples|docs|scripts|tests|benchmarks)/[\w./-]+\w)", text_of(page))
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def statements(page: str) -> Iterator[str]:
    """Every statement for the database in the code blocks."""
    for line in code_lines(page):
        if line.startswith("psql -c "):
            yield shlex.split(line)[2]
        elif re.match(r"(SELECT|DELETE FROM|UPDATE) synapse_bum|SELECT .* FROM synapse_bum", line):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_statements_about_our_tables_can_be_run(page: Path) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection.cursor(), Dialect.SQLITE, all_components())
        for statement in statements(text_of(page)):
            connection.execute(statement)


def test_the_pages_are_looked_through() -> None:
    found: Mapping[str, int] = {
        program: sum(len(list(block_commands(text_of(page), [program]))) for page in PAGES)
        for program in ("synapse-bum", "curl", "make")
    }
    assert found["synapse-bum"] > 30
    assert found["curl"] > 60
    assert sum(len(list(statements(text_of(page)))) for page in PAGES) > 3


@pytest.mark.parametrize(
    "broken",
    [
        "    curl -s https://admin.messenger.example/_synapse/client/bum/v1/antivirus/state",
        "    curl -s -X PUT https://admin.messenger.example/_synapse/client/bum/v1/antivirus/status",
        '    curl -s "https://admin.messenger.example/_synapse/client/bum/v1/audit?sort_by_colour=1"',
        "    curl -s -X POST -d '{\"dry\": true}' https://admin.messenger.example/_synapse/client/bum/v1/storage/orphans",
        "    curl -s http://admin.messenger.example/_synapse/client/bum/v1/antivirus/status",
    ],
)
def test_what_is_wrong_in_a_curl_command_is_found(broken: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Text\n\n{broken}\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        test_curl_asks_routes_that_there_are(page)
