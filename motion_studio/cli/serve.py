"""`serve`: the studio in a browser."""

from __future__ import annotations

import argparse


def serve(arguments: argparse.Namespace) -> None:
    """Open the studio and keep it open until interrupted."""
    from motion_studio.studio.studio import Studio
    from motion_studio.ui.app import launch

    studio = Studio(arguments.data)
    try:
        launch(studio, arguments.host, arguments.port)
    finally:
        studio.close()
