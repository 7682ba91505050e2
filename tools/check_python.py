"""Tell whoever has an old Python what to do, before pip does so at length. Must itself run on any Python 3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this file is for those who have an older one)
    sys.exit(
        "This project needs Python 3.11 or newer, and {} is {}.{}. "
        "Install a newer one and name it: make PYTHON=python3.12 book".format(sys.executable, *sys.version_info[:2])
    )
