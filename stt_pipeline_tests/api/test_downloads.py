"""The file name of a download, as browsers and curl read it."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi import FastAPI

from stt_pipeline.api.downloads import FileResponse, attachment

NAMES = [
    ("회의록.docx", "HoeUiLog.docx"),
    ("주간 예산 회의 (최종).m4a.docx", "JuGan_YeSan_HoeUi_ChoeJong_.m4a.docx"),
    ("株主総会_2026-03.txt", "ZhuZhuZongHui_2026-03.txt"),
    ("Größe.md", "Grosse.md"),
    ('a"; filename=b.exe', "a_filename_b.exe"),
    ("-rf.txt", "rf.txt"),
    ("🙈.txt", "see_no_evil.txt"),
    ("\u202e.txt", "file.txt"),
    ("회" * 80 + ".json", "Hoe" * 50 + ".json"),
]


@pytest.mark.parametrize(("name", "in_ascii"), NAMES, ids=[pair[1] for pair in NAMES])
def test_a_name_is_transliterated_and_also_given_in_utf8(name: str, in_ascii: str) -> None:
    found = re.fullmatch(
        r"attachment; filename=\"([A-Za-z0-9._-]+)\"; filename\*=UTF-8''(\S+)",
        attachment(name)["Content-Disposition"],
    )
    assert found
    assert (found[1], unquote(found[2])) == (in_ascii, name)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_saves_a_readable_name(app: FastAPI, server: str, tmp_path: Path) -> None:
    @app.get("/file")
    def file() -> FileResponse:
        return FileResponse(b"minutes", headers=attachment("회의록.txt"))

    subprocess.run(["curl", "-sSfOJ", f"{server}/file"], cwd=tmp_path, check=True)
    assert (tmp_path / "HoeUiLog.txt").read_bytes() == b"minutes"
