"""Hotwords that fit into the prompt, and suggestions of names: none is better than a wrong one."""

import json
import re
import subprocess
import sys

import pytest

from stt_pipeline.speech.hotwords import MAX_TOKENS, FittedHotwords, fit, suggest
from stt_pipeline.speech.transcript import segments_from_json, segments_to_json
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.minutes import natural_meetings
from stt_pipeline_tests.speech.korean.model_segments import segment_of

ROOT = SAMPLES.parent

NAMES = (
    "김민석 부장", "이서윤", "박지훈 연구원", "최소연", "정수빈", "강하늘", "윤도혁", "조현우", "한지민", "장민호", "임서준", "오세훈",
    "서지원", "신동엽", "권나라", "황정민", "안유진", "홍길동", "양준혁", "손예진", "이준", "David Kim", "쿠버네티스",
)  # fmt: skip


def suggestions(text: str, names: tuple[str, ...] = NAMES, language: str = "ko") -> list[tuple[str, str]]:
    found = suggest([segment_of(text, language=language)], names)
    return [(word.text.strip(), word.suggestion) for word in found[0].words if word.suggestion]


def test_hotwords_that_fit_are_all_kept_once() -> None:
    assert fit(["김민석", " API ", "api", "", "예산안"], len) == FittedHotwords(
        ("김민석", "API", "예산안"), ()
    )


def test_over_the_limit_the_first_are_kept_and_short_ones_fill_the_rest() -> None:
    found = fit(["aaaa", "bbbbbb", "cc", "d"], len, max_tokens=11)
    assert found == FittedHotwords(("aaaa", "cc", "d"), ("bbbbbb",))
    assert fit(["aaaa"], len, max_tokens=3) == FittedHotwords((), ("aaaa",))


def test_what_fits_is_counted_together_with_the_model_s_own_tokenizer() -> None:
    from faster_whisper.tokenizer import Tokenizer

    from stt_pipeline.speech.models import load_model

    whisper = load_model("demo", "cpu").whisper
    tokenizer = Tokenizer(whisper.hf_tokenizer, True, "transcribe", "ko")
    names = [f"참석자{number}" for number in range(200)]
    found = fit(names, lambda text: len(tokenizer.encode(f" {text}")))
    assert found.kept == tuple(names[: len(found.kept)])
    assert 0 < len(found.kept) < 200 == len(found.kept) + len(found.dropped)
    assert len(tokenizer.encode(" " + ", ".join(found.kept))) <= MAX_TOKENS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("김민숙 부장님이 보고합니다", [("김민숙", "김민석")]),
        ("네, 김민숙입니다.", [("김민숙입니다.", "김민석")]),
        ("박지운 대리가 왔어요", [("박지운", "박지훈")]),
        ("최서연씨한테 물어보세요", [("최서연씨한테", "최소연")]),
        ("김민석은 왔습니다", []),  # recognized correctly
        ("한지금 말씀하신", []),  # words, not a name
        ("정수기가 고장 났습니다", []),
        ("이분이 이준입니다 이중 장치", []),  # too short
        ("David Kin is here", []),
    ],
)
def test_names_that_may_be_misrecognized(text: str, expected: list[tuple[str, str]]) -> None:
    assert suggestions(text) == expected


def test_two_equally_similar_names_give_none() -> None:
    assert suggestions("김민섭 부장님", ("김민석", "김민석희")) == [("김민섭", "김민석")]
    assert suggestions("김민섭 부장님", ("김민석", "김민선")) == []
    assert suggestions("김민숙 부장님", ("김민석", "김민숙")) == []


def test_nothing_but_the_suggestion_changes() -> None:
    before = segment_of("김민숙 부장님이 보고합니다.")
    (after,) = suggest([before], NAMES)
    assert after.text == before.text
    assert [word.text for word in after.words] == [word.text for word in before.words]
    assert after.words[0].suggestion == "김민석"
    row = segments_to_json([after])[0]
    assert row["words"][0]["suggestion"] == "김민석" and "suggestion" not in row["words"][1]
    assert segments_from_json([row]) == (after,)


@pytest.mark.slow
def test_other_languages_and_no_names_do_not_load_kiwipiepy() -> None:
    script = (
        "import sys; from stt_pipeline_tests.speech.test_hotwords import suggestions\n"
        "assert suggestions('김민숙 부장님', language='ja') == []\n"
        "assert suggestions('김민숙 부장님', ()) == []\n"
        "assert suggestions('예산안을 제출합니다') == []\n"
        "print('kiwipiepy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "False"


def test_no_suggestion_in_meetings_without_these_names() -> None:
    """Precision: thousands of words of meetings, none of them one of the names, and not one suggestion."""
    texts = [
        row["text"]
        for path in sorted((SAMPLES / "reference").glob("*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))["segments"]
    ]
    texts += re.findall(r"[가-힣][가-힣 ,.?0-9%]{10,}", _source(natural_meetings))
    words = sum(len(text.split()) for text in texts)
    assert words > 1_500
    assert [found for text in texts if (found := suggestions(text))] == []


def _source(module: object) -> str:
    import inspect

    return inspect.getsource(module)  # type: ignore[arg-type]
