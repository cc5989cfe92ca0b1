"""Korean verbs for acts of the meeting itself, which leave no task: opening it, giving the floor, deciding."""

import re
from typing import Final

# fmt: off
# Acts during the meeting, most of them by speaking: no task remains.
MEETING_ACTS: Final = frozenset({
    "시작", "마치", "종료", "논의", "토의", "토론", "듣", "들어보", "말씀", "말", "이야기", "얘기", "설명", "소개", "발언",
    "질문", "답변", "대답", "묻", "물어보", "여쭤보", "여쭙", "여쭈", "인사", "환영", "축하", "감사", "수고", "기대", "희망", "바라",
    "알", "모르", "보", "살펴보", "생각", "기억", "이해", "양해", "유의", "주의", "주목", "집중", "조용", "참고", "참조", "넘어가",
    "기다리", "앉", "쉬", "들어가", "나가", "가", "오", "참석", "박수", "동의", "거수", "켜", "끄", "들", "먹", "마시", "부치", "고르", "계시", "있", "맞",
    "안녕", "부탁", "하", "드리", "주", "되",
})
# The sentence itself is the decision.
DECIDING: Final = frozenset({
    "보류", "연기", "취소", "중단", "결정", "확정", "승인", "합의", "앞당기", "늦추", "미루", "폐기", "선정", "채택",
})
_TALK: Final = frozenset({"공유", "보고", "발표", "정리", "진행", "확인", "받", "브리핑", "요약"})
_TALKED_ABOUT: Final = (
    "상황", "현황", "경과", "의견", "생각", "사항", "내용", "결론", "순서", "안건", "소감", "근황", "결과",
)
_HOLD: Final = frozenset({"열", "진행", "개최", "시작", "마무리", "정리", "갖", "속개", "재개", "끝내", "하", "잡"})
# fmt: on
_MEETING: Final = re.compile(r"(?:회의|미팅)$")
_PARTICLE: Final = re.compile(r"(?<=[가-힣])(?:부터|까지|에서|으로|에)$")


def is_meeting_act(verb: str, about: str, topic: str, *, dated: bool, owned: bool) -> bool:
    """Return whether an action belongs to the meeting itself ("회의를 시작하겠습니다", "의견을 공유해 주세요").

    Args:
        verb: the action's last word (시작, 공유).
        about: the action without the verb (회의, 진행 상황).
        topic: the topic of the clause, if it is elsewhere.
        dated: whether there is a date; with an owner too, even a talk is a future task.
        owned: whether an owner is named.
    """
    head = _PARTICLE.sub("", about.split()[-1]) if about else ""
    if (_MEETING.search(head) or _MEETING.search(topic)) and verb in _HOLD:
        return True
    if verb in _TALK and head.endswith(_TALKED_ABOUT) and not dated:
        return True
    if verb in ("하", "드리", "주", "되", "맡") and (owned or about):
        return False
    return verb in MEETING_ACTS and not (owned and dated)
