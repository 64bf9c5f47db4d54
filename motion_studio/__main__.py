"""`python -m motion_studio COMMAND`: what the studio does, from the shell."""

from __future__ import annotations

import signal
import sys

from motion_studio.cli.main import main

if __name__ == "__main__":
    # A polite kill ends a command as Ctrl-C does, so that it too leaves no half file.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
