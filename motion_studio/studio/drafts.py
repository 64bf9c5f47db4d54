"""Motions that were learnt and not saved yet, on disk: whoever closed the studio finds them again."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from motion_studio.errors import MotionStudioError
from motion_studio.motion.embedding import Motion
from motion_studio.studio.library import SUFFIXES, save_reference
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.video.clip import Clip
from motion_studio.video.reading import read_clip

KEPT = 16
JOB = re.compile(r"[0-9a-f]{32}")
log = logging.getLogger(__name__)


class Drafts:
    """A folder of the last 16 motions, each by the id of the job that learnt it, with the clip it is of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, job: str, motion: Motion, clip: Clip) -> None:
        """Write the motion and its clip. What cannot be written is left out: the job goes on without."""
        path = self.folder / f"{job}.safetensors"
        try:
            save_reference(path, clip)
            write_motion(path, motion)
        except MotionStudioError:
            log.exception("The motion of job %s could not be kept", job)
            self.drop(job)
        for old in sorted(self.folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
            self.drop(old.stem)

    def motion(self, job: str) -> Motion | None:
        """The motion that the job left; None where it left none, or none that can be read."""
        path = self._path(job)
        try:
            return read_motion(path) if path else None
        except MotionStudioError:
            return None

    def clip(self, job: str) -> Clip | None:
        """The clip that the job learnt from; None where there is none that can be read."""
        path = self._path(job)
        try:
            return read_clip(path.with_suffix(".mp4")) if path else None
        except MotionStudioError:
            return None

    def drop(self, job: str) -> None:
        """Forget what the job left."""
        for suffix in SUFFIXES if JOB.fullmatch(job) else ():
            (self.folder / f"{job}{suffix}").unlink(missing_ok=True)

    def _path(self, job: str) -> Path | None:
        # The id comes from a browser: it is no path.
        path = self.folder / f"{job}.safetensors"
        return path if JOB.fullmatch(job) and path.is_file() else None
