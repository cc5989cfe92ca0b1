"""Where the real speech model, real recordings and cases are, none of which is in the repository: the marker `real`."""

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[2] / "shared"

WHISPER_BASE = Path(os.environ.get("WHISPER_BASE") or "nowhere")
"""A folder with Whisper base in CTranslate2's format."""

REAL_SPEECH = Path(os.environ.get("REAL_SPEECH") or _SHARED / "audio" / "real")
"""A folder with Korean recordings and their references: ``talks``, ``meetings``, ``noisy``."""

SPEECH_CASES = Path(os.environ.get("SPEECH_CASES") or _SHARED / "cases" / "speech")
"""A folder with short recordings of situations that once went wrong."""

_FOLDERS = {"WHISPER_BASE": WHISPER_BASE, "REAL_SPEECH": REAL_SPEECH, "SPEECH_CASES": SPEECH_CASES}


def skip_or_fail() -> None:
    """Skip the current test if a folder is missing; fail it if REAL_MUST_RUN is set, as CI does.

    All tests skip in this line, so pytest reports them in one line.
    """
    missing = [name for name, folder in _FOLDERS.items() if not folder.is_dir()]
    if missing:
        reason = f"needs a real speech model, recordings and cases; no folder: {', '.join(missing)} (CONTRIBUTING.md)"
        if os.environ.get("REAL_MUST_RUN"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
