"""The mood of a Korean clause: promise, request, agreement and so on, from its endings. No people, no dates.

The rules are regular expressions over ``form/TAG`` strings (`korean.tagged`), anchored at the end of the clause. Reference
grammars describe the endings (for example Yeon & Brown, Korean: A Comprehensive Grammar, ch. 5 and 9).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stt_pipeline.speech.korean import Morpheme, tagged

Mood = Literal["commitment", "request", "obligation", "plan", "promise", "duty"]

_END = r"\S+/E[FC] $"
_GIVE = r"주/V[VX] (?:시/EP )?"
_AGREE = r"(?:(?:결정|합의|확정|약속|협의|의결)/NNG )?(?:하|되|정하|결정되)/\S+ (?:시/EP )?(?:었/EP |겠/EP )?"
_RULES: Final[tuple[tuple[Mood, str], ...]] = (
    # 하기로 했습니다, 하기로 결정했고, 하는 것으로 하겠습니다
    ("commitment", rf"기/ETN 로/JKB {_AGREE}{_END}"),
    ("commitment", rf"(?:는|ᆯ|을)/ETM (?:것/NNB 으로|거/NNB ᆯ로|걸/NNG 로|거/NNB 로)/JKB {_AGREE}{_END}"),
    # 준비한다고 했습니다, 제출하겠다고 하셨습니다
    ("commitment", rf"(?:(?:ᆫ다고|는다고)/EC |겠/EP 다고/EC )(?:하|말하|약속하)/\S+ (?:시/EP )?었/EP {_END}"),
    # 해 주세요, 해 주시겠어요, 해 주실 수 있을까요, 해 주시면 감사하겠습니다, 해 주시기 바랍니다, 해 주셔야 합니다
    ("request", rf"{_GIVE}(?:겠/EP )?(?:세요|ᆸ시오|어요|어|죠|지요|라|어라|ᆯ래요|ᆯ래|ᆸ시다|고|고요)/E[FC] $"),
    ("request", rf"{_GIVE}겠/EP (?:어요|습니까|나요)/EF $"),
    ("request", rf"{_GIVE}ᆯ/ETM 수/NNB \S+/\S+ {_END}"),
    ("request", rf"{_GIVE}(?:었/EP )?(?:면|으면)/EC (?:감사/NNG |좋|되|하|고맙)\S*(?: \S+)* $"),
    ("request", rf"(?:{_GIVE})?(?:시/EP )?기/ETN (?:[를ᆯ]/JKO )?바라/VV {_END}"),
    ("request", rf"{_GIVE}어야/EC (?:하|되)/V\w (?:겠/EP )?{_END}"),
    ("request", rf"부탁/NNG (?:을/JKO )?(?:드리|하)/\S+ (?:겠/EP |었/EP )?(?:어도/EC 되/VV )?{_END}"),
    ("request", r"(?:시/EP )?(?:으시/EP )?(?:세요|으세요|ᆸ시오)/EF $"),
    ("obligation", rf"(?:시/EP |으시/EP )?어야/EC (?:하|되)/V\w (?:ᆯ/ETM 것/NNB 같/VA |겠/EP )?{_END}"),
    ("plan", rf"(?:ᆯ|을)/ETM (?:예정|계획|거|것)/NN\w 이/VCP {_END}"),
    # 하겠습니다, 할게요, 하도록 하죠
    ("promise", r"(?:시/EP )?겠/EP (?:습니다|어요|네요|다|고|으니|으니까|는데|지만|으며)/E[FC] $"),
    ("promise", r"(?:ᆯ게요|을게요|ᆯ게|을게|ᆯ께요|을께요)/EF $"),
    ("promise", r"도록/EC 하/V\w (?:시/EP )?(?:죠|지요|ᆸ니다)/EF $"),
    (
        "duty",
        r"(?:(?:담당|전담|총괄|주관|책임)/NNG 하/\S+|맡/VV) (?:시/EP )?(?:ᆸ니다|습니다|어요|ᆫ다)/EF $",
    ),
)
_QUESTION_ENDINGS: Final = ("까", "까요", "나요", "가요", "ᆯ래요", "을래요", "ᆯ래", "을래", "ᆫ지요", "는지요")
# light verbs: the noun before them is the action (검토를 하다, 회신 드리다, 검토를 맡다)
_LIGHT_VERBS: Final = ("하", "드리", "주", "맡", "되", "해", "부탁드리")


@dataclass(frozen=True, slots=True)
class Predicate:
    """The predicate of a clause: its mood, and the end of its action.

    ``action_end`` is the number of morphemes up to the action, whose last word is ``verb`` (제출, 보내). ``suffix`` is the
    verb as a noun (보내기), and empty if the action is a noun already (제출).
    """

    mood: Mood
    action_end: int
    verb: str
    suffix: str


def predicate(parts: Sequence[Morpheme]) -> Predicate | None:
    """Return the predicate at the end of the clause ``parts``, or None without promise, request or agreement."""
    clause = _without_tail(parts)
    text = tagged(clause)
    for mood, rule in _RULES:
        match = re.search(rule, text)
        if match:
            end = text.count(" ", 0, match.start())
            # the verb of a duty is part of the rule
            action = _action(clause, end + (1 if mood == "duty" else 0))
            return Predicate(mood, *action) if action else None
    return None


def is_question(text: str, parts: Sequence[Morpheme]) -> bool:
    """Return whether a sentence is a question, by its question mark or its ending."""
    clause = _without_tail(parts)
    last = clause[-1] if clause else None
    return text.rstrip().endswith("?") or (
        last is not None and last.tag == "EF" and last.form.endswith(_QUESTION_ENDINGS)
    )


def _without_tail(parts: Sequence[Morpheme]) -> Sequence[Morpheme]:
    """Drop punctuation and the particles that may follow a final ending (하겠습니다만, 했고요)."""
    end = len(parts)
    while (
        end
        and (parts[end - 1].tag.startswith("S") or parts[end - 1].tag == "JX")
        and _after_ending(parts, end)
    ):
        end -= 1
    return parts[:end]


def _after_ending(parts: Sequence[Morpheme], end: int) -> bool:
    return parts[end - 1].tag in ("SF", "SP", "SE", "SS", "SO", "SW") or (
        end > 1 and parts[end - 2].tag == "EF"
    )


def _action(parts: Sequence[Morpheme], end: int) -> tuple[int, str, str] | None:
    """Return (end of the action, its verb, suffix), without auxiliaries such as 해 보다 and 해 놓다."""
    if parts[end - 2 : end] and [part.form for part in parts[max(0, end - 3) : end]] == ["알", "어", "보"]:
        return end - 3, "알아보", "알아보기"
    while end and (parts[end - 1].tag in ("VX", "EC", "EP") or parts[end - 1].is_particle):
        end -= 1
    if not end:
        return None
    last = parts[end - 1]
    if last.tag == "VV" and last.form in _LIGHT_VERBS and end > 1 and parts[end - 2].tag == "EC":
        return _action(parts, end - 1)  # 쉬었다가 하겠습니다
    if last.tag == "XSV" or (last.tag == "VV" and last.form in _LIGHT_VERBS):
        noun = end - 1
        while noun and parts[noun - 1].tag in ("JKO", "JX"):
            noun -= 1
        return end - 1, parts[noun - 1].form if noun and parts[noun - 1].is_noun else last.form, ""
    if last.tag == "VV":
        return end - 1, last.form, f"{last.form}기"
    return (end, last.form, "") if last.is_noun else None
