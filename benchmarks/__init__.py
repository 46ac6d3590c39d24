"""How fast this package is, as ratios against peers that do the same job on the same machine in the same run.

`python -m benchmarks [SUBJECT ...]` measures all subjects or some. Absolute times belong to the machine; what counts
are the ratios, because contenders take turns: whatever slows the machine down slows all of them.

| module | what it holds |
|---|---|
| `measuring` | taking turns, medians, ratios, goals: pure, apart from calling what is measured |
| `report` | sections as Markdown and JSON |
| `sample_files` | files that no scanner has seen before |
| `servers` | the real servers that are measured |
| `clamd_peers` | other ways to have clamd scan a file |
| `synapse_probe` | runs inside a real Synapse and times our own path there |
| `matrix_content_scanner` | Element's content scanner, the peer of ours |
| `scanner_services`, `http_connections` | a content scanner as its clients see it, and their HTTP |
| `attachments` | encrypted files that were uploaded beforehand |
| `memory_files` | what a process holds in memory without having it mapped |
| `content_scanner_burden` | what scans of large attachments do to other requests and to memory |
| `retention_server`, `retention_probe` | a homeserver on PostgreSQL with the retention module, a probe in it |
| `synthetic_rows` | millions of rows of the real schema |
| `retention_rows`, `retention_files`, `retention_events` | the parts of `retention` |
| `storage_probe`, `storage_rows` | the storage module with a probe in it, and the rows that it counts |
| `portal_server` | a homeserver with the portal and all other modules, and connections that measure it |
| `portal_rows`, `portal_records`, `row_terms` | 10,000 users, their rooms and files, and years of our own records |
| `gate`, `upload`, `content_scanner`, `retention`, `storage` | one subject each: `measure(effort)` yields sections |
| `portal` | one subject more |
"""
