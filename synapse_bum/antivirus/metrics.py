"""Metrics of the antivirus, in Synapse's own /_synapse/metrics. No user, room or file in a label."""

from prometheus_client import Counter, Gauge, Histogram

SCANS = Counter(
    "synapse_bum_antivirus_scans",
    "Files that were decided about",
    ["result", "source"],
)
SCAN_SECONDS = Histogram(
    "synapse_bum_antivirus_scan_seconds",
    "Time from asking for a scan to its verdict, waiting for a connection included",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
SCANNED_BYTES = Counter("synapse_bum_antivirus_scanned_bytes", "Bytes of files that got a verdict")
FINDINGS = Counter("synapse_bum_antivirus_findings", "Infected files", ["state", "source"])
SCANS_IN_PROGRESS = Gauge("synapse_bum_antivirus_queue_length", "Scans asked for and not answered yet")
UNSCANNED = Gauge("synapse_bum_antivirus_unscanned_files", "Stored files that wait for their first scan")
STILL_SERVED = Gauge("synapse_bum_antivirus_findings_still_served", "Infected files that could not be blocked")
STILL_SERVED.set(float("nan"))
SCANNER_UP = Gauge("synapse_bum_antivirus_scanner_up", "Whether a scanner answers and finds the EICAR test file")
EFFECTIVE_MAX_SCAN = Gauge(
    "synapse_bum_antivirus_effective_max_scan_bytes", "Largest file that a scanner was proven to scan to its end"
)
SIGNATURE_AGE = Gauge(
    "synapse_bum_antivirus_signature_age_seconds", "Age of the signature base; -1 when the scanner does not tell"
)
SELF_TEST = Gauge(
    "synapse_bum_antivirus_self_test",
    "1 for how the worst scanner took a probe of the self-test, 0 for the other ways",
    ["probe", "result"],
)
for _gauge in (UNSCANNED, SCANNER_UP, EFFECTIVE_MAX_SCAN, SIGNATURE_AGE):
    # A process that does not talk to scanners knows nothing of them; 0 would be a statement.
    _gauge.set(float("nan"))
SUSPECTS = Counter("synapse_bum_antivirus_engine_losses", "Scans after which an engine was lost or timed out")
VERDICTS_LOST = Counter(
    "synapse_bum_antivirus_verdicts_dropped",
    "Clean verdicts that could not be written down; their files are scanned again",
)
CONTENT_SCANNER_VERDICTS = Counter(
    "synapse_bum_antivirus_content_scanner_verdicts",
    "Answers to clients about a file: by a verdict that was known, or by a scan",
    ["by"],
)
PLAINTEXT_BYTES = Gauge(
    "synapse_bum_antivirus_plaintext_bytes",
    "Decrypted files in memory now: part of the cgroup's memory, not of the RSS",
)
HELD = Gauge("synapse_bum_antivirus_held_files", "Files that are held until a scan with their key")
HELD.set(float("nan"))
RESCAN_PAUSED = Gauge(
    "synapse_bum_antivirus_rescan_paused", "1 while a rescan waits for an operator because of a suspicious signature"
)
RESCAN_PAUSED.set(float("nan"))
FORGOTTEN = Counter(
    "synapse_bum_antivirus_forgotten",
    "Rows about files that are gone which were removed, or in which nobody is named any more",
    ["what"],
)
