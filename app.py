"""The studio's door, on a workstation and in a Hugging Face Space: arguments, and the page is open."""

from __future__ import annotations

import argparse
import os

from motion_studio.errors import MotionStudioError
from motion_studio.studio.studio import DEFAULT_BASE
from motion_studio.ui.app import serve


def main() -> None:
    """Open the studio; a Space says by its environment where to listen."""
    parser = argparse.ArgumentParser(description="Open Motion Studio in a browser.")
    environ = os.environ
    parser.add_argument("--host", default=environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="%(default)s")
    parser.add_argument(
        "--port", type=int, default=environ.get("GRADIO_SERVER_PORT", 7860), help="%(default)s"
    )
    parser.add_argument("--data", help="folder of your motions and renders (~/.motion-studio)")
    parser.add_argument(
        "--base", default=DEFAULT_BASE, help="base model: see `python -m motion_studio bases`"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (the best there is)")
    parser.add_argument("--open", dest="browser", action="store_true", help="open a browser too")
    arguments = parser.parse_args()
    try:
        serve(**vars(arguments))
    except MotionStudioError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
