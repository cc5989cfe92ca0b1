"""FFmpeg, OpenSSL and libpq: which versions are loaded, and which of them are known to be bad.

Most are inside wheels, where no system update reaches them. ``bad_versions.toml`` is the list, with its date.
"""

import ctypes
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module, metadata
from importlib.resources import files
from typing import Literal

from stt_pipeline.health import Check

Library = Literal["FFmpeg", "OpenSSL", "libpq"]


@dataclass(frozen=True, slots=True)
class NativeLibrary:
    """A native library that this process uses.

    Attributes:
        name: its name in ``bad_versions.toml``.
        version: as the library gives it, for example ``8.1.2`` or ``3.0.19 27 Jan 2026``.
        package: the Python package that loads it.
        in_wheel: the file is part of the package's wheel, not of the operating system.
    """

    name: Library
    version: str
    package: str
    in_wheel: bool


@dataclass(frozen=True, slots=True)
class BadRange:
    """Versions with a known hole: ``first <= version < fixed``."""

    library: Library
    first: tuple[int, ...]
    fixed: tuple[int, ...]
    reason: str

    def contains(self, library: NativeLibrary) -> bool:
        """Whether the library is of this range."""
        return library.name == self.library and self.first <= _numbers(library.version) < self.fixed


@dataclass(frozen=True, slots=True)
class BadVersions:
    """The content of ``bad_versions.toml``."""

    listed: date
    ranges: tuple[BadRange, ...]

    @classmethod
    def load(cls) -> "BadVersions":
        """Read the list of this package."""
        content = tomllib.loads(files("stt_pipeline").joinpath("bad_versions.toml").read_text("utf-8"))
        ranges = (
            BadRange(bad["library"], _numbers(bad["from"]), _numbers(bad["fixed"]), bad["reason"])
            for bad in content["bad"]
        )
        return cls(content["listed"], tuple(ranges))

    def reason_against(self, library: NativeLibrary) -> str | None:
        """Return why the version is bad, or None."""
        return next((bad.reason for bad in self.ranges if bad.contains(library)), None)


def checks() -> Iterator[Check]:
    """Check every native library that is installed here."""
    return checks_of(installed(), BadVersions.load())


def checks_of(libraries: Iterable[NativeLibrary], bad_versions: BadVersions) -> Iterator[Check]:
    """Check these libraries.

    A bad version in a wheel fails. One of the operating system is a warning: distributions repair a library without
    giving it a new version.
    """
    for library in libraries:
        name = f"{library.name} ({library.package})"
        reason = bad_versions.reason_against(library)
        if reason is None:
            yield Check(name, "ok", library.version)
            continue
        found = f"{library.version}. {reason} (list of {bad_versions.listed})"
        if library.in_wheel:
            yield Check(name, "fail", found, f"Install a newer {library.package}; in a checkout: make setup.")
        else:
            yield Check(
                name, "warn", found, "Update the operating system; it may have repaired this version already."
            )


def installed() -> Iterator[NativeLibrary]:
    """Find the libraries of this environment. Loads them."""
    import ssl

    import av
    import psycopg

    yield NativeLibrary("FFmpeg", av.ffmpeg_version_info, "av", in_wheel=_has_file("av", "libavcodec"))
    yield NativeLibrary("OpenSSL", ssl.OPENSSL_VERSION.removeprefix("OpenSSL "), "Python", in_wheel=False)
    in_wheel = psycopg.pq.__impl__ == "binary"
    yield NativeLibrary("libpq", _libpq_version(psycopg.pq.version()), "psycopg", in_wheel)
    yield from _openssl_in_wheel("psycopg-binary")
    try:  # of dagster-postgres
        psycopg2 = import_module("psycopg2")
    except ImportError:
        return
    in_wheel = _has_file("psycopg2-binary", "libpq")
    yield NativeLibrary("libpq", _libpq_version(psycopg2.__libpq_version__), "psycopg2", in_wheel)
    yield from _openssl_in_wheel("psycopg2-binary")


def _openssl_in_wheel(package: str) -> Iterator[NativeLibrary]:
    for file in _files(package, "libcrypto"):
        library = ctypes.CDLL(str(file.locate()))
        library.OpenSSL_version.restype = ctypes.c_char_p
        version: bytes = library.OpenSSL_version(0)  # 0 is OPENSSL_VERSION of openssl/crypto.h
        yield NativeLibrary("OpenSSL", version.decode().removeprefix("OpenSSL "), package, in_wheel=True)


def _has_file(package: str, prefix: str) -> bool:
    return bool(_files(package, prefix))


def _files(package: str, prefix: str) -> list[metadata.PackagePath]:
    try:
        found = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return []
    return [file for file in found if file.name.startswith(prefix)]


def _libpq_version(number: int) -> str:
    """Return ``18.6`` for 180006: PQlibVersion's form since PostgreSQL 10."""
    return f"{number // 10_000}.{number % 10_000}"


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers a version begins with; an unknown form counts as the oldest."""
    match = re.search(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else (0,)
