"""Particles and copula that may follow a Korean noun, as a regular expression: for nouns that are in no dictionary."""

from typing import Final

_PARTICLES: Final = (
    "으로부터", "로부터", "에서부터", "에서는", "에서도", "에게서", "한테서", "이라도", "이라고", "이라는", "이라면", "이라서", "이랑은", "이나마",
    "까지는", "까지도", "부터는", "으로는", "으로도", "으로서", "으로써", "로서", "로써", "로는", "로도", "라도", "라고", "라는", "라면", "라서",
    "에서", "에게", "에는", "에도", "께서", "한테", "하고", "처럼", "보다", "마다", "밖에", "까지", "부터", "조차", "마저", "대로", "만큼",
    "이나", "이란", "이랑", "이든", "으로", "이며", "이고", "은요", "는요", "에요", "요", "은", "는", "이", "가", "을", "를", "의", "에",
    "께", "로", "와", "과", "도", "만", "나", "란", "랑", "든", "뿐", "님", "씨",
)  # fmt: skip

# forms of 이다; any ending may follow, since no noun looks like this
_COPULA: Final = (
    "입니다", "입니까", "이었", "였", "이에요", "예요", "이에여", "이죠", "이지",
)  # fmt: skip
_SHORT_COPULA: Final = (
    "인데", "인가", "인지", "이니까", "이니", "이어서", "이면", "일까", "일", "인",
)  # fmt: skip

ONLY_PARTICLES: Final = rf"(?:{'|'.join(_PARTICLES)}){{0,2}}(?:(?:{'|'.join(_COPULA)})[가-힣]{{0,4}}|(?:{'|'.join(_SHORT_COPULA)})[가-힣]{{0,2}})?"
"""Particles, the copula, or the empty string; no letter may follow the match."""
