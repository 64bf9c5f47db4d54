"""Motion Studio: record the motion of a clip as a small vector, play it on any prompt, mix motions."""

__version__ = "0.1.0"
