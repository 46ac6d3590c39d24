"""Changes, backups, restores, kills and rotations in any order: what was told last is so after a restore."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synapse_bum.after_restore import appending, writer
from synapse_bum.deletion import log_file
from synapse_bum.testing.toy_server import Killed, ToyServer

pytestmark = pytest.mark.any_synapse


def killed_behind_append(path: Path, lines: list[bytes], behind: log_file.Position) -> log_file.Position:
    appending.append(path, lines, behind)
    raise Killed


def killed_in_append(path: Path, lines: list[bytes], _behind: log_file.Position) -> log_file.Position:
    torn = path.exists() and path.read_bytes()[-1:] not in {b"", b"\n"}
    with path.open("ab") as file:
        file.write(b"\n" * torn + b"".join(lines)[: -len(lines[-1]) // 2])
    raise Killed


def killed_before_append(_path: Path, _lines: list[bytes], _behind: log_file.Position) -> log_file.Position:
    raise Killed


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("ab"), st.sampled_from(["open", "closed", None])),
        st.tuples(st.just("backup"), st.just(""), st.none()),
        st.tuples(st.just("restore"), st.sampled_from("012"), st.none()),
        st.tuples(st.just("kill"), st.sampled_from("012"), st.none()),
        st.tuples(st.just("turn"), st.just(""), st.none()),
        st.tuples(st.just("rotate"), st.just(""), st.none()),
    ),
    max_size=25,
)
KILLS = (killed_before_append, killed_in_append, killed_behind_append)


@given(STEPS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_what_was_told_last_is_so_after_a_restore(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str | None]]
) -> None:
    server = ToyServer(tmp_path_factory.mktemp("toy"))
    server.start()
    backups = [server.backup()]
    parts: list[bytes] = []
    for step, which, state in [*steps, ("turn", "", None), ("restore", "0", None)]:
        if step == "put":
            server.put(which, state)
        elif step == "turn":
            server.turn()
        elif step == "backup":
            # What begins and ends between two turns, with a backup in between, is never told.
            server.turn()
            backups.append(server.backup())
        elif step == "rotate":
            # A file without one whole line is not the part of anything.
            if server.log_path.exists() and b"\n" in server.log_path.read_bytes():
                parts.append(server.log_path.read_bytes())
                server.log_path.unlink()
                server.turn()
        elif step == "kill":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(writer, "append", KILLS[int(which)])
                with contextlib.suppress(Killed):
                    server.turn()
            before = server.things
            server.start()
            assert server.things == before
        else:
            # Only what was told can be known; a server tells within seconds.
            server.turn()
            told = server.things
            if parts:
                parts.append(server.log_path.read_bytes())
                server.log_path.write_bytes(b"".join(parts))
                parts.clear()
            server.restore(backups[int(which) % len(backups)])
            server.start()
            assert server.things == told
