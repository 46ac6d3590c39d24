"""What an ICAP server's reply means: an infection is never missed, and nothing that could be one is clean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.engines import icap_verdict
from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineError,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
)
from synapse_bum.antivirus.engines.icap_protocol import Headers, IcapAddress, ReplyHead
from synapse_bum.antivirus.engines.icap_verdict import NOT_ASKED_FOR, Reply, ServiceOptions

INFECTED = Headers((("x-infection-found", "Type=0; Resolution=2; Threat=Eicar;"),))
ENGINELESS = Headers((("istag", '"CI0001-1B2M2Y8AsgTpgAmY7PhCfgAA"'),))


def headers(**fields: str) -> Headers:
    return Headers(tuple((name.replace("_", "-"), value) for name, value in fields.items()))


def verdict(
    status: int,
    fields: Headers | None = None,
    *,
    http_status: int | None = None,
    taken: bool = True,
    same: bool = False,
) -> object:
    return icap_verdict.verdict(Reply(status, fields or Headers(), http_status), file_taken=taken, same_bytes=same)


def test_204_about_a_file_that_was_taken_is_clean() -> None:
    assert verdict(204, headers(istag='"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA"')) == Clean()


def test_204_before_the_server_had_the_file_is_no_statement_about_it() -> None:
    assert verdict(204, taken=False) == NOT_ASKED_FOR
    assert isinstance(NOT_ASKED_FOR, NotFullyScanned)


def test_the_same_bytes_back_are_clean_only_when_proven_and_taken() -> None:
    assert verdict(200, http_status=200, same=True) == Clean()
    assert verdict(200, http_status=200, same=True, taken=False) == NOT_ASKED_FOR


@pytest.mark.parametrize(("http_status", "same"), [(200, False), (403, False), (403, True), (None, True), (302, False)])
def test_a_change_without_a_reason_is_not_understood(http_status: int | None, same: bool) -> None:  # noqa: FBT001
    result = verdict(200, http_status=http_status, same=same)
    assert isinstance(result, Failed)
    assert result.reason is FailureReason.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (100, FailureReason.NOT_UNDERSTOOD),
        (101, FailureReason.NOT_UNDERSTOOD),
        (201, FailureReason.NOT_UNDERSTOOD),
        (206, FailureReason.NOT_UNDERSTOOD),
        (302, FailureReason.NOT_UNDERSTOOD),
        (400, FailureReason.ENGINE_ERROR),
        (403, FailureReason.ENGINE_ERROR),
        (404, FailureReason.ENGINE_ERROR),
        (405, FailureReason.ENGINE_ERROR),
        (407, FailureReason.ENGINE_ERROR),
        (408, FailureReason.ENGINE_ERROR),
        (413, FailureReason.TOO_LARGE),
        (500, FailureReason.ENGINE_ERROR),
        (501, FailureReason.ENGINE_ERROR),
        (503, FailureReason.BUSY),
        (505, FailureReason.ENGINE_ERROR),
        (600, FailureReason.NOT_UNDERSTOOD),
        (999, FailureReason.NOT_UNDERSTOOD),
    ],
)
def test_every_other_status_is_a_failure_of_its_kind(status: int, reason: FailureReason) -> None:
    result = verdict(status, http_status=200, same=True)
    assert isinstance(result, Failed)
    assert result.reason is reason
    assert str(status) in result.detail


@pytest.mark.parametrize("status", [200, 201, 204, 403, 500, 503])
def test_a_named_infection_counts_whatever_the_status(status: int) -> None:
    assert verdict(status, INFECTED) == Infected("Eicar")
    assert verdict(status, headers(x_virus_id="Eicar"), taken=False, http_status=200, same=True) == Infected("Eicar")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        # As c-icap 0.5.10 with virus_scan 0.5.5 sends it.
        (
            {
                "x_infection_found": "Type=0; Resolution=2; Threat=Eicar-Test-Signature.UNOFFICIAL;",
                "x_violations_found": "1\n-\nEicar-Test-Signature.UNOFFICIAL\n0\n0",
            },
            Infected("Eicar-Test-Signature.UNOFFICIAL"),
        ),
        (
            {"x_infection_found": "Type=0; Resolution=2; Threat=Heuristics.Limits.Exceeded.MaxFileSize;"},
            NotFullyScanned("Heuristics.Limits.Exceeded.MaxFileSize"),
        ),
        ({"x_infection_found": "type=0;resolution=1;threat=Eicar"}, Infected("Eicar")),
        ({"x_infection_found": "Type=1; Resolution=2; Threat=Policy;"}, NotFullyScanned("Policy")),
        (
            {"x_infection_found": "Type=2; Resolution=0; Threat=Encrypted Archive;"},
            NotFullyScanned("Encrypted Archive"),
        ),
        ({"x_infection_found": "Type=7; Resolution=2; Threat=Eicar;"}, Infected("Eicar")),
        ({"x_infection_found": "Eicar"}, Infected("Eicar")),
        ({"x_infection_found": "Type=0; Resolution=2; Threat=;"}, Infected("Type=0; Resolution=2; Threat=;")),
        ({"x_infection_found": ""}, Infected("unnamed")),
        ({"x_virus_id": "Eicar"}, Infected("Eicar")),
        ({"x_virus_id": "Heuristics.Limits.Exceeded"}, NotFullyScanned("Heuristics.Limits.Exceeded")),
        ({"x_virus_id": ""}, Infected("unnamed")),
        ({"x_virus_id": "no threats"}, None),
        ({"x_virus_id": "no threats", "x_response_info": "blocked"}, NotFullyScanned("blocked")),
        ({"x_violations_found": "2\na.txt\nEicar\n1\n2\nb.txt\nOther\n1\n2"}, Infected("Eicar")),
        (
            {"x_violations_found": "1\n-\nHeuristics.Limits.Exceeded\n0\n0"},
            NotFullyScanned("Heuristics.Limits.Exceeded"),
        ),
        ({"x_violations_found": "1"}, Infected("unnamed")),
        ({"x_violations_found": "0"}, None),
        ({"x_violations_found": "-"}, None),
        ({"x_response_info": "Blocked", "x_response_desc": "Encrypted"}, NotFullyScanned("Encrypted")),
        ({"x_response_info": "BLOCK"}, NotFullyScanned("blocked")),
        ({"x_response_info": "Allowed"}, None),
        ({"server": "C-ICAP/0.5.10"}, None),
        ({}, None),
    ],
)
def test_a_threat_is_named_as_the_server_names_it(fields: dict[str, str], found: object) -> None:
    assert icap_verdict.named_threat(headers(**fields)) == found


def test_a_name_can_not_break_a_log_line() -> None:
    found = icap_verdict.named_threat(headers(x_virus_id="a\x1b[31m\n\xe4" + 999 * "b"))
    assert isinstance(found, Infected)
    assert found.signature.isascii()
    assert found.signature.isprintable()
    assert len(found.signature) < 300


def test_c_icap_without_a_scanner_passes_nothing() -> None:
    for same in (True, False):
        for status in (200, 204):
            assert not isinstance(verdict(status, ENGINELESS, http_status=200, same=same), Clean)
    result = verdict(204, ENGINELESS)
    assert isinstance(result, Failed)
    assert result.reason is FailureReason.ENGINE_ERROR


@given(
    status=st.integers(100, 999),
    http_status=st.none() | st.sampled_from([200, 403]),
    taken=st.booleans(),
    same=st.booleans(),
    threat=st.booleans(),
    engineless=st.booleans(),
)
def test_only_two_replies_are_clean(
    *, status: int, http_status: int | None, taken: bool, same: bool, threat: bool, engineless: bool
) -> None:
    fields = (INFECTED.fields if threat else ()) + (ENGINELESS.fields if engineless else ())
    reply = Reply(status, Headers(fields), http_status)
    expected = taken and not threat and not engineless and (status == 204 or (status == 200 == http_status and same))
    assert isinstance(icap_verdict.verdict(reply, file_taken=taken, same_bytes=same), Clean) == expected


def options_reply(*, status: int = 200, methods: str = "RESPMOD", **fields: str) -> ReplyHead:
    return ReplyHead(status, headers(methods=methods, **fields), None)


def test_options_of_c_icap_are_read() -> None:
    # As c-icap 0.5.10 sends it.
    options = icap_verdict.service_options(
        options_reply(
            methods="RESPMOD, REQMOD",
            service="C-ICAP/0.5.10 server - Antivirus service",
            istag='"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA"',
            transfer_preview="*",
            options_ttl="3600",
            preview="1024",
            allow="204",
        )
    )
    assert options == ServiceOptions(
        service="C-ICAP/0.5.10 server - Antivirus service",
        istag="CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA",
        preview=1024,
        max_connections=None,
        lifetime_s=3600.0,
    )
    assert options.version == EngineVersion(
        "C-ICAP/0.5.10 server - Antivirus service", "CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA"
    )


def test_options_that_say_little_get_careful_values() -> None:
    options = icap_verdict.service_options(options_reply(server="Some/1", max_connections="0", preview="99999999"))
    assert options == ServiceOptions("Some/1", None, icap_verdict.MAX_PREVIEW_BYTES, 1, icap_verdict.MAX_OPTIONS_AGE_S)
    assert (
        icap_verdict.service_options(options_reply(options_ttl="999999")).lifetime_s == icap_verdict.MAX_OPTIONS_AGE_S
    )
    assert icap_verdict.service_options(options_reply(options_ttl="60")).lifetime_s == 60.0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (options_reply(status=404), FailureReason.ENGINE_ERROR),
        (options_reply(status=503), FailureReason.BUSY),
        (options_reply(status=204), FailureReason.NOT_UNDERSTOOD),
        (options_reply(methods="REQMOD"), FailureReason.ENGINE_ERROR),
        (options_reply(methods="NORESPMODX"), FailureReason.ENGINE_ERROR),
        (options_reply(preview="-1"), FailureReason.NOT_UNDERSTOOD),
        (options_reply(preview="many"), FailureReason.NOT_UNDERSTOOD),
        (options_reply(max_connections="1e3"), FailureReason.NOT_UNDERSTOOD),
        (options_reply(options_ttl=""), FailureReason.NOT_UNDERSTOOD),
        (options_reply(istag=ENGINELESS.fields[0][1]), FailureReason.ENGINE_ERROR),
    ],
)
def test_a_service_that_can_not_scan_is_refused(reply: ReplyHead, reason: FailureReason) -> None:
    with pytest.raises(EngineError) as caught:
        icap_verdict.service_options(reply)
    assert caught.value.reason is reason


def service(preview: int | None, name: str = "C-ICAP/0.5.10 server") -> ServiceOptions:
    return ServiceOptions(name, None, preview, None, 60.0)


@pytest.mark.parametrize(
    ("size", "offered", "sent"),
    [(5000, 1024, 1024), (1025, 1024, 1024), (1024, 1024, 1023), (68, 1024, 67), (1, 1024, 0), (0, 1024, None)],
)
def test_at_least_one_byte_is_kept_back_from_the_preview(size: int, offered: int, sent: int | None) -> None:
    assert icap_verdict.preview_length(size, service(offered)) == sent


def test_a_preview_is_sent_as_the_server_wants_it() -> None:
    assert icap_verdict.preview_length(5000, service(0)) == 0
    assert icap_verdict.preview_length(5000, service(None)) is None


def test_c_icap_is_told_to_scan_everything_unless_the_operator_said_otherwise() -> None:
    plain, own = IcapAddress("h", 1344, "s"), IcapAddress("h", 1344, "s", "mode=vir")
    arguments = icap_verdict.scan_address(plain, service(1024)).arguments
    assert arguments is not None
    assert set(arguments.split("&")) == {"allow204=on", "force=on", "sizelimit=off", "mode=simple"}
    assert icap_verdict.scan_address(own, service(1024)) == own
    assert icap_verdict.scan_address(plain, service(1024, "Other ICAP/2")) == plain
