"""Clips in and out of files, what moves in them, and how alike two motions are."""
