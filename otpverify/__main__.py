"""`python -m otpverify` is `otpverify`."""

import sys

from otpverify.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
