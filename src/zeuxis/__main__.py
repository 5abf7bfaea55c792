"""`python -m zeuxis` is `zeuxis`."""

import sys

from zeuxis.cli import main

sys.exit(main())
