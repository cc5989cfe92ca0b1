"""Possible action items of one English sentence, found by regular expressions."""

import re
from typing import Final

from stt_pipeline.minutes.extractive.dates import DateMention, due_date, english_dates
from stt_pipeline.minutes.extractive.drafts import Draft, Kind
from stt_pipeline.minutes.extractive.sentences import Sentence

_NAME = r"(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)?(?: and [A-Z][a-z]+)?|the [a-z]+ team|The [a-z]+ team)"
_NOT_A_NAME: Final = frozenset(
    {"i", "it", "this", "that", "we", "they", "he", "she", "you", "there", "who", "what", "which", "please"}
    | {
        "and",
        "so",
        "then",
        "but",
        "okay",
        "ok",
        "let",
        "sales",
        "everyone",
        "everybody",
        "nobody",
        "somebody",
    }
)
# verbs after "will" that predict instead of promise, and acts of the meeting itself
_NO_TASK: Final = re.compile(
    r"^(?:be|have|become|happen|increase|decrease|grow|fall|rise|go (?:up|down|over|through|ahead)|take place|cost|start|begin"
    r"|open|close|end|need|want|like|see|hear|explain|say|tell|talk|speak|discuss|move on|continue|go|listen|wait|join|come"
    r"|note|look at|think|know|remember|find that|let you|show you|walk you|introduce|ask|answer|agree)\b"
)
_BECOMES = r"(?:will(?! not)|is going to|are going to|has to|have to|needs to|need to|agreed to|agrees to|promised to|should|must)"
_RULES: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    # Tom will send the slides by Monday; the design team is going to ...
    ("statement", re.compile(rf"^(?P<who>{_NAME}),? {_BECOMES} (?P<task>.+)$", re.IGNORECASE)),
    # I will finish the report; I'll, I am going to
    ("statement", re.compile(r"^(?P<who>I)(?:'ll| will(?! not)| am going to|'m going to| can) (?P<task>.+)$", re.IGNORECASE)),
    # Tom is responsible for the budget; Anna takes care of the workshop
    ("statement", re.compile(
        rf"^(?P<who>{_NAME}) (?:is|are|will be) (?:responsible for|in charge of) (?P<task>.+)$", re.IGNORECASE)),
    ("statement", re.compile(rf"^(?P<who>{_NAME}) takes? (?P<task>care of .+)$", re.IGNORECASE)),
    ("statement", re.compile(rf"^action item(?: for (?P<who>{_NAME}))?[:,] (?P<task>.+)$", re.IGNORECASE)),
    # Anna, please review ...; please prepare ...; Tom, could you ...; we need Tom to ...
    ("request", re.compile(rf"^(?:(?P<who>{_NAME}), )?please (?P<task>.+)$", re.IGNORECASE)),
    ("request", re.compile(rf"^(?:(?P<who>{_NAME}), )?(?:can|could|would|will) you (?:please )?(?P<task>.+)$", re.IGNORECASE)),
    ("request", re.compile(rf"^(?:we need|i want|i'd like) (?P<who>{_NAME}) to (?P<task>.+)$", re.IGNORECASE)),
    ("when_question", re.compile(rf"^(?:(?P<who>{_NAME}), )?(?:by )?when (?:can|could|will) you (?P<task>.+)$", re.IGNORECASE)),
    ("request", re.compile(r"^who (?:will|can|could|is going to) (?P<task>.+)$", re.IGNORECASE)),
)  # fmt: skip
_OPENING: Final = re.compile(
    r"^(?:(?:okay|ok|so|and|then|well|yes|sure|right|great|now|also|but|no problem)[,.]? +)+", re.IGNORECASE
)


def english_drafts(sentence: Sentence) -> list[Draft]:
    """Return the possible action item of an English sentence as a list of at most one.

    The task has the spoken words ("send the budget") without the due date.
    """
    text = _OPENING.sub("", sentence.text.strip()).rstrip(" .!?")
    for kind, rule in _RULES:
        match = rule.match(text)
        if not match:
            continue
        who = match.groupdict().get("who")
        if who and who != "I" and who.split()[0].lower() in _NOT_A_NAME:
            continue
        task, due = _without_due(match["task"])
        if _NO_TASK.match(task.lower()):
            return []
        if kind == "statement" and sentence.text.rstrip().endswith("?"):
            return []
        owner = sentence.speaker if who and who.upper() == "I" else who
        return [Draft(kind, task, owner, due.text if due and kind != "when_question" else None)]
    return []


def _without_due(text: str) -> tuple[str, DateMention | None]:
    due = due_date(english_dates(text))
    if due is None:
        return text.strip(" ,"), None
    return re.sub(r"\s+", " ", text[: due.start] + text[due.end :]).strip(" ,"), due
