"""Test doubles and launchers of real servers, for whoever tests against or with this package.

| module | what it holds |
|---|---|
| `malware` | content to scan: EICAR in many wrappings, clean files, filler |
| `clamd` | `RealClamd`: a real clamd with a signature for EICAR |
| `fake_clamd`, `fake_clamd_protocol` | `FakeClamd`: a clamd that misbehaves on command |
| `raw_clamd` | a plain clamd client: bytes out, bytes in |
| `synapse` | `RealSynapse`: a real homeserver on SQLite or PostgreSQL |
| `federation` | `FederatingSynapse`: homeservers that federate over TLS, and their `CertificateAuthority` |
| `workers`, `redis` | `SynapseStack`: a homeserver of several processes; `RealRedis` |
| `service_stack`, `stack_site`, `all_modules` | the whole service: two organisations, all modules, nginx |
| `stack_truth`, `mixed_load`, `room_talk` | what is really so in it; a load and what it promised; people in rooms |
| `stack_people`, `sent_files` | who uses it, and what each process answers them; the files that people send |
| `cut_line` | `CutLine`: the network between two servers, which can be cut |
| `container`, `container_stack` | a process on a read-only root without pip; such processes that run the bundle |
| `propagation` | how long a change of the partners takes to all of them |
| `federation_case` | such a homeserver with the federation module, and another server that signs requests to it |
| `federation_requests`, `signed_requests` | every way between two servers, and requests with a server's signature |
| `list_signer` | `ListSigner`: who signs lists of partners |
| `remote_media` | files of other servers for a homeserver in the test's own process |
| `encrypted_client`, `nio_driver` | `EncryptedClient`: matrix-nio, a client with end-to-end encryption |
| `browser`, `browser_driver`, `firefox` | a real Chromium, with axe-core to look for barriers, and a real Firefox |
| `portal_case` | the portal in the test's own process, and a browser that keeps cookies |
| `portal_window` | `PortalWindow`: a browser without a screen at the portal of a real homeserver |
| `portal_tour`, `page_shape` | every page of the portal at once, and whether two pages have the same elements |
| `portal_synapse_answers`, `portal_own_answers`, `portal_report_answers` | what the APIs answer on such a tour |
| `portal_server`, `portal_samples`, `pictures` | the portal on real servers, and what its pages show there |
| `fake_mas`, `mas_server` | a Matrix Authentication Service, for a portal in process and for real homeservers |
| `encrypted_files`, `pk_encryption` | encrypted attachments and request bodies as a client makes them |
| `content_scanner_client`, `content_scanner_case` | a client of the content scanner API, over HTTP and in process |
| `openapi`, `fuzzed_requests` | requests from an OpenAPI description, right and wrong |
| `http_load` | many requests at once, with the time of each |
| `nginx` | `RealNginx`: an nginx with a site of the caller |
| `s3_server` | `RealS3`: an S3 service, and Synapse's storage provider for it |
| `files_below` | the files of a folder in which a server works |
| `http_client` | `HttpClient` and `MatrixClient`: HTTP as a test sees it |
| `killed_command` | a command that is killed in the middle |
| `local_server` | `LocalServer`: a child process that never outlives its parent |
| `postgres` | `RealPostgres`: a PostgreSQL of its own |
| `postgres_process` | `PostgresProcess`: a connection as another process would have it |
| `c_icap` | `RealCIcap`: c-icap with virus_scan in front of a clamd |
| `icap_server`, `icap_case` | `FakeIcapServer`: an ICAP server that misbehaves on command, and its test case |
| `engines`, `scans` | `FakeEngine`: a scanner that answers from a script; short ways to ask an engine |
| `scanned_homeserver` | `ScannedHomeserver`: a real homeserver with the module beside a real clamd |
| `outside_view` | what can be seen of a homeserver from outside: metrics, database, memory |
| `antivirus_case`, `rest_case` | homeservers in the test's own process, with the antivirus and with routes of a test |
| `replay_case` | the same, whose tables are set back to a backup while its recovery log goes on |
| `room_case` | such a homeserver with a room, its administrator and two users who send files |
| `deletion_case`, `deleting_module` | such a homeserver with a module that deletes what it is told to |
| `deletion_log_case` | the same with a deletion log, set back to a backup |
| `local_media_case`, `remote_media_case` | such homeservers whose files are deleted by age |
| `purging_module`, `known_references` | a module that deletes files of other servers by age when told to |
| `message_case` | such a homeserver whose messages have the age that a test gives them |
| `runs_case`, `scripted_purger` | such a homeserver with runs over classes of data that are in memory |
| `retention_data`, `written_messages` | files and messages of any age, written as Synapse writes them |
| `ledger_case`, `storage_case` | such homeservers with an account of what is stored, and with the whole module |
| `media_tables` | Synapse's tables of media and ours in memory, for tests of SQL without a homeserver |
| `schema_dumps` | dumps of our tables as each version of them was, with rows |
| `own_tables` | the tables of all features, as their migrations make them |
| `documented_commands` | the commands that a page in Markdown shows |
| `stored_sums` | what is stored, summed up row by row: the slow truth |
| `small_homeserver` | a database of Synapse's shape with a media store, for commands; no Synapse runs |
| `offboard_case` | the folder of a homeserver that was used and stopped, and the order to end its contract |
| `orphan_case` | such a homeserver whose files and rows may be lost to each other |
| `claims_corpus`, `identity_tokens` | what identity providers say of people, and what each must get |
| `sso_case`, `login_case` | such homeservers whose people log in over OpenID Connect, and what their logins change |
| `scim_case`, `scim_bodies` | such a homeserver with SCIM, and requests as identity providers send them |
| `keycloak`, `keycloak_realm` | `RealKeycloak`: a real Keycloak with one realm |
| `oidc_provider` | `RealOidcProvider`: the npm package oidc-provider with the tokens of Entra ID, Okta and Keycloak |
| `small_identity_provider`, `openid_exchange`, `token_signing` | a small OpenID provider, for the demo |
| `signed_in`, `scim_homeserver` | real homeservers with identity providers, and with SCIM |
| `sso_browser` | `SsoBrowser`: a browser without a screen, for a whole login |
| `certificates` | certificates in files, and whom they make servers trust |
| `xrechnung_rules` | the published rules for an XRechnung as a judge |
| `availability_case` | a homeserver in the test's own process with the availability module |
| `backup_case` | a homeserver with a message and a file, and its backups |
| `berlin` | moments in Germany, as people write them |
| `fake_chat` | `FakeChat`: a homeserver for the probe alone, that misbehaves on command |
| `running_probe` | `RunningProbe`: `synapse-bum probe` beside a real homeserver |
| `server_database` | `ServerDatabase`: the database of a homeserver from outside |
| `database_backup` | `DatabaseBackup`: a backup of it, and setting the homeserver back to it |
| `toy_server` | `ToyServer`: a table and the recovery log beside it, without Synapse around them |
| `provisioned` | `ProvisionedHomeserver`: the processes of a homeserver that was provisioned, started as its units do |
| `fake_mailbox` | `FakeMailbox`: a mail server that keeps what it is given |
| `dns_answers` | what a DNS server answers to a question for SRV records, as bytes |
| `outside_world` | `TlsWebServer` and `SrvServer`: the internet as `synapse-bum check --online` asks it |
| `listeners` | listener configuration for such homeservers |
| `quick_homeservers` | such homeservers made in half the time, by what they have in common |

Nothing that runs in production imports this package; only tests, benchmarks and the demo do. It needs nothing beyond
the standard library and what Synapse brings.
"""
