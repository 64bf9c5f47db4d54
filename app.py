"""The studio's door, on a workstation and in a Hugging Face Space: arguments, and the page is open."""

from __future__ import annotations

import argparse
import os

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
    parser.add_argument("--open", action="store_true", help="open a browser too")
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port, arguments.data, arguments.open)


if __name__ == "__main__":
    main()
