"""Writes the text of a meeting: the speaker of each sentence, and the action items.

If a template has enough fillings, its sentence is not in the training data of the shipped model.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from tools.demo_model.corpus import shipped_training_sentences
from tools.demo_model.grammar import fill
from tools.demo_model.korean import NATIVE_NUMBERS
from tools.demo_model.slots import DOCUMENTS, SLOTS, WEEKDAYS, Phrase, date_phrase, plain
from tools.samples import phrasebook

_TRIES_FOR_AN_UNSEEN_SENTENCE = 40
_DAYS_AHEAD = (3, 45)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class ActionItem:
    """An action item in the words of the meeting; ``due`` is None if the meeting has no date for it."""

    owner: str
    task: str
    due: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of the speaker with this index, and the action item that it assigns, if any."""

    speaker: int
    sentence: Phrase
    action_item: ActionItem | None = None


@dataclass(frozen=True, slots=True)
class Agenda:
    """Content of a meeting: one or two topics. All ``people`` speak, the first one leads; dates are after ``held_on``."""

    held_on: date
    people: tuple[str, ...]
    topics: tuple[str, ...]
    tasks_without_date: int = 0


def write_meeting(agenda: Agenda, rng: Random) -> list[Line]:
    """Return the lines of a meeting: one dated action item per topic, then those without a date."""
    writer = _Writer(agenda, rng)
    writer.open()
    for index in range(len(agenda.topics)):
        writer.discuss(index)
    writer.close()
    return writer.lines


class _Writer:
    """Collects the lines; each public method adds a part of the meeting."""

    def __init__(self, agenda: Agenda, rng: Random) -> None:
        self.lines: list[Line] = []
        self._agenda, self._rng = agenda, rng
        self._people = [plain(person) for person in agenda.people]
        self._topics = [plain(topic) for topic in agenda.topics]
        documents = [
            document for document in DOCUMENTS if document != "회의록"
        ]  # a separate sentence assigns it
        self._documents = [plain(document) for document in rng.sample(documents, len(documents))]
        self._first_owner = rng.randrange(len(agenda.people))
        self._assignments = rng.sample(phrasebook.ASSIGNMENTS, len(phrasebook.ASSIGNMENTS))

    def open(self) -> None:
        number_of_people = len(self._people)
        self._say(0, phrasebook.GREETING)
        count = Phrase(f"{number_of_people}명", f"{NATIVE_NUMBERS[number_of_people]}명")
        self._say(0, phrasebook.ATTENDANCE, cnt=count)
        if len(self._topics) == 2:
            topics = iter(self._topics)
            self.lines.append(Line(0, fill(phrasebook.AGENDA_OF_TWO, lambda _: next(topics))))

    def discuss(self, index: int) -> None:
        """Add report, question and answer, decision, and assignment; later topics are shorter."""
        number_of_people, topic = len(self._people), self._topics[index]
        document, due = self._documents.pop(), self._day()
        reporter = 1 + index % (number_of_people - 1)
        owner = (self._first_owner + index) % number_of_people
        asker = (owner + 1) % number_of_people
        person = self._people[owner]

        self._say(0, phrasebook.LATER_TOPIC if index else phrasebook.FIRST_TOPIC, T=topic)
        self._say(0, phrasebook.STATUS_QUESTION, P=self._people[reporter], T=topic)
        self._say(reporter, phrasebook.STATUS, T=topic)
        reports = phrasebook.REPORTS.get(topic.written, phrasebook.GENERAL_REPORTS)
        for template in self._rng.sample(reports, 1 if index else 2):
            self._say(reporter, template, T=topic)
        if index == 0:
            self._say(asker, phrasebook.DATE_QUESTION, P=person, D=document)
            self._say(owner, phrasebook.DATE_ANSWER, day=due)
        decisions = phrasebook.DECISIONS.get(topic.written, phrasebook.GENERAL_DECISIONS)
        self._say(0, self._rng.choice(decisions), T=topic)
        self._say(reporter, self._rng.choice(phrasebook.AGREEMENTS))
        verb, template = self._assignments[index % len(self._assignments)]
        item = ActionItem(person.written, f"{document.written} {verb}", due.written)
        self._say(0 if owner else reporter, template, item, P=person, D=document, day=due)
        self._say(owner, self._rng.choice(phrasebook.CONFIRMATIONS))

    def close(self) -> None:
        last = len(self._people) - 1
        for index in range(self._agenda.tasks_without_date):
            owner = self._people[(last + index) % len(self._people)]
            if index == 0:
                item = ActionItem(owner.written, "회의록 정리", None)
                self._say(0, phrasebook.MINUTES_ASSIGNMENT, item, P=owner)
            else:
                document = self._documents.pop()
                item = ActionItem(owner.written, f"{document.written} 초안", None)
                self._say(0, phrasebook.DRAFT_ASSIGNMENT, item, P=owner, D=document)
        if len(self._topics) > 1:
            self._say(0, phrasebook.LAST_QUESTION)
            self._say(last, self._rng.choice(phrasebook.LAST_ANSWERS))
        self._say(0, self._rng.choice(phrasebook.NEXT_MEETINGS))
        self._say(0, phrasebook.CLOSING)
        self._say(1, phrasebook.GOODBYE)

    def _say(self, speaker: int, template: str, item: ActionItem | None = None, **given: Phrase) -> None:
        """Add a sentence; slots that are not ``given`` get random values, if possible not those of a training sentence."""

        def choose(name: str) -> Phrase:
            if name in given:
                return given[name]
            draw = {"day": self._day, "date": self._date}.get(name)
            return draw() if draw else SLOTS["ko"][name](self._rng)

        for _ in range(_TRIES_FOR_AN_UNSEEN_SENTENCE):
            sentence = fill(template, choose)
            if sentence.written not in shipped_training_sentences():
                break
        self.lines.append(Line(speaker, sentence, item))

    def _day(self) -> Phrase:
        """Return a date, or a weekday of next week."""
        return self._date() if self._rng.random() < 0.6 else plain(f"다음 주 {self._rng.choice(WEEKDAYS)}")

    def _date(self) -> Phrase:
        """Return a working day 3 to 45 days after the meeting."""
        day = self._agenda.held_on + timedelta(self._rng.randint(*_DAYS_AHEAD))
        if day.weekday() >= _SATURDAY:
            day -= timedelta(2)
        return date_phrase(day.month, day.day)
