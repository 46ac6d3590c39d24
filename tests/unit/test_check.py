"""`synapse-bum check`: what it says of a configuration."""

from pathlib import Path

import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.check import scanner

ANTIVIRUS = "synapse_bum.antivirus.AntivirusModule"
CLIENTS = {"port": 8008, "type": "http", "resources": [{"names": ["client"]}]}


def checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *files: object, offline: bool = True
) -> tuple[int, str]:
    arguments = ["check", *(["--offline"] if offline else [])]
    for number, content in enumerate(files):
        path = tmp_path / f"{number}.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        arguments += ["-c", str(path)]
    status = main(arguments)
    return status, "".join(capsys.readouterr())


def with_module(listeners: object = (CLIENTS,), **config: object) -> dict[str, object]:
    modules = [{"module": ANTIVIRUS, "config": config}]
    return {"listeners": list(listeners), "room_list_publication_rules": [], "modules": modules}  # type: ignore[call-overload]


def test_it_warns_while_encrypted_files_are_delivered_unscanned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "encrypted files of clients without scanner support are delivered unscanned"
    status, said = checked(tmp_path, capsys, with_module())
    assert status == 0
    assert sentence in said
    status, said = checked(tmp_path, capsys, with_module(require_scan=True, admin_hosts=["admin.example"]))
    assert (status, said) == (0, "")


def test_errors_name_the_key_and_end_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = checked(tmp_path, capsys, with_module(require_scans=True))
    assert status == 1
    assert "ERROR" in said
    assert "require_scan" in said
    status, said = checked(tmp_path, capsys, {"modules": [{"module": "synapse_bum.antivirus.AntivirusModul"}]})
    assert status == 1
    assert f"did you mean {ANTIVIRUS}?" in said
    assert checked(tmp_path, capsys, {})[0] == 1


def test_contradictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = checked(tmp_path, capsys, with_module(require_scan=True, content_scanner={"enabled": False}))
    assert status == 1
    assert "content_scanner.enabled" in said
    lists = {"allowed_mimetypes": ["image/png"], "blocked_mimetypes": ["image/png"]}
    status, said = checked(tmp_path, capsys, with_module(content_scanner=lists))
    assert status == 1
    assert "allowed_mimetypes" in said


def test_a_later_file_replaces_the_modules_of_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = checked(tmp_path, capsys, with_module(), {"modules": []})
    assert status == 1
    assert "none of synapse_bum" in said


@pytest.mark.parametrize("content", ["a: [", "- 1", "\ta: 1"])
def test_what_is_no_yaml(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = checked(tmp_path, capsys, content)
    assert status == 1
    assert "0.yaml" in said


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", str(tmp_path / "nothing.yaml")]) == 1
    assert "nothing.yaml: No such file" in capsys.readouterr().err


def test_a_combined_listener_is_the_proxys_to_guard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    combined = {"port": 8448, "type": "http", "resources": [{"names": ["client", "federation"]}]}
    _status, said = checked(tmp_path, capsys, with_module(listeners=[combined]))
    assert "listener 8448 serves clients and federation" in said


def test_a_scanner_that_is_away_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = with_module(scanner={"address": f"unix:{tmp_path}/nothing.ctl"})
    status, said = checked(tmp_path, capsys, config, offline=False)
    assert status == 1
    assert "does not answer" in said


def test_without_the_independent_client_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "_independent_client", lambda: None)
    status, said = checked(tmp_path, capsys, with_module(), offline=False)
    assert status == 0
    assert "the package `clamd` is not installed here" in said


def test_what_does_not_fit_synapses_own_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _status, said = checked(tmp_path, capsys, {"max_upload_size": "500M"} | with_module())
    assert "files between the two are refused" in said
    secret = tmp_path / "secret"
    secret.write_text("too short")
    for path in (secret, tmp_path / "nothing"):
        status, said = checked(tmp_path, capsys, with_module(content_scanner={"request_secret_path": str(path)}))
        assert status == 1
        assert "config.content_scanner.request_secret_path" in said


def test_a_log_that_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.yaml"
    log.write_text("version: 1\n")
    _status, said = checked(tmp_path, capsys, {"log_config": str(log)} | with_module())
    assert "disable_existing_loggers: false" in said
    log.write_text("version: 1\ndisable_existing_loggers: false\n")
    _status, said = checked(tmp_path, capsys, {"log_config": str(log)} | with_module())
    assert "disable_existing_loggers" not in said
    status, said = checked(tmp_path, capsys, {"log_config": str(tmp_path / "nothing.yaml")} | with_module())
    assert status == 1
    assert "No such file" in said
