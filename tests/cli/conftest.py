"""Run commands in this process and look at how they end."""

from __future__ import annotations

import json

import pytest

from motion_studio.cli.main import main


@pytest.fixture
def run(capsys):
    """`run(*argv)` gives the exit code, stdout and stderr of a command."""

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def run_json(run):
    """`run_json(*argv)` gives the one JSON object of a command that ends well."""

    def run_json(*argv: str) -> dict:
        code, out, err = run(*argv, "--json")
        assert code == 0, err
        return json.loads(out)

    return run_json


@pytest.fixture
def refused(run):
    """`refused(word, *argv)`: the command ends with 2 and one clear line that has the word in it."""

    def refused(word: str, *argv: str) -> None:
        code, out, err = run(*argv)
        assert code == 2, err
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert word in err

    return refused
