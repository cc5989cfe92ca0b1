"""Action items of meetings made by the demo grammar, with the items known from the templates."""

import random

from stt_pipeline.minutes.extractive.action_items import action_items
from stt_pipeline.minutes.extractive.sentences import sentences_of
from stt_pipeline.minutes.matching import matched_action_items
from stt_pipeline_tests.minutes.conversations import SPEAKERS, conversation
from tools.demo_model.grammar import fill, templates
from tools.demo_model.slots import SLOTS

# template -> (owner, task, due) in its slots; "me" is the speaker. Every other template holds no item.
PLANTED = {
    "{P}{이/가} {D}{을/를} {day}까지 제출하기로 했습니다.": ("{P}", "{D}", "{day}"),
    "{P}{이/가} {day}까지 {D}{을/를} 준비해 주세요.": ("{P}", "{D}", "{day}"),
    "{M}에서 {D}{을/를} 작성하겠습니다.": ("{M}", "{D}", None),
    "{T} 담당자는 {P}입니다.": ("{P}", "{T}", None),
    "{P}{을/를} {T} 담당자로 정했습니다.": ("{P}", "{T}", None),
    "제가 {D}{을/를} 작성하겠습니다.": ("me", "{D}", None),
    "제가 {day}까지 확인하겠습니다.": ("me", "확인", "{day}"),
    "오류 수정은 {M}에서 맡겠습니다.": ("{M}", "오류 수정", None),
    "문제의 원인을 {day}까지 파악하겠습니다.": ("me", "원인", "{day}"),
    "회의록은 {P}{이/가} 정리해 주세요.": ("{P}", "회의록", None),
    "회의록은 오늘 중으로 공유하겠습니다.": ("me", "회의록", "오늘"),
    "{D} 초안은 {P}{이/가} 맡기로 했습니다.": ("{P}", "{D} 초안", None),
    "{T} 건은 {P}님이 맡아 주세요.": ("{P}", "{T}", None),
    "{L} 예약은 {P}{이/가} 하겠습니다.": ("{P}", "예약", None),
    "{T}{은/는} {date}에 마무리하겠습니다.": ("me", "{T}", "{date}"),
    "{P}님께서 {D}{을/를} {day}까지 공유해 주시기 바랍니다.": ("{P}", "{D}", "{day}"),
    "{D}{은/는} 이메일로 보내 주세요.": (None, "{D}", None),
    "{T} 관련 위험 요소를 정리해 주세요.": (None, "위험 요소", None),
}
QUESTION, ANSWER = "{P}님, {D} 검토는 언제까지 가능합니까?", "{day}까지 가능합니다."
# these take their meaning from the sentence before, which random order does not give
DEPENDENT = (
    "{day}까지 가능합니다.",
    "네, {day}까지 보내 드리겠습니다.",
    "{P}님, {day}까지 가능하십니까?",
    QUESTION,
)


def spoken(template: str, random_: random.Random) -> tuple[str, dict[str, str]]:
    """Fill a template, its slots first, so that they are known."""
    values = {name: make(random_) for name, make in SLOTS["ko"].items()}
    text = fill(template, lambda name: values[name]).written
    return text, {name: value.written for name, value in values.items()}


def test_every_planted_item_of_generated_meetings_is_found_and_nothing_else() -> None:
    chance = random.Random(20261122)
    plain = [template for template in templates("ko") if template not in (*PLANTED, *DEPENDENT)]
    expected = found = matched = 0
    wrong = []
    for _ in range(40):
        lines, wanted = [], []
        for _ in range(20):
            speaker = chance.choice("ABC")
            draw = chance.random()
            if draw < 0.1:
                question, slots = spoken(QUESTION, chance)
                answer, later = spoken(ANSWER, chance)
                lines += [f"{speaker}: {question}", f"{'B' if speaker == 'A' else 'A'}: {answer}"]
                wanted.append({"owner": slots["P"], "task": slots["D"], "due": later["day"]})
                continue
            template = chance.choice(list(PLANTED)) if draw < 0.5 else chance.choice(plain)
            text, slots = spoken(template, chance)
            lines.append(f"{speaker}: {text}")
            if template in PLANTED:
                owner, task, due = (part and part.format(**slots) for part in PLANTED[template])
                if owner is None:  # else who says "네, 알겠습니다" next takes it over
                    lines += [f"{speaker}: 질문 있습니까?", f"{speaker}: 반대 의견 있습니까?"]
                wanted.append(
                    {"owner": SPEAKERS[speaker] if owner == "me" else owner, "task": task, "due": due}
                )
        got = action_items(sentences_of(conversation(lines)))
        hits = matched_action_items(wanted, got)
        expected, found, matched = expected + len(wanted), found + len(got), matched + hits
        if hits < max(len(wanted), len(got)):
            wrong.append((lines, wanted, got))
    assert expected > 300
    assert matched / expected >= 0.98, wrong[:3]
    assert matched / found >= 0.98, wrong[:3]
