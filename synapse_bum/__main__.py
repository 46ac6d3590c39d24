"""`python -m synapse_bum`: the same as the console script `synapse-bum`."""

import sys

from synapse_bum.cli import main

if __name__ == "__main__":
    sys.exit(main())
