"""The exception tree: each message says what was given and what is allowed."""

from __future__ import annotations


class MotionStudioError(Exception):
    """Anything the studio raises on purpose; its text is fit to be shown as it is."""


class InputError(MotionStudioError):
    """Something the caller gave cannot be used (the command line ends with status 2)."""


class ClipError(InputError):
    """A clip cannot be read, is too short or too large, or has the wrong shape."""


class MotionFileError(InputError):
    """A motion, or the file it comes from, is not sound in itself."""


class SettingsError(InputError):
    """A setting is unknown or out of its range."""


class IncompatibleMotion(InputError):
    """A sound motion that does not fit the base model, the other motion or the operation it is given to."""


class OutOfMemory(InputError):
    """The device's memory doesn't hold what the job asks for; something is to be turned down."""


class Cancelled(MotionStudioError):
    """The job was cancelled; nothing of it is kept."""
