"""Steps about the storage accounting: what is stored, by whom, and what the month costs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing import malware

_RECOUNT_SECONDS: Final = 30.0
_COMMAND_SECONDS: Final = 120.0
"""Its first start translates all of it, which takes half a minute on a busy machine."""
_SIZE: Final = 500_000
_PICTURE_SIDE: Final = 400
_ZONE: Final = ZoneInfo("Europe/Berlin")
"""The default of the module: where its months begin."""

_PUBLISHED_TOTAL: Final = "2896.00"
_MINIMUM_USERS: Final = 50
_USER_PRICE: Final = Decimal("2.50")
_SERVICE_PRICE: Final = Decimal("1.00")


def _upload(stage: Stage, content: bytes, content_type: str = "application/octet-stream") -> str:
    """Upload a file as Alice; returns its mxc URI."""
    answer = stage.alice.upload(content, content_type)
    require(answer.status == HTTPStatus.OK, f"The upload was answered with HTTP {answer.status}, not with 200.")
    mxc: str = answer.json["content_uri"]
    return mxc


def _recount(stage: Stage) -> dict[str, Any]:
    """Have everything counted anew, and insist that it is done."""
    answer = stage.admin.post(f"{API}/storage/recount", {})
    require(answer.status == HTTPStatus.ACCEPTED, f"The recount was answered with HTTP {answer.status}, not with 202.")
    recount: dict[str, Any] = {}

    def is_over() -> bool:
        recount.update(stage.read(f"storage/recount/{answer.json['run_id']}"))
        return recount["finished_ts"] is not None

    wait_until(is_over, _RECOUNT_SECONDS, "The recount was not over")
    require(recount["state"] == "done", f"The recount is {recount['state']}, not done: {recount['error']}.")
    return recount


def _on_disk(stage: Stage) -> int:
    """Bytes of all files in the media store."""
    return sum(path.stat().st_size for path in stage.stored_files())


def _checked_usage(stage: Stage) -> dict[str, Any]:
    """Insist that the ledger says what a walk over the media store says."""
    usage, walked = stage.read("storage/usage"), _on_disk(stage)
    require(usage["used_bytes"] == walked, f"The ledger says {usage['used_bytes']:,} bytes, the disk {walked:,}.")
    return usage


def _counted(stage: Stage) -> Iterator[str]:
    picture = _upload(stage, malware.png(_PICTURE_SIDE, _PICTURE_SIDE), "image/png")
    require(stage.alice.thumbnail(picture).status == HTTPStatus.OK, "The picture has no thumbnail.")
    _recount(stage)
    before = _checked_usage(stage)
    yield (
        f"The ledger says {before['local_bytes']:,} bytes of files and {before['thumbnail_bytes']:,} of thumbnails."
        f" A walk over the media folder says {before['used_bytes']:,} bytes: the same."
    )
    _upload(stage, malware.unique_bytes(_SIZE))
    _recount(stage)
    after = _checked_usage(stage)
    added = after["used_bytes"] - before["used_bytes"]
    require(added == _SIZE, f"The ledger has grown by {added:,} bytes, not by {_SIZE:,}.")
    yield f"Alice uploads {_SIZE:,} bytes more. The ledger has grown by just that, and equals the disk again."
    users = stage.read("storage/users?order_by=used_bytes&dir=b")["users"]
    listed = sum(user["used_bytes"] for user in users)
    require(listed == after["used_bytes"], f"The users have {listed:,} bytes together.")
    yield f"The list of users shows whose they are: {users[0]['user_id']} has {users[0]['used_bytes']:,} bytes."
    yield (
        f"The {after['users']} registered users bring {after['included_bytes']:,} bytes to the pool;"
        f" {after['free_bytes']:,} are free."
    )


def _invoiced(stage: Stage) -> Iterator[str]:
    arguments = ["invoice", "--users", "960", "--storage-gb", "1000"]
    command = subprocess.run(
        [sys.executable, "-m", "synapse_bum", *arguments],
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        timeout=_COMMAND_SECONDS,
    )
    require(command.returncode == 0, f"The command ended with {command.returncode}: {command.stderr.strip()}")
    *lines, total = command.stdout.splitlines()
    amounts = [line.rpartition("= ")[2].strip() for line in lines]
    require(total.endswith(f" {_PUBLISHED_TOTAL}"), f"The command says `{total}`, not {_PUBLISHED_TOTAL}.")
    yield f"`synapse-bum {' '.join(arguments)}`: {' + '.join(amounts)} = {_PUBLISHED_TOTAL} EUR, the published example."
    _recount(stage)
    month = datetime.now(_ZONE).strftime("%Y-%m")
    invoice = stage.read(f"storage/invoice?month={month}")
    users = invoice["users"]
    due = max(users, _MINIMUM_USERS) * _USER_PRICE + users * _SERVICE_PRICE
    require(invoice["preliminary"] and invoice["total"] == f"{due:.2f}", f"The invoice says {invoice['total']} EUR.")
    yield (
        f"The running month of this server, preliminary: {users} users, {invoice['billed_users']} billed as the price"
        f" list has it, {invoice['total']} EUR net."
    )
    text = stage.admin.get(f"{API}/storage/invoice", month=month, format="text")
    said = text.body.decode()
    shown = re.search(r"^Summe netto +(.+)$", said, re.MULTILINE)
    require("VORLÄUFIG" in said and shown is not None, "The text of the invoice is not as it should be.")
    yield "The same comes as text to be mailed, as CSV, and after the month as XRechnung."


STEPS: Final = (
    Step("The pool is counted to the byte", "what is billed is what is stored", _counted),
    Step("The invoice of the price list comes out", "anybody can calculate an invoice again", _invoiced),
)
