"""A Korean clause: its morphemes, the people and dates in it, and phrases of its text. No rules about tasks."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from stt_pipeline.minutes.extractive.dates import DateMention, due_date, korean_dates
from stt_pipeline.minutes.extractive.people import Mention, mentions
from stt_pipeline.minutes.extractive.sentences import Sentence
from stt_pipeline.speech.korean import Morpheme

# fmt: off
_CONNECTIVES: Final = frozenset({
    "고", "며", "으며", "으니", "니", "니까", "으니까", "지만", "는데", "ᆫ데", "은데", "면", "으면", "므로", "으므로",
})
_FILLERS: Final = frozenset({
    "좀", "꼭", "일단", "우선", "그럼", "그러면", "잘", "그냥", "이제", "먼저", "혹시", "바로", "한번", "네", "예",
})
# fmt: on
DEADLINE_WORDS: Final = ("기한", "마감", "마감일", "납기", "데드라인")
_OMITTED_ROLES: Final = ("subject", "topic", "called", "complement")
_OMITTED_TAGS: Final = frozenset({"IC", "MAJ", "SP", "SF", "SE", "SS", "JKO", "JKV"})
_REFERENCE: Final = re.compile(
    r"^(?:(?:그|이|저|해당)\s?(?:부분|건|문제|일|것|거|사항|업무|내용|이슈|작업|자료)|그건|이건|그걸|이걸)(?:\s|$)"
)


@dataclass(frozen=True)
class Clause:
    """A clause of the sentence ``text``; positions are indices into ``parts``, offsets of morphemes are in ``text``."""

    text: str
    speaker: str | None
    parts: Sequence[Morpheme]

    @cached_property
    def named(self) -> list[Mention]:
        """The people and teams in it."""
        return mentions(self.text, self.parts)

    @cached_property
    def due(self) -> DateMention | None:
        """Its due date, or another date, if there is one."""
        low, high = self.parts[0].start, self.parts[-1].end
        return due_date([date for date in korean_dates(self.text) if low <= date.start < high])

    @cached_property
    def people_at(self) -> frozenset[int]:
        """Positions of the morphemes that name people, particles included."""
        return frozenset(n for who in self.named for n in range(who.first, who.last + 1))

    @property
    def due_span(self) -> list[tuple[int, int]]:
        """The span of the due date in the text, as a list of at most one."""
        return [(self.due.start, self.due.end)] if self.due else []

    def has_other_subject(self) -> bool:
        """Return whether the subject is not a person: 비가 오겠습니다, 일정이 늦어지겠습니다."""
        return any(part.tag == "JKS" and n not in self.people_at for n, part in enumerate(self.parts))

    def names_a_thing(self, end: int, verb: str) -> bool:
        """Return whether there is an object before position ``end``; "그렇게 진행하겠습니다" has none."""
        return any(
            part.is_noun and n not in self.people_at and part.form != verb
            for n, part in enumerate(self.parts[:end])
            if not any(low <= part.start < high for low, high in self.due_span)
        )

    def topic(self) -> str:
        """Return the topic of the clause: its first phrase with 은, 는, 을 or 를 that is not a person."""
        for n, part in enumerate(self.parts):
            marked = part.tag == "JKO" or (part.tag == "JX" and part.form in ("은", "는"))
            if not marked or n in self.people_at:
                continue
            start = n
            while start and start - 1 not in self.people_at and _is_nominal(self.parts[start - 1]):
                start -= 1
            return self.phrase(start, n)
        return ""

    def phrase(
        self, first: int, last: int, *, skip: Sequence[tuple[int, int]] = (), keep: Collection[Mention] = ()
    ) -> str:
        """Return the words between two positions as spoken, without object and topic particles.

        People are dropped too, unless they are part of a phrase (김 과장의 자료) or in ``keep``. So are fillers and the text
        spans in ``skip``.
        """
        omitted = {
            n
            for who in self.named
            if who not in keep
            and who.role in (("subject", "topic") if who.kind == "team" else _OMITTED_ROLES)
            for n in range(who.first, who.last + 1)
        }
        spans: list[tuple[int, int]] = []
        for n in range(first, last):
            part = self.parts[n]
            if n in omitted or _is_omitted(part) or any(low <= part.start < high for low, high in skip):
                continue
            if spans and part.start < spans[-1][1]:  # two morphemes may share a syllable: 하+어 is 해
                spans[-1] = (spans[-1][0], max(spans[-1][1], part.end))
            else:
                spans.append((part.start, part.end))
        return self._joined(spans)

    def word_span(self, position: int) -> tuple[int, int]:
        """Return the span of the word at ``position`` in the text, particles included (언제까지, 언제쯤)."""
        rest = re.match(r"\S*", self.text[self.parts[position].end :])
        return self.parts[position].start, self.parts[position].end + (rest.end() if rest else 0)

    def _joined(self, spans: Sequence[tuple[int, int]]) -> str:
        words = [self.text[start:end] for start, end in spans[:1]]
        for (_, before), (start, end) in pairwise(spans):
            gap = any(mark.isspace() for mark in self.text[before:start])
            words.append((" " if gap else "") + self.text[start:end])
        return "".join(words).strip()


def clauses_of(sentence: Sentence) -> list[Clause]:
    """Cut a Korean sentence after connective endings, if the next clause has its own subject or deadline."""
    parts = sentence.morphemes
    heads = {
        who.first for who in mentions(sentence.text, parts) if who.role in ("subject", "topic", "called")
    }
    heads |= {n for n, part in enumerate(parts) if part.form in DEADLINE_WORDS}
    joints = [n + 1 for n, part in enumerate(parts[:-1]) if _is_joint(part, parts[n + 1])]
    cuts = [low for low, high in pairwise([*joints, len(parts)]) if any(low <= n < high for n in heads)]
    edges = [0, *cuts, len(parts)]
    return [
        Clause(sentence.text, sentence.speaker, parts[low:high])
        for low, high in pairwise(edges)
        if high > low
    ]


def topic_of(sentence: Sentence) -> str:
    """Return the topic of a Korean sentence, or ""; "그건 제가 맡겠습니다" in the next sentence refers to it."""
    return Clause(sentence.text, sentence.speaker, sentence.morphemes).topic()


def resolve_reference(task: str, topic: str) -> str:
    """Return ``task`` with references such as "그 부분" replaced by ``topic``, if there is one."""
    if not task or not topic:
        return task or topic
    return _REFERENCE.sub(lambda match: f"{topic} ", task).strip()


def _is_joint(part: Morpheme, after: Morpheme) -> bool:
    """Return whether a clause may end here: at a connective, or at a polite ending within the sentence (맡아 주시고요, ...)."""
    connective = part.tag == "EC" and part.form in _CONNECTIVES
    polite = part.form == "요" and part.tag == "JX" and after.tag not in ("SF", "SE")
    return connective or (polite and after.tag != "EF")


def _is_nominal(part: Morpheme) -> bool:
    return part.is_noun or part.tag == "JKG"


def _is_omitted(part: Morpheme) -> bool:
    return (
        part.tag in _OMITTED_TAGS
        or (part.tag == "JX" and part.form in ("은", "는", "도", "ᆫ"))
        or part.form in _FILLERS
    )
