"""`python -m motion_studio COMMAND`: what the studio does, from the shell."""

from __future__ import annotations

import signal
import sys

from motion_studio.cli.main import main

if __name__ == "__main__":
    # A polite kill ends a command as Ctrl-C does, also where a shell started it in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
