"""nginx in front of the homeserver, read and judged: the sample without a finding, and one change for each mistake."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli.check.modules import load_modules
from synapse_bum.cli.check.processes import Process
from synapse_bum.cli.check.proxy.blocks import NotNginxError, read_blocks
from synapse_bum.cli.check.proxy.included import DumpedFiles
from synapse_bum.cli.check.proxy.remarks import expected, proxy_remarks
from synapse_bum.cli.check.proxy.routing import route, servers_in

SAMPLE = (Path(__file__).resolve().parents[3] / "config-samples" / "nginx.conf").read_text(encoding="utf-8")
HOST = "matrix.messenger.example"
ADMIN = "admin.messenger.example"
HOMESERVER: dict[str, Any] = {
    "public_baseurl": f"https://{HOST}/",
    "listeners": [{"port": 8008, "type": "http", "resources": [{"names": ["client", "federation"]}]}],
    "modules": [
        {"module": "synapse_bum.antivirus.AntivirusModule", "config": {"admin_hosts": [ADMIN]}},
        {
            "module": "synapse_bum.portal.PortalModule",
            "config": {"hosts": [ADMIN], "admin_api_url": f"https://{ADMIN}", "admin_hosts": [ADMIN]},
        },
    ],
}
MEDIA: dict[str, Any] = {
    **HOMESERVER,
    "worker_app": "synapse.app.generic_worker",
    "enable_media_repo": True,
    "worker_listeners": [{"port": 8011, "type": "http", "resources": [{"names": ["client", "media"]}]}],
}
CLIENTS_BLOCK = "    location /_matrix/ {\n        proxy_pass http://synapse;\n    }\n"
ADMIN_NAME = f"    server_name {ADMIN};\n"


def said(text: str, **settings: object) -> list[str]:
    homeserver = {**HOMESERVER, **settings}
    configs, wrong = load_modules(homeserver)
    assert not wrong
    processes = [Process("main", homeserver, is_worker=False), Process("media", MEDIA, is_worker=True)]
    wanted = expected(homeserver, configs.values())
    remarks = proxy_remarks({"nginx.conf": text}, DumpedFiles({}), wanted, processes)
    return [f"{remark.level.value} {remark.check.value}: {remark.says}" for remark in remarks]


def replaced(old: str, new: str, times: int = 1) -> str:
    assert SAMPLE.count(old) == times, old
    return SAMPLE.replace(old, new)


def upstream(path: str, text: str = SAMPLE, host: str = HOST) -> str | None:
    server = next(server for server in servers_in(read_blocks(text)) if server.answers_to(host))
    return route(server, path, host).upstream


def test_the_sample_leaves_nothing_open() -> None:
    assert said(SAMPLE) == []
    assert said(f"http {{\n{SAMPLE}\n}}\n") == []
    assert said(SAMPLE.replace("set $bum_variant A;", "set $bum_variant B;")) == []


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        (
            replaced("location /_synapse/client/ {", "location /_synapse/ {").replace("_synapse/client|", "_synapse|"),
            f"ERROR proxy.admin-path: line 14, {HOST}: everybody can reach /_synapse/admin/v1/server_version",
        ),
        (replaced("    deny all;\n", ""), f"WARNING proxy.open: line 113, {ADMIN}: everybody can reach"),
        (
            replaced("    location /_synapse/client/ {\n        proxy_pass http://synapse;\n    }\n", ""),
            f"WARNING proxy.route: {HOST}: /_synapse/client/bum/v1/media is not passed on",
        ),
        (replaced(CLIENTS_BLOCK, ""), f"WARNING proxy.route: {HOST}: /_matrix/client/versions is not passed on"),
        (
            replaced("|account/whoami)", ")"),
            f"WARNING proxy.route: {ADMIN}: /_matrix/client/v3/account/whoami is not passed on",
        ),
        (replaced(ADMIN_NAME, "    server_name other.example;\n"), f"WARNING proxy.route: no `server_name` is {ADMIN}"),
        (replaced("    set_real_ip_from 127.0.0.1;\n", ""), f"WARNING proxy.forwarded-for: line 113, {ADMIN}: the"),
        (replaced("real_ip_header X-Forwarded-For", "real_ip_header X-Real"), "WARNING proxy.forwarded-for: line 113"),
        (
            replaced("X-Forwarded-For $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for", 2),
            f"WARNING proxy.forwarded-for: line 14, {HOST}: `X-Forwarded-For` is `$proxy_add_x_forwarded_for`",
        ),
        (
            replaced("proxy_set_header Host $server_name;", "proxy_set_header Host $http_host;", 2),
            f"ERROR proxy.host: line 14, {HOST}: Synapse is told `$http_host` as `Host`, the client's own word",
        ),
        (
            replaced("proxy_set_header Host $server_name;", "", 2),
            f"ERROR proxy.host: line 14, {HOST}: Synapse is told `$proxy_host` as `Host`, not the name",
        ),
        ("events { }", "ERROR proxy.file: there is no `server` in it"),
        ("server { listen 443; ", "ERROR proxy.file: line 1: a block has no end"),
    ],
)  # fmt: skip
def test_each_mistake(text: str, beginning: str) -> None:
    found = said(text)
    assert [line for line in found if line.startswith(beginning)], found


def test_a_name_that_nobody_serves_can_be_written_by_a_client() -> None:
    text = replaced("proxy_set_header Host $server_name;", "proxy_set_header Host $host;", 2)
    assert said(text) == [], "the administrators' name has a server of its own"
    found = said(text.replace(ADMIN_NAME, "    server_name other.example;\n"))
    assert [line for line in found if line.startswith("ERROR proxy.host") and f"whoever writes {ADMIN}" in line]


def test_files_are_asked_of_the_process_that_has_them() -> None:
    main_has_none = said(SAMPLE, enable_media_repo=False)
    assert (
        f"ERROR proxy.media-worker: {HOST}: /_matrix/media/v3/upload is passed on to main, which has no media"
        in str(main_has_none)
    )
    media = "    location ~ ^/_matrix/(media|media_proxy)/|^/_matrix/(client|federation)/v1/media/ {\n"
    text = replaced(CLIENTS_BLOCK, f"{media}        proxy_pass http://127.0.0.1:8011;\n    }}\n{CLIENTS_BLOCK}")
    text = text.replace(
        "    location /_synapse/admin/ {\n",
        "    location /_synapse/admin/v1/media/ {\n        proxy_pass http://127.0.0.1:8011;\n    }\n"
        "    location /_synapse/admin/ {\n",
    )
    assert said(text, enable_media_repo=False) == []


@pytest.mark.parametrize(
    ("base_url", "host", "complaint"),
    [
        (f"https://{HOST}/", "$server_name", None),
        (f"https://{HOST}:443/", "$server_name", None),
        (f"https://{HOST}:8443/", "$server_name:8443", None),
        (f"https://{HOST}:8443/", "$server_name:$server_port", None),
        (f"https://{HOST}:8443/", f"{HOST}:8443", None),
        (f"https://{HOST}:8443/", "$server_name", "without a port, and `public_baseurl` has 8443"),
        (f"https://{HOST}:8443/", "$server_name:8448", "with the port 8448, and `public_baseurl` has 8443"),
        (f"https://{HOST}/", "$server_name:$server_port", "with the port $server_port, and `public_baseurl` has none"),
    ],
)
def test_the_port_of_clients_is_handed_on_where_it_is_in_their_address(
    base_url: str, host: str, complaint: str | None
) -> None:
    first = SAMPLE.replace("Host $server_name;", f"Host {host};", 1)
    (place,) = (server.place for server in servers_in(read_blocks(SAMPLE)) if server.answers_to(HOST))
    words = f"WARNING proxy.host-port: {place}, {HOST}: Synapse is told the name {complaint}: logins with OIDC are led"
    assert said(first, public_baseurl=base_url) == ([] if complaint is None else [f"{words} in circles"])


def test_a_file_that_is_included_and_not_there_is_named() -> None:
    (line,) = said(f"include /etc/nginx/mime.types;\ninclude sites/*;\ninclude sites/a.conf;\n{SAMPLE}")
    assert line == "WARNING proxy.file: line 3: sites/a.conf is not there, and not looked at"


@pytest.mark.parametrize(
    ("path", "host", "expected_upstream"),
    [
        ("/_matrix/client/v3/sync", HOST, "synapse"),
        ("/_matrix/client/v1/media/download/a/b", HOST, None),
        ("/_matrix/media/v3/thumbnail/a/b?width=1", HOST, None),
        ("/_matrix/client/v1/media/config", HOST, "synapse"),
        ("/_matrix/client/v3/sync?admin_unsafely_bypass_quarantine=true", HOST, None),
        ("/_synapse/admin/v1/server_version", HOST, None),
        ("/bum-refused/plain", HOST, None),
        ("/", HOST, None),
        ("/_synapse/admin/v2/users", ADMIN, "synapse"),
        ("/_matrix/client/v3/login", ADMIN, "synapse"),
        ("/_matrix/client/v3/login/sso/redirect", ADMIN, None),
    ],
)
def test_the_samples_routes(path: str, host: str, expected_upstream: str | None) -> None:
    assert upstream(path, host=host) == expected_upstream


@pytest.mark.parametrize(
    ("locations", "expected_upstream"),
    [
        ("location / { proxy_pass http://a; } location /x { proxy_pass http://b; }", "b"),
        ("location ^~ /x { proxy_pass http://a; } location ~ /x { proxy_pass http://b; }", "a"),
        ("location /x/y { proxy_pass http://a; } location ~ ^/X { proxy_pass http://b; }", "a"),
        ("location /x/y { proxy_pass http://a; } location ~* ^/X { proxy_pass http://b; }", "b"),
        ("location = /x/y { proxy_pass http://a; } location ~ . { proxy_pass http://b; }", "a"),
        ("location /x { location /x/y { proxy_pass http://a; } proxy_pass http://b; }", "a"),
        ("location /x { return 404; }", None),
        ("location /x { rewrite ^/x/(.*)$ /z/$1 last; } location /z/y { proxy_pass http://a; }", "a"),
        ("location /x { rewrite ^/x/(.*)$ /z/$1 break; proxy_pass http://b; }", "b"),
        ("location /x { rewrite ^ https://a.example/ permanent; proxy_pass http://b; }", None),
        ("location /x { rewrite ^ /x/y last; proxy_pass http://b; }", None),
        ('if ($request_uri ~ "^/x/(y|z)") { return 403; } location / { proxy_pass http://a; }', None),
        ('if ($request_uri !~* "^/X/{0,3}y$") { return 403; } location / { proxy_pass http://a; }', "a"),
        ('set $a ""; if ($a = "") { return 403; } location / { proxy_pass http://a; }', None),
        ("if ($request_method = POST) { return 403; } location / { proxy_pass http://a:8008; }", "a:8008"),
        ("location ~ (unclosed { proxy_pass http://a; } location / { proxy_pass http://b; }", "b"),
        ("location / { internal; proxy_pass http://a; }", None),
    ],
)
def test_how_nginx_finds_a_location(locations: str, expected_upstream: str | None) -> None:
    assert upstream("/x/y", f"server {{ server_name a.example; {locations} }}", "a.example") == expected_upstream


@pytest.mark.parametrize(
    ("rules", "is_open"),
    [
        ("", True),
        ("deny all;", False),
        ("allow all; deny all;", True),
        ("allow 10.0.0.0/8;", True),
        ('auth_basic "a";', False),
        ("auth_basic off;", True),
        ("ssl_verify_client on;", False),
    ],
)
def test_who_may_ask(rules: str, is_open: bool) -> None:  # noqa: FBT001 - of a table
    text = f"http {{ {rules} server {{ server_name a.example; location / {{ proxy_pass http://a; }} }} }}"
    (server,) = servers_in(read_blocks(text))
    assert route(server, "/", "a.example").is_open is is_open


@pytest.mark.parametrize(
    ("name", "host", "is_named"),
    [
        ("a.example", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "example", False),
        (".a.example", "a.example", True),
        (".a.example", "b.a.example", True),
        ("a.*", "a.example", True),
        ('"~^(?<sub>a|b)\\.example$"', "b.example", True),
        ("_", "a.example", False),
    ],
)
def test_names_of_servers(name: str, host: str, is_named: bool) -> None:  # noqa: FBT001 - of a table
    (server,) = servers_in(read_blocks(f"server {{ server_name {name}; }}"))
    assert server.answers_to(host) is is_named


WORDS = (
    "server",
    "location",
    "if",
    "set",
    "return",
    "rewrite",
    "include",
    "proxy_pass",
    "http",
    "server_name",
    "allow",
)
SIGNS = (
    "{",
    "}",
    ";",
    '"',
    "'",
    "\\",
    "#",
    "\n",
    "$a",
    "(",
    "~",
    "^/",
    "last",
    "break",
    "internal",
    "upstream",
    "listen",
)


@given(st.lists(st.one_of(st.sampled_from((*WORDS, *SIGNS)), st.text(max_size=4)), max_size=40).map(" ".join))
def test_whatever_the_file_holds_is_read_or_a_sentence(text: str) -> None:
    found = said(text)
    assert found
    assert all(line.split()[0] in {"ERROR", "WARNING", "NOTE"} for line in found)


def test_blocks_without_an_end_are_a_sentence() -> None:
    with pytest.raises(NotNginxError, match="blocks in blocks"):
        read_blocks("a { " * 100)
