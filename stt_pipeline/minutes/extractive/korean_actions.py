"""Possible action items of one Korean sentence: owner, task, due date. Other sentences are not considered."""

import re
from dataclasses import replace
from typing import Final

from stt_pipeline.minutes.extractive.clauses import DEADLINE_WORDS, Clause, clauses_of
from stt_pipeline.minutes.extractive.drafts import Draft, Kind
from stt_pipeline.minutes.extractive.meeting_acts import DECIDING, is_meeting_act
from stt_pipeline.minutes.extractive.people import Mention, mentions
from stt_pipeline.minutes.extractive.predicates import Predicate, is_question, predicate
from stt_pipeline.minutes.extractive.sentences import Sentence
from stt_pipeline.speech.korean import Morpheme, tagged

_CHARGE: Final = frozenset({"담당", "담당자", "책임자", "실무자", "총괄", "주관"})
_ENTRUST: Final = "맡기"  # "entrust": the recipient is the owner of the task
_NAMED_SO: Final = re.compile(
    r"(?:이/VCP |(?:하|정하|되|지정|선정|임명|결정)/\S+ )(?:하/XSV |되/XSV )?(?:었/EP |겠/EP )?\S+/E[FC] "
)
_ABLE: Final = re.compile(r"(?:가능|되|끝|마무리|완료|나오|받|주|드리|하|보내|있)\S*/(?:NNG|VV|VX|VA|XSV)")
_EMPTY_VERBS: Final = ("되", "하", "나오", "주", "드리", "받", "있")


def korean_drafts(sentence: Sentence) -> list[Draft]:
    """Return the possible action items of ``sentence``; the owner of a promise by 저 or 우리 is the speaker label."""
    is_asked = is_question(sentence.text, sentence.morphemes)
    drafts: list[Draft] = []
    later: Predicate | None = None
    deadline: str | None = None
    for clause in reversed(clauses_of(sentence)):
        found = predicate(clause.parts)
        if found is None and later is not None:
            found = _shared(clause, later)
        later = found
        draft = _assignment(clause, is_asked) or (_action(clause, found, is_asked) if found else None)
        draft = draft or (_question(clause) if is_asked else None)
        if draft:
            drafts.append(replace(draft, due=draft.due or deadline))
        # "... 작성할 예정이며 기한은 금요일까지입니다"
        deadline = clause.due.text if clause.due and clause.topic() in DEADLINE_WORDS else None
    return drafts[::-1]


def called_person(sentence: Sentence) -> str | None:
    """Return the person that a sentence only calls ("김 과장님."): the next sentences address this person."""
    named = mentions(sentence.text, sentence.morphemes)
    only_called = len(named) == 1 and named[0].role == "called"
    return named[0].name if only_called and not any(part.is_verb for part in sentence.morphemes) else None


def _action(clause: Clause, found: Predicate, is_asked: bool) -> Draft | None:
    """Return the draft of a clause with a promise, a request or an agreement."""
    if is_asked and found.mood != "request":
        return None
    who = _owner(clause, found)
    subjects = [one for one in clause.named if one.role == "subject" and one != who and one.kind != "speaker"]
    skip = clause.due_span
    # a team without a particle may belong to the task ("협력사 명단"), and a recipient does ("이 대리에게 전달")
    if who and (who.kind == "team" or who.role == "recipient"):
        skip = [*skip, (clause.parts[who.first].start, clause.parts[who.last].end)]
    words = clause.phrase(0, found.action_end, skip=skip, keep=subjects)
    suffix = "" if found.verb == _ENTRUST else found.suffix
    task = " ".join(filter(None, (words, suffix)))
    about = task.removesuffix(suffix or found.verb).strip()
    if found.verb in DECIDING and (who is None or who.kind == "speaker"):
        return None
    if is_meeting_act(found.verb, about, clause.topic(), dated=clause.due is not None, owned=who is not None):
        return None
    thing = clause.names_a_thing(found.action_end, found.verb)
    if (found.mood == "plan" or who is None) and not (clause.due or thing):
        return None
    if who is None and found.mood != "request":
        # "회의록은 오늘 중으로 공유하겠습니다" is a promise of the speaker; other sentences need a name
        is_own_promise = found.mood == "promise" and not clause.has_other_subject()
        if not is_own_promise:
            return None
        return _draft(clause, "statement", task, clause.speaker)
    owner = (who.name or clause.speaker) if who else None
    return _draft(clause, "request" if found.mood == "request" else "statement", task, owner)


def _assignment(clause: Clause, is_asked: bool) -> Draft | None:
    """Return the draft of "X 담당자는 박 부장입니다" or "박 부장을 X 담당자로 정했습니다"."""
    parts = clause.parts
    charge = next((n for n, part in enumerate(parts[:-1]) if part.form in _CHARGE), None)
    person = next((one for one in clause.named if one.kind == "person"), None)
    if charge is None or person is None or is_asked or not _NAMED_SO.search(tagged(parts)):
        return None
    particle = parts[charge + 1].form
    if person.role == "complement" and person.first > charge and particle in ("는", "은", "로", "으로"):
        start = 0
    elif (
        person.last < charge
        and person.role in ("object", "topic", "subject")
        and particle in ("로", "으로", "이")
    ):
        start = person.last + 1
    else:
        return None
    about = clause.phrase(start, charge)
    return _draft(clause, "statement", f"{about} 담당" if about else "", person.name)


def _question(clause: Clause) -> Draft | None:
    """Return the draft of "이 대리님, 예산안 검토는 언제까지 가능합니까?" or "이 대리님, 금요일까지 가능하십니까?"."""
    parts, form = clause.parts, tagged(clause.parts)
    when = next((n for n, part in enumerate(parts) if part.form == "언제"), None)
    dated = clause.due is not None and clause.due.role == "until" and "가능" in form
    if not _ABLE.search(form) or (when is None and not dated):
        return None
    end = next((n for n in range(len(parts) - 1, -1, -1) if parts[n].is_verb), 0)
    while end and _is_question_verb(parts[end - 1]):
        end -= 1
    verb = parts[end]
    suffix = f"{verb.form}기" if verb.tag == "VV" and verb.form not in _EMPTY_VERBS else ""
    skip = clause.due_span + ([clause.word_span(when)] if when is not None else [])
    task = " ".join(filter(None, (clause.phrase(0, end, skip=skip), suffix)))
    roles = ("called", "topic", "subject")
    person = next((one.name for one in clause.named if one.kind == "person" and one.role in roles), None)
    return _draft(clause, "can_question" if when is None else "when_question", task, person)


def _owner(clause: Clause, found: Predicate) -> Mention | None:
    """Return the owner: the subject of the main verb, or the addressed person of a request."""
    subjects: list[Mention] = []
    set_aside: list[Mention] = []
    for n, part in enumerate(clause.parts[: found.action_end + 1]):
        subjects += [one for one in clause.named if one.first == n and one.role in ("subject", "topic")]
        # the verb of a relative clause takes the subject before it: 이 대리가 만든 보고서
        relative = part.tag == "ETM" and n + 1 < found.action_end
        if relative and subjects and subjects[-1].role == "subject":
            set_aside.append(subjects.pop())
    called = [one for one in clause.named if one.role == "called" and one.first < found.action_end]
    people = [one for one in called if one.kind == "person"]
    polite = any(part.form in ("시", "으시") for part in clause.parts[found.action_end :])
    if found.mood == "request":
        # a request is never to the speaker; an addressed team has a comma after it: "개발팀, 확인해 주세요"
        team = [one for one in called if one.kind == "team" and clause.parts[one.last].tag == "SP"]
        subjects = [one for one in subjects if one.kind != "speaker"] or people or team
    elif found.verb == _ENTRUST:
        subjects = [one for one in clause.named if one.role == "recipient"]
    elif found.mood == "obligation" and polite:
        subjects = subjects or people
    return next(iter(subjects or set_aside), None)


def _shared(clause: Clause, later: Predicate) -> Predicate | None:
    """Return the predicate of a first clause that shares the mood of the second: "강 차장이 자료를 준비하고, 조 주임이 ... 하기로 했습니다"."""
    last = clause.parts[-1]
    if last.form not in ("고", "며", "으며"):
        return None
    ending = (Morpheme("겠", "EP", last.start, last.start), Morpheme("습니다", "EF", last.start, last.end))
    found = predicate([*clause.parts[:-1], *ending])
    return Predicate(later.mood, found.action_end, found.verb, found.suffix) if found else None


def _draft(clause: Clause, kind: Kind, task: str, owner: str | None) -> Draft:
    due = clause.due.text if clause.due and kind != "when_question" else None
    return Draft(kind, task, owner, due)


def _is_question_verb(part: Morpheme) -> bool:
    return part.is_verb or part.form in ("가능", "수") or part.tag[0] == "E"
