"""Where a subtitle may break: how good it is to end a cue or a line between two units of text.

Rules of the Netflix Timed Text Style Guides ("Line Treatment"): after punctuation, before conjunctions and prepositions; not
between an article or an adjective and its noun, or a verb and its auxiliary. Korean breaks after endings and particles, and
eojeol that belong together stay together (그럴 수 있습니다). Endings are found by their letters: morphology would take seconds for
an hour of text, and a wrong guess costs a break of lower quality only.
"""

import re
from functools import lru_cache
from typing import Final

from stt_pipeline.minutes.subtitles.text_units import TextUnit

SENTENCE: Final = 0
CLAUSE: Final = 2
PHRASE: Final = 6
WORD: Final = 9
BOUND: Final = 24
"""Costs of a break, from the best to the worst."""

CLAUSE_PAUSE: Final = 0.4
SENTENCE_PAUSE: Final = 1.0
"""Seconds without speech that are as good as the end of a clause, or of a sentence."""

_SENTENCE_END: Final = re.compile(r"(?:[!?…。！？]|(?<!\d)\.)[\"'”’」』)\]]*$")
_ABBREVIATION: Final = re.compile(r"^(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e)\.$")
_CLAUSE_MARK: Final = re.compile(r"[,;:،、，；：–—][\"'”’」』)\]]*$")

_KOREAN_CLAUSE: Final = re.compile(
    r"(?:은지|는지|한지|인지|된지|할지|을지|지만|는데|은데|던데|니까|면서|으며|하며|되며|려고|라고|다고|자고|냐고|도록|려면|다면|라면|으면|하면|되면|거나|든지|다가|"
    r"므로|어서|아서|해서|여서|라서|하고|되고|있고|없고|이고|였고|했고|됐고|고요|구요|지요|네요|어요|아요|해요|에요|예요|"
    r"죠|니다|니까|습니까|자마자|느라|더니|때문에|경우에)$"
)
_KOREAN_PHRASE: Final = re.compile(
    r"(?:[은는이가을를도]|에|에서|에게|한테|께서|으로|로|까지|부터|처럼|보다|마다|밖에|조차|에는|에도|에서는|으로는|로는|하게|"
    r"들이|들은|들을)$"
)
# adnominal forms and determiners stand before their noun
_KOREAN_BOUND: Final = re.compile(
    r"(?:^(?:이|그|저|이런|그런|저런|어떤|무슨|모든|각|매|약|첫|두|세|네|다섯|여러|몇|한|안|못|더|가장|아주|매우|너무|다음|이번|지난|오전|오후|우리|[가-힣])$)"
    r"|(?:[하되있없같않싶나오가보주]는|[은인한된할될갈올볼줄]|의|적인|던|[했됐있없겠]을)$"
)
# dependent nouns and auxiliary verbs follow another eojeol
_KOREAN_DEPENDENT: Final = re.compile(
    r"^(?:수[는가도를]?$|것|거[는도를야라]?$|거예요|거죠|겁니다|게$|건$|걸$|때[는도문]?|적[이도은]?$|줄[은도을]?$|데[는도]?$|바[와는를]?$|뿐|"
    r"만큼|대로|중[에의]?|등[의을이]?$|채$|척|듯|셈|편|있[는었습어고던을으]|없[는었습어고던을으]|싶|않|못하|말[아고았]|봤|보[고겠았]|"
    r"주[시세셨겠]|버[리렸]|놓|두[고었]|해야$|합니다|됩니다|했습니다|됐습니다|\d)"
)

_ENGLISH_BOUND: Final = re.compile(
    r"^(?:an?|the|my|your|his|her|its|our|their|this|these|those|of|to|in|on|at|for|with|from|by|and|or|but|not|no|very|"
    r"i|we|you|he|she|they|is|are|was|were|be|been|am|will|would|can|could|should|must|may|might|have|has|had|do|does|did|"
    r"don't|won't|can't|i'm|i'll|we'll|mr\.|mrs\.|ms\.|dr\.)$",
    re.IGNORECASE,
)
_ENGLISH_CONJUNCTION: Final = re.compile(
    r"^(?:and|but|or|so|because|that|which|who|when|while|where|if|although|though|since|until|before|after|as|than)$",
    re.IGNORECASE,
)
_ENGLISH_PREPOSITION: Final = re.compile(
    r"^(?:to|of|in|on|at|for|with|from|by|about|into|over|under|through|between|without|during)$",
    re.IGNORECASE,
)
_KOREAN_DO: Final = re.compile("^(?:하[고는기며면여]|한다|합니다|했|할|해)")
_NUMBER: Final = re.compile(r"\d[만억조천백]*$")  # its unit follows: 200만 원, 5 minutes
_HANGUL: Final = re.compile("[가-힣]")


def break_cost(before: TextUnit, after: TextUnit) -> int:
    """Return the cost of a break between two units, from :data:`SENTENCE` to :data:`BOUND`."""
    if after.is_mark or not any(map(str.isalnum, after.text)):  # a dash or an arrow does not begin a line
        return BOUND
    pause = after.start - before.end
    if pause >= SENTENCE_PAUSE or ends_sentence(before.text):
        return SENTENCE
    cost = _text_cost(before.text, after.text)
    if not after.is_spaced:  # within a word of a script with spaces, the worst; else between two characters
        return BOUND if before.text.isascii() or _HANGUL.search(before.text) else max(cost, WORD)
    return min(cost, CLAUSE) if pause >= CLAUSE_PAUSE else cost


@lru_cache(maxsize=4096)
def ends_sentence(text: str) -> bool:
    """Return whether a sentence ends with this word: an abbreviation or a number with a full stop does not count."""
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATION.match(text)


@lru_cache(maxsize=16384)
def _text_cost(before: str, after: str) -> int:
    if _CLAUSE_MARK.search(before):
        return CLAUSE
    if _NUMBER.search(before):
        return BOUND
    if _HANGUL.search(before):
        return _korean_cost(before, after)
    if _ENGLISH_BOUND.match(before):
        return BOUND
    if _ENGLISH_CONJUNCTION.match(after):
        return CLAUSE + 1
    return PHRASE if _ENGLISH_PREPOSITION.match(after) else WORD


def _korean_cost(before: str, after: str) -> int:
    if _KOREAN_DEPENDENT.match(after) or (before[-1] in "을를" and _KOREAN_DO.match(after)):
        return BOUND
    if _KOREAN_CLAUSE.search(before):
        return CLAUSE
    if _KOREAN_BOUND.search(before):
        return BOUND // 2
    return PHRASE if _KOREAN_PHRASE.search(before) else WORD
