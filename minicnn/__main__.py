"""`python -m minicnn`: the `minicnn` command, where the shell does not find it."""

import sys

from minicnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
