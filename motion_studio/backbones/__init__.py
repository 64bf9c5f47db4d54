"""Text-to-video models behind one small interface; only here are diffusers and transformers imported."""

import os

# Read when the libraries are first imported: their advice on parts that are not used here isn't for the user.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
