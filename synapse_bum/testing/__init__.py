"""Test doubles and launchers of real servers, for whoever tests against or with this package.

| module | what it holds |
|---|---|
| `malware` | content to scan: EICAR in many wrappings, clean files, filler |
| `clamd` | `RealClamd`: a real clamd with a signature for EICAR |
| `fake_clamd` | `FakeClamd`: a clamd that misbehaves on command |
| `raw_clamd` | a plain clamd client: bytes out, bytes in |
| `synapse` | `RealSynapse`: a real homeserver on SQLite or PostgreSQL |
| `http_client` | `HttpClient` and `MatrixClient`: HTTP as a test sees it |
| `local_server` | `LocalServer`: a child process that never outlives its parent |

Nothing that runs in production imports this package; only tests, benchmarks and the demo do. It needs nothing beyond
the standard library and what Synapse brings.
"""
