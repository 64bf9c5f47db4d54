"""Text-to-video models behind one small interface; only here are diffusers and transformers imported."""
