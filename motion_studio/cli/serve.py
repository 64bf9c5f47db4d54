"""`serve`: the studio in a browser."""

from __future__ import annotations

import argparse


def serve(arguments: argparse.Namespace) -> None:
    """Open the studio and keep it open until interrupted."""
    from motion_studio.ui.app import serve as open_studio

    open_studio(host=arguments.host, port=arguments.port, data=arguments.data)
