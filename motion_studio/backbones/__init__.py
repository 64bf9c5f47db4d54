"""Text-to-video models behind one small interface; the only package that imports diffusers and transformers."""
