"""Runs one command and turns how it ends into an exit code and at most one line of error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from motion_studio.cli.parser import build_parser, joined
from motion_studio.errors import Cancelled, MotionStudioError
from motion_studio.studio.memory import within_memory

BAD_INPUT = 2
INTERRUPTED = 130
UNREAD = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run `motion_studio ARGV`; returns 0, 2 for bad input (one line on stderr), 130 when interrupted.

    141 where nobody reads on what is printed, as after `| head`, without a word.
    """
    try:
        arguments = build_parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
        with within_memory():
            arguments.run(arguments)
        sys.stdout.flush()
    except (KeyboardInterrupt, Cancelled):
        return _end("cancelled", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest is flushed at the end
        return UNREAD
    except (MotionStudioError, OSError) as error:
        return _end(f"error: {' '.join(str(error).split())}", BAD_INPUT)
    return 0


def _end(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code
