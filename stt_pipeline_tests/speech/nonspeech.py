"""Synthetic audio without speech, the same each time, for which a transcriber must write nothing.

All are float32 ``(samples,)``, 16 kHz, mono, below full scale.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

RATE = 16_000
Sound = npt.NDArray[np.float32]


def digital_silence(seconds: float = 20) -> Sound:
    """Zeros."""
    return np.zeros(round(seconds * RATE), np.float32)


def faint_noise(seconds: float = 20) -> Sound:
    """The noise floor of a quiet room, at -70 dBFS."""
    return _at_level(_noise(seconds, 1, 0.5), -70)


def white_noise(seconds: float = 30) -> Sound:
    """Equal power in every hertz."""
    return _at_level(_noise(seconds, 2, 0), -20)


def pink_noise(seconds: float = 30) -> Sound:
    """Equal power in every octave, like rain or an air conditioner."""
    return _at_level(_noise(seconds, 3, 0.5), -20)


def brown_noise(seconds: float = 30) -> Sound:
    """Mostly low, like wind on a microphone."""
    return _at_level(_noise(seconds, 4, 1), -20)


def mains_hum(seconds: float = 30) -> Sound:
    """50 Hz and its harmonics from a bad cable, with a little hiss."""
    time = _time(seconds)
    hum = sum(np.sin(2 * np.pi * 50 * n * time + n) / n for n in range(1, 12))
    return _at_level(np.asarray(hum) + 0.02 * _noise(seconds, 5, 0), -25)


def music(seconds: float = 60) -> Sound:
    """Chords that swell, an arpeggio that is plucked, a bass and drums: 110 beats a minute, no voice."""
    beat = 60 / 110
    total = np.zeros(round(seconds * RATE))
    random = np.random.default_rng(6)
    chords = [(57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62)]  # Am F C G, as MIDI notes
    for number in range(int(seconds / beat)):
        chord, at = chords[number // 4 % 4], number * beat
        if number % 4 == 0:
            for note in chord:
                _add(total, at, _tone(note, 4 * beat, 5) * _swell(4 * beat) * 0.12)
        _add(total, at, _tone(chord[0] - 24, beat, 3) * _decay(beat, 3) * 0.3)
        for half in (0, 1):
            note = chord[(2 * number + half) % 3] + 12
            _add(total, at + half * beat / 2, _tone(note, beat / 2, 6) * _decay(beat / 2, 6) * 0.2)
            hat = random.standard_normal(round(0.05 * RATE)) * _decay(0.05, 80)
            _add(total, at + half * beat / 2, np.diff(hat, prepend=0.0) * 0.08)
        drum = _time(0.2)
        if number % 2 == 0:
            _add(total, at, np.sin(2 * np.pi * (50 * drum + 8 * (1 - np.exp(-30 * drum)))) * _decay(0.2, 15))
        else:
            _add(total, at, random.standard_normal(len(drum)) * _decay(0.2, 25) * 0.3)
    return _at_level(total, -18)


def organ(seconds: float = 30) -> Sound:
    """Held chords with many harmonics and a slow tremolo: the instrument most similar to vowels."""
    total = np.zeros(round(seconds * RATE))
    for number in range(int(seconds / 3)):
        for note in ((48, 55, 64), (50, 57, 65), (43, 55, 62), (45, 52, 60))[number % 4]:
            _add(total, number * 3, _tone(note, 3, 12) * _swell(3))
    return _at_level(total * (1 + 0.2 * np.sin(2 * np.pi * 5 * _time(seconds))), -20)


def keyboard(seconds: float = 20) -> Sound:
    """Typing: short clicks of two kinds, at uneven times, over a faint room."""
    total = _at_level(_noise(seconds, 7, 0.5), -65).astype(np.float64)
    random = np.random.default_rng(8)
    at = 0.3
    while at < seconds - 0.2:
        for delay, gain in ((0.0, 0.3), (0.08, 0.12)):  # down and up
            click = random.standard_normal(round(0.012 * RATE)) * _decay(0.012, 350)
            ring = np.sin(2 * np.pi * random.uniform(1800, 4200) * _time(0.012)) * _decay(0.012, 250)
            _add(total, at + delay, (click + ring) * gain * random.uniform(0.5, 1))
        at += random.uniform(0.09, 0.4) if random.random() < 0.9 else random.uniform(0.7, 1.5)
    return total.astype(np.float32)


def ring_tone(seconds: float = 30) -> Sound:
    """A ringing telephone: 440 and 480 Hz for a second, two seconds of nothing (as in Korea)."""
    time = _time(seconds)
    tone = np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 480 * time)
    return _at_level(tone * (time % 3 < 1) + 1e-3 * _noise(seconds, 9, 0), -18)


def breathing(seconds: float = 30) -> Sound:
    """Noise through the resonances of an open mouth, swelling and ebbing every four seconds."""
    spectrum = np.fft.rfft(_noise(seconds, 10, 0.3))
    hertz = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    mouth = sum(
        np.exp(-(((hertz - centre) / width) ** 2)) for centre, width in ((600, 250), (1700, 500), (3200, 800))
    )
    air = np.fft.irfft(spectrum * mouth, round(seconds * RATE))
    return _at_level(air * np.clip(np.sin(2 * np.pi * _time(seconds) / 4), 0, None) ** 1.5 + 1e-4, -35)


SOUNDS: Mapping[str, Callable[[], Sound]] = {
    make.__name__: make
    for make in (
        digital_silence, faint_noise, white_noise, pink_noise, brown_noise, mains_hum,
        music, organ, keyboard, ring_tone, breathing,
    )
}  # fmt: skip


def _time(seconds: float) -> npt.NDArray[np.float64]:
    return np.arange(round(seconds * RATE)) / RATE


def _noise(seconds: float, seed: int, slope: float) -> npt.NDArray[np.float64]:
    """Return noise whose amplitude falls with the frequency to the power of ``slope``; its RMS is 1."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    if slope:
        hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
        samples = np.fft.irfft(np.fft.rfft(samples) / np.maximum(hertz, 20) ** slope, len(samples))
    return np.asarray(samples / np.sqrt(np.mean(samples**2)))


def _tone(note: int, seconds: float, harmonics: int) -> npt.NDArray[np.float64]:
    phase = 2 * np.pi * 440 * 2 ** ((note - 69) / 12) * _time(seconds)
    return np.asarray(sum(np.sin(n * phase) / n**1.5 for n in range(1, harmonics + 1)))


def _swell(seconds: float) -> npt.NDArray[np.float64]:
    return np.asarray(np.sin(np.pi * _time(seconds) / seconds) ** 0.5)


def _decay(seconds: float, rate: float) -> npt.NDArray[np.float64]:
    return np.asarray(np.exp(-rate * _time(seconds)))


def _add(total: npt.NDArray[np.float64], at: float, sound: npt.NDArray[np.float64]) -> None:
    first = round(at * RATE)
    part = total[first : first + len(sound)]
    part += sound[: len(part)]


def _at_level(samples: npt.NDArray[np.float64], level: float) -> Sound:
    """Return ``samples`` with an RMS of ``level`` dBFS, peaks held below full scale."""
    scaled = samples * 10 ** (level / 20) / np.sqrt(np.mean(samples**2))
    return np.asarray(np.clip(scaled, -0.99, 0.99), np.float32)
