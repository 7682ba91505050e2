"""Say what to do if Python is too old, before pip does so at length. This file must run on any Python 3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this file is for older versions)
    sys.exit(
        "This project needs Python 3.11 or newer, but {} is {}.{}. "
        "Install a newer one and tell make: make PYTHON=python3.12 book".format(sys.executable, *sys.version_info[:2])
    )
