import importlib.util
from http import HTTPStatus
from typing import Any, ClassVar
from synapse_bum.deletion import Hold, put_hold
from synapse_bum.testing.deletion_case import DeletionTestCase, SERVER
from synapse_bum.rest import BASE

DAY_S = 86_400
DELETING = {"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {}}
PROMISED = {"messages": {"lifetime": "1y"}, "local_media": {"lifetime": "90d"}, "remote_media": {"lifetime": "14d"}}

class ClockCase(DeletionTestCase):
    server: ClassVar[dict[str, Any]] = {"modules": [DELETING, {"module": "synapse_bum.retention.RetentionModule", "config": PROMISED}]}

    def prepare(self, *a):
        super().prepare(*a)
        self.offset = 0
        clock = self.hs.get_clock()
        real = clock.time_msec
        real_s = clock.time
        clock.time = lambda: real_s() + self.offset / 1000

    def let_pass(self, days):
        self.reactor.advance(days * DAY_S)
        for _ in range(200):
            self.reactor.advance(0.5)

    def test_hold_under_clock_ahead(self):
        local = self.upload(b"local bytes")
        self.let_pass(60)
        now = self.hs.get_clock().time_msec()
        self.get_success(self.module.database.run("h", put_hold, Hold(self.alice, "court", now + 200 * DAY_S * 1000, self.admin, now)))
        self.let_pass(40)
        assert self.download(local).code == 200
        self.offset = 365 * DAY_S * 1000
        self.let_pass(0.1)
        code = self.download(local).code
        self.offset = 0
        print("ZZ hold under clock ahead:", code, [ (d.policy) for d in self.journal()])
        assert code == 200

    def test_uploaded_while_clock_behind(self):
        self.let_pass(1)
        self.offset = -365 * DAY_S * 1000
        self.let_pass(0.01)
        local = self.upload(b"local bytes")
        self.fetch("afar")
        self.let_pass(0.01)
        self.offset = 0
        self.let_pass(0.1)
        before=list(self.fetched)
        code, r = self.download(local).code, self.fetch("afar").code
        print("ZZ", before, self.fetched, [(d.policy, d.mxc, d.after) for d in self.journal()])
        print("ZZ uploaded while behind:", code, r)
        assert (code, r) == (200, 200)

    def test_uploaded_while_clock_ahead(self):
        self.let_pass(1)
        self.offset = 365 * DAY_S * 1000
        self.let_pass(0.01)
        local = self.upload(b"local bytes")
        self.let_pass(0.01)
        self.offset = 0
        self.let_pass(200)
        code = self.download(local).code
        status = self.make_request("GET", f"{BASE}/retention/status", {}, access_token=self.admin_token).json_body
        print("ZZ uploaded while ahead, 200 days:", code, status["local_media"])
        assert code == 404
