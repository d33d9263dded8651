"""`python -m otpverify` is `otpverify`."""

import sys

from otpverify.cli import main

if __name__ == "__main__":
    sys.exit(main())
