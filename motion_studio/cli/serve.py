"""`serve`: the studio in a browser."""

from __future__ import annotations

import argparse

from motion_studio.ui import app


def serve(arguments: argparse.Namespace) -> None:
    """Open the studio and keep it open until interrupted."""
    app.serve(arguments.host, arguments.port, arguments.data, arguments.base, arguments.device)
