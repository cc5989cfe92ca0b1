"""Mutations of a file's bytes. The same seed gives the same mutant."""

import random
from collections.abc import Callable, Sequence

_HEADER = 4_096  # bytes of the beginning, where half of the mutations are
_MOST = 8  # mutations of one file
_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

_Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def mutated(content: bytes, others: Sequence[bytes], seed: str) -> bytes:
    """Return ``content`` with one to eight mutations; ``others`` are files to take parts from."""
    chance = random.Random(seed)
    mutant = bytearray(content)
    for _ in range(chance.randint(1, _MOST)):
        if mutant:
            chance.choice(_MUTATIONS)(mutant, chance, others)
    return bytes(mutant)


def _place(mutant: bytearray, chance: random.Random) -> int:
    return chance.randrange(min(len(mutant), _HEADER) if chance.random() < 0.5 else len(mutant))


def _length(chance: random.Random) -> int:
    return int(2 ** chance.uniform(0, 10))  # short ones mostly


def _flip_bit(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    mutant[_place(mutant, chance)] ^= 1 << chance.randrange(8)


def _random_bytes(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    first, length = _place(mutant, chance), _length(chance)
    mutant[first : first + length] = chance.randbytes(min(length, len(mutant) - first))


def _edge_number(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    """Write a number at a limit of its type, as a size or count could have."""
    first, width = _place(mutant, chance), chance.choice((1, 2, 4, 8))
    number = chance.choice(_EDGES) & ((1 << 8 * width) - 1)
    mutant[first : first + width] = number.to_bytes(width, chance.choice(("big", "little")))


def _truncate(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    del mutant[_place(mutant, chance) :]


def _remove(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    first = _place(mutant, chance)
    del mutant[first : first + _length(chance)]


def _repeat(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    first, times = _place(mutant, chance), chance.randint(1, 16)
    part = mutant[first : first + _length(chance)]
    mutant[first:first] = part * times


def _splice(mutant: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    """Put a part of another container in."""
    other = chance.choice(others)
    start, first = chance.randrange(len(other)), _place(mutant, chance)
    part = other[start : start + _length(chance)]
    mutant[first : first + (len(part) if chance.random() < 0.5 else 0)] = part


_MUTATIONS: tuple[_Mutation, ...] = (
    _flip_bit,
    _random_bytes,
    _edge_number,
    _edge_number,
    _truncate,
    _remove,
    _repeat,
    _splice,
)
