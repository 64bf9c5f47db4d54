"""For every test: no network, the user's own folder left alone, few threads, quiet libraries."""

from __future__ import annotations

import os
import warnings

# Before torch and the Hugging Face libraries are imported: they read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["DIFFUSERS_VERBOSITY"] = "error"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
# At the tests' sizes a thread more costs more than it brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _own_data_folder(tmp_path_factory):
    """The user's own library is never touched, by a command started as a process neither."""
    os.environ["MOTION_STUDIO_DATA"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _quiet():
    """The libraries' own deprecations are not the project's."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
