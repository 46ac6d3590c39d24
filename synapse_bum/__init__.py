"""Synapse modules that make a BundesMessenger homeserver a managed service."""

from pkgutil import extend_path

# In containers without pip the package lies in two archives on PYTHONPATH, because a ConfigMap takes no more than 1 MiB
# (README, "Install").
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
