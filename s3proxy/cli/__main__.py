"""`python -m s3proxy.cli` is `ccs`."""

import os

from s3proxy.cli.main import main

if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "100")
    main()
