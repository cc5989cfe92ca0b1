"""Content words of sentences, and the keywords of a recording. Sentences are ranked in `ranking`."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from stt_pipeline.minutes.extractive.people import TITLES, mentions
from stt_pipeline.minutes.extractive.sentences import Sentence

MAX_TERM_WORDS: Final = 3

Term = tuple[str, ...]

# fmt: off
# words that are common in all meetings
_KOREAN_STOP_WORDS: Final = frozenset({
    "회의", "미팅", "안건", "오늘", "내일", "모레", "어제", "이번", "다음", "지난", "사항", "의견", "경우", "정도", "부분", "관련", "현재",
    "생각", "말씀", "질문", "모두", "전체", "내용", "진행", "상황", "결정", "확인", "정리", "공유", "논의", "검토", "가지", "번째", "마지막",
    "처음", "시작", "이상", "이하", "추가", "시간", "오전", "오후", "월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일",
    "참석", "참석자", "참석해", "담당자", "담당", "감사", "수고", "동의", "이메일", "가능", "필요", "예정", "제출", "준비", "작성", "요청",
    "부탁", "합의", "승인", "보류", "확정", "연기", "이름", "분", "거", "것", "수", "때", "등", "중", "말", "건", "일", "주", "달", "년", "월",
    "초", "명", "원", "개", "시", "네", "예", "저희", "우리", "여러분", "누구", "하나", "둘", "지금", "아까", "여기", "거기", "이것", "그것",
    "기한", "마감", "마감일", "문제", "방향", "불참", "지난달", "완료", "조금", "그때", "다음번", "결과", "자료", "기간",
})
_ENGLISH_STOP_WORDS: Final = frozenset(
    """a about after again all also am an and any are as at be because been before being but by can could did do does doing
    done down each even every everyone few first for from further get go going good got had has have having he her here him
    his how i if in into is it item its just know last let like ll make many me meeting more most much my need next no not
    now of off ok okay on once one only or other our out over own please question questions really right s said same say
    second see she should so some start such sure t take than thank thanks that the their them then there these they thing
    think third this those through time to today tomorrow too two under until up us ve very want was we week well were what
    when where which while who why will with work would yes you your monday tuesday wednesday thursday friday saturday
    sunday percent agreed decided approved deadline""".split()  # noqa: SIM905
)
# fmt: on
_WORD: Final = re.compile(r"[^\W\d_][\w'-]*")


def content_words(sentence: Sentence) -> list[str]:
    """Return the content words: Korean nouns, or for other languages words that are not in the stop list."""
    return [word for term in _runs(sentence) for word in term]


def keywords(sentences: Sequence[Sentence], limit: int = 10) -> tuple[str, ...]:
    """Return at most ``limit`` keywords, the highest score first.

    Terms are runs of nouns ("서버 이전"), scored by C-value (Frantzi, Ananiadou and Mima 2000): the count of a term minus the
    mean count of the longer terms around it, times log2(words + 1) (the form that allows one word, Barron-Cedeño 2009).
    """
    counts = Counter(
        part for sentence in sentences for run in _runs(sentence) for part in _parts(run, MAX_TERM_WORDS)
    )
    inside: dict[Term, list[int]] = {}
    for term, count in counts.items():
        for part in _parts(term, len(term) - 1):
            inside.setdefault(part, []).append(count)
    scores = {term: _c_value(term, count, inside.get(term, ())) for term, count in counts.items()}
    # a word of one letter is a keyword only inside a longer term
    ranked = sorted(
        (term for term in scores if scores[term] > 0 and len("".join(term)) > 1),
        key=lambda term: (-scores[term], " ".join(term)),
    )
    chosen: list[Term] = []
    for term in ranked:
        if not any(_inside(term, other) or _inside(other, term) for other in chosen):
            chosen.append(term)
    return tuple(" ".join(term) for term in chosen[:limit])


def _runs(sentence: Sentence) -> list[list[str]]:
    if not sentence.is_korean:
        spoken = [word.lower() for word in _WORD.findall(sentence.text)]
        return _cut(spoken, [word in _ENGLISH_STOP_WORDS or len(word) < 2 for word in spoken])
    people = {
        n for who in mentions(sentence.text, sentence.morphemes) for n in range(who.first, who.last + 1)
    }
    words: list[str] = []
    stops: list[bool] = []
    for n, part in enumerate(sentence.morphemes):
        joined = n and part.start == sentence.morphemes[n - 1].end
        noun = part.tag in ("NNG", "NNP", "SL", "XPN") or (part.tag == "XSN" and part.form != "님")
        stop = not noun or n in people or part.form in _KOREAN_STOP_WORDS or part.form in TITLES
        if joined and not stop and words and not stops[-1]:
            words[-1] += part.form  # 회의 + 실, 신 + 제품: one written word is one term
        else:
            words.append(part.form)
            stops.append(stop)
    return _cut(words, stops)


def _cut(words: Sequence[str], stops: Sequence[bool]) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for word, stop in zip(words, stops, strict=True):
        if stop:
            runs.append([])
        else:
            runs[-1].append(word)
    return [run for run in runs if run]


def _parts(run: Sequence[str], longest: int) -> set[Term]:
    """Return the distinct runs of at most ``longest`` words inside ``run``."""
    return {
        tuple(run[first : first + size])
        for size in range(1, min(len(run), longest) + 1)
        for first in range(len(run) - size + 1)
    }


def _c_value(term: Term, count: int, longer: Sequence[int]) -> float:
    """Return the C-value of a term with ``count``, given the counts of the longer terms around it."""
    nested = sum(longer) / len(longer) if longer else 0.0
    return math.log2(len(term) + 1) * (count - nested)


def _inside(term: Term, other: Term) -> bool:
    return any(other[n : n + len(term)] == term for n in range(len(other) - len(term) + 1))
