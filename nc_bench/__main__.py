"""`python -m nc_bench`: the same as `nc-bench`."""

import sys

from nc_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
