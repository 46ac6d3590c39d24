"""Test doubles and launchers of real servers, for whoever tests against or with this package.

| module | what it holds |
|---|---|
| `malware` | content to scan: EICAR in many wrappings, clean files, filler |
| `clamd` | `RealClamd`: a real clamd with a signature for EICAR |
| `fake_clamd` | `FakeClamd`: a clamd that misbehaves on command |
| `raw_clamd` | a plain clamd client: bytes out, bytes in |
| `synapse` | `RealSynapse`: a real homeserver on SQLite or PostgreSQL |
| `federation` | `FederatingSynapse`: homeservers that federate over TLS, and their `CertificateAuthority` |
| `encrypted_client`, `nio_driver` | `EncryptedClient`: matrix-nio, a client with end-to-end encryption |
| `nginx` | `RealNginx`: an nginx with a site of the caller |
| `http_client` | `HttpClient` and `MatrixClient`: HTTP as a test sees it |
| `local_server` | `LocalServer`: a child process that never outlives its parent |
| `postgres` | `RealPostgres`: a PostgreSQL of its own |
| `c_icap` | `RealCIcap`: c-icap with virus_scan in front of a clamd |
| `icap_server`, `icap_case` | `FakeIcapServer`: an ICAP server that misbehaves on command, and its test case |
| `engines`, `scans` | `FakeEngine`: a scanner that answers from a script; short ways to ask an engine |
| `antivirus_case`, `rest_case` | homeservers in the test's own process, with the antivirus and with routes of a test |
| `listeners` | listener configuration for such homeservers |

Nothing that runs in production imports this package; only tests, benchmarks and the demo do. It needs nothing beyond
the standard library and what Synapse brings.
"""
