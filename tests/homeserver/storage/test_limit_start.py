"""The start of the limit in a Synapse that is not as it has to be."""

from unittest.mock import patch

from tests.unittest import HomeserverTestCase

from synapse_bum.database import Database
from synapse_bum.homeserver import requirements
from synapse_bum.storage.limit import Limits, UploadLimit


class OtherSynapseTests(HomeserverTestCase):
    """A Synapse that stores uploads in another way."""

    def test_the_start_stops_with_a_sentence(self) -> None:
        api = self.hs.get_module_api()
        limit = UploadLimit(api, Database(api), Limits(1000, 600, 1_000_000_000), lambda *_: None)
        repository = type("MediaRepository", (), {})()
        with (
            patch.object(self.hs, "get_media_repository", return_value=repository),
            self.assertRaisesRegex(requirements.UnsupportedSynapseError, "create_or_update_content.*uploads"),
        ):
            limit.start()
