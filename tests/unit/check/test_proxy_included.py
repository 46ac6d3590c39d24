"""What nginx includes counts where it is included, as on the disk so in what `nginx -T` prints."""

from pathlib import Path

import pytest

from synapse_bum.cli.check.proxy.blocks import Directive
from synapse_bum.cli.check.proxy.included import DumpedFiles, FilesOnDisk, Whole, read_whole
from synapse_bum.cli.check.proxy.routing import Server, route, servers_in

MAIN = "http {\n    include snippets/open.conf;\n    include sites/*.conf;\n}\n"
SITE = "server {\n    server_name %s;\n    include snippets/routes.conf;\n}\n"
ROUTES = "location / { proxy_pass http://synapse; }"
FILES = {
    "nginx.conf": MAIN,
    "snippets/open.conf": "allow 10.0.0.0/8; deny all;",
    "snippets/routes.conf": ROUTES,
    "sites/b.conf": SITE % "b.example",
    "sites/a.conf": SITE % "a.example",
    "sites/a.conf.bak": "server { server_name old.example; }",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def on_disk(folder: Path, name: str = "nginx.conf") -> Whole:
    path = folder / name
    return read_whole({str(path): path.read_text(encoding="utf-8")}, FilesOnDisk())


def servers(whole: Whole) -> list[Server]:
    assert whole.blocks is not None
    return servers_in(whole.blocks)


def says(whole: Whole) -> list[str]:
    return [f"{remark.level.value} {remark.says}" for remark in whole.remarks]


def assert_both_sites_are_seen(whole: Whole, folder: Path) -> None:
    assert says(whole) == []
    found = servers(whole)
    assert [server.names for server in found] == [("a.example",), ("b.example",)]
    assert [server.place for server in found] == [f"{folder}/sites/{name}.conf line 1" for name in "ab"]
    for server in found:
        seen = route(server, "/_matrix/client/versions", server.names[0])
        # The route stands in a file of a file, and who may ask in one beside it.
        assert (seen.upstream, seen.is_open) == ("synapse", False)


def test_sites_and_snippets_on_the_disk_count(folder: Path) -> None:
    assert_both_sites_are_seen(on_disk(folder), folder)


def test_sites_and_snippets_in_what_nginx_prints_count_once(folder: Path) -> None:
    printed = "".join(f"# configuration file {folder}/{name}:\n{text}\n" for name, text in FILES.items())
    # On a machine without these files.
    assert_both_sites_are_seen(read_whole({"printed.txt": printed}, DumpedFiles({})), folder)


def test_a_sites_file_alone_is_read_from_the_folder_of_nginx(folder: Path) -> None:
    (server,) = servers(on_disk(folder, "sites/a.conf"))
    assert route(server, "/", "a.example").upstream == "synapse"
    assert server.place == "line 1"


def test_a_file_that_is_missing_is_named_with_its_place(folder: Path) -> None:
    folder.joinpath("snippets/routes.conf").unlink()
    assert says(on_disk(folder)) == [
        f"WARNING {folder}/sites/{name}.conf line 3: snippets/routes.conf is not there, and not looked at"
        for name in "ab"
    ]


def test_files_that_include_each_other_end(folder: Path) -> None:
    folder.joinpath("snippets/routes.conf").write_text("include sites/a.conf;", encoding="utf-8")
    said = says(on_disk(folder))
    assert f"WARNING {folder}/snippets/routes.conf line 1: {folder}/sites/a.conf includes itself: nginx never ends" in (
        said[0].replace(" reading it", "")
    )


def test_files_that_include_many_end(folder: Path) -> None:
    for number in range(12):
        text = f"include {folder}/deep{number + 1}.conf;" * 3
        folder.joinpath(f"deep{number}.conf").write_text(text, encoding="utf-8")
    folder.joinpath("deep12.conf").write_text("a;", encoding="utf-8")
    assert "1000 files were" in says(on_disk(folder, "deep0.conf"))[0]


def test_one_that_is_not_nginx_is_named_and_the_rest_is_looked_at(folder: Path) -> None:
    folder.joinpath("sites/a.conf").write_text("server {", encoding="utf-8")
    whole = on_disk(folder)
    assert says(whole) == [f"WARNING line 3: {folder}/sites/a.conf is not looked at: line 1: a block has no end"]
    assert [server.names for server in servers(whole)] == [("b.example",)]


def test_binary_files_are_named(folder: Path) -> None:
    folder.joinpath("sites/a.conf").write_bytes(b"\0")
    assert says(on_disk(folder)) == [f"WARNING line 3: {folder}/sites/a.conf: is no configuration; it is not looked at"]


def test_a_given_file_that_is_not_nginx_ends_the_look() -> None:
    whole = read_whole({"a.conf": "server {"}, DumpedFiles({}))
    assert whole.blocks is None
    assert says(whole) == ["ERROR line 1: a block has no end"]


def test_what_is_not_included_stays_as_it_is() -> None:
    whole = read_whole({"a.conf": "a b;"}, DumpedFiles({}))
    assert whole.blocks == (Directive("a", ("b",), None, 1),)
