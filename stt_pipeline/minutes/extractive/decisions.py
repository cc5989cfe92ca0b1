"""Finds the sentences that state a decision, Korean and English. Tasks are in `action_items`."""

import re
from collections.abc import Sequence
from typing import Final

from stt_pipeline.minutes.extractive.people import mentions
from stt_pipeline.minutes.extractive.predicates import is_question, predicate
from stt_pipeline.minutes.extractive.sentences import Sentence
from stt_pipeline.speech.korean import tagged

_DECISION_NOUNS = "결정|확정|승인|합의|의결|채택|가결|부결|통과|선정|지정|임명|연기|보류|취소|중단|변경|반려|타결|폐지|체결|조정"
# 결정했습니다, 확정되었습니다, 정했습니다: past, at the end, not negated (지/EC 않 or 못 before the ending)
_DECIDED: Final = re.compile(
    rf"(?<!못/MAG )(?<!안/MAG )(?:(?:{_DECISION_NOUNS})/NNG (?:하|되|받)/\S+|(?:정하|정해지)/VV) (?:시/EP )?었/EP \S+/EF $"
)
# 보류하겠습니다, 일정을 앞당기겠습니다: the speaker decides
_DECIDES_NOW: Final = re.compile(
    rf"(?:(?:{_DECISION_NOUNS})/NNG (?:하|되)/\S+|(?:앞당기|늦추|미루)/VV) (?:도록/EC 하/VX )?겠/EP \S+/EF $"
)
_CLOSING: Final = re.compile(r"(?:\S+/S[FPEOW] )+$")
_OPENING: Final = re.compile(r"^(?:(?:네|예|자|그럼|그러면|그래서|따라서|그리고|결론적으로)[,.]?\s+)+")
_ENGLISH: Final = re.compile(
    r"\b(?:we|the (?:team|board|committee|group)|everyone|all)(?:'ve| have| has)? (?:all )?(?:agreed|decided|chose|chosen|approved"
    r"|settled|resolved|voted)\b|\b(?:was|were|is|are|has been|have been) (?:approved|rejected|postponed|cancelled|canceled|adopted"
    r"|accepted|confirmed|decided|agreed)\b|\b(?:it is|it's|it was) (?:agreed|decided)\b",
    re.IGNORECASE,
)


def decisions(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """Return the sentences that state a decision, as spoken, in order of time, without duplicates."""
    found = [_OPENING.sub("", sentence.text).strip() for sentence in sentences if is_decision(sentence)]
    return tuple(dict.fromkeys(found))


def is_decision(sentence: Sentence) -> bool:
    """Return whether a sentence states a decision.

    "비용을 줄이기로 했습니다" is a decision. "김 과장이 제출하기로 했습니다" is a task; it is a decision only with a verb of
    deciding ("... 하기로 결정했습니다").
    """
    if is_question(sentence.text, sentence.morphemes):
        return False
    if not sentence.is_korean:
        return _ENGLISH.search(sentence.text) is not None and not re.search(r"\bnot\b|n't\b", sentence.text)
    form = _CLOSING.sub("", tagged(sentence.morphemes))
    if _DECIDED.search(form) or _DECIDES_NOW.search(form):
        return True
    found = predicate(sentence.morphemes)
    if found is None or found.mood != "commitment":
        return False
    doers = [who for who in mentions(sentence.text, sentence.morphemes) if who.role in ("subject", "topic")]
    return not doers or all(who.kind == "speaker" for who in doers)
