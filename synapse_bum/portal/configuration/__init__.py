"""What is in force: the settings of our modules and those of Synapse that matter, without anything secret."""

from synapse_bum.portal.configuration.api import ConfigurationApi

__all__ = ["ConfigurationApi"]
