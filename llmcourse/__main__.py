"""`python -m llmcourse` is the same as `llmcourse`."""

import sys

from llmcourse.cli import main

sys.exit(main())
