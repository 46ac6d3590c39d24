"""The antivirus tables. Queries stand with the feature that asks them; each says which index it uses."""

from synapse_bum.database import Component, Migration

ANTIVIRUS = Component(
    "antivirus",
    (
        Migration.both(
            1,
            # One row for each stored file that was looked at or has to be. `scanned_ts` is null while unscanned.
            "CREATE TABLE synapse_bum_antivirus_verdicts (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " state TEXT NOT NULL, signature_version TEXT, scanned_ts BIGINT, noted_ts BIGINT NOT NULL,"
            " attempts INTEGER NOT NULL DEFAULT 0, next_try_ts BIGINT NOT NULL DEFAULT 0,"
            " PRIMARY KEY (server_name, media_id))",
            "CREATE INDEX synapse_bum_antivirus_unscanned ON synapse_bum_antivirus_verdicts"
            " (next_try_ts) WHERE state = 'unscanned'",
            "CREATE TABLE synapse_bum_antivirus_findings (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " sha256 TEXT NOT NULL, signature TEXT NOT NULL, state TEXT NOT NULL, source TEXT NOT NULL,"
            " uploader TEXT, reporter TEXT, found_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id))",
            "CREATE INDEX synapse_bum_antivirus_findings_ts ON synapse_bum_antivirus_findings"
            " (found_ts, server_name, media_id)",
            "CREATE INDEX synapse_bum_antivirus_findings_sha256 ON synapse_bum_antivirus_findings (sha256)",
            # Files after which an engine was lost or timed out.
            "CREATE TABLE synapse_bum_antivirus_suspects (sha256 TEXT NOT NULL PRIMARY KEY,"
            " size_bytes BIGINT NOT NULL, strikes INTEGER NOT NULL, last_ts BIGINT NOT NULL)",
            # Uploads that are being blocked from their first moment: see `blocking.py`.
            "CREATE TABLE synapse_bum_antivirus_births (media_id TEXT NOT NULL PRIMARY KEY,"
            " created_ts BIGINT NOT NULL)",
            # Remote files that are being scanned: see `arrivals.py`.
            "CREATE TABLE synapse_bum_antivirus_arrivals (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " sha256 TEXT, since_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id))",
            "CREATE TABLE synapse_bum_antivirus_totals (result TEXT NOT NULL PRIMARY KEY, files BIGINT NOT NULL)",
            # What the process with the scanner last knew of it, for processes without one.
            "CREATE TABLE synapse_bum_antivirus_scanner (instance TEXT NOT NULL PRIMARY KEY, status TEXT NOT NULL,"
            " updated_ts BIGINT NOT NULL)",
            # How far the walk over files without a verdict has come, for `local` and `remote` media.
            "CREATE TABLE synapse_bum_antivirus_walks (kind TEXT NOT NULL PRIMARY KEY, server_name TEXT NOT NULL,"
            " media_id TEXT NOT NULL, finished_ts BIGINT)",
        ),
    ),
)
