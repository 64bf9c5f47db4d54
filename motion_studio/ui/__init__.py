"""The page: the only place that imports gradio. A file a tab, every word in `text.py`."""
