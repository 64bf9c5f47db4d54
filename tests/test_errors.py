from __future__ import annotations

import pytest

from motion_studio import errors


@pytest.mark.parametrize("name", ["ClipError", "MotionFileError", "SettingsError", "IncompatibleMotion"])
def test_bad_input_is_told_from_the_rest(name):
    assert issubclass(getattr(errors, name), errors.InputError)


def test_cancelling_is_no_bad_input():
    assert issubclass(errors.InputError, errors.MotionStudioError)
    assert issubclass(errors.Cancelled, errors.MotionStudioError)
    assert not issubclass(errors.Cancelled, errors.InputError)
