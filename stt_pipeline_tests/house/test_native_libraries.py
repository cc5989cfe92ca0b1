"""Versions of native libraries: what is found here, and which versions are bad."""

import re
from datetime import date

import pytest

from stt_pipeline.native_libraries import BadVersions, Library, NativeLibrary, checks_of, installed

BAD = BadVersions.load()


def check(name: Library, version: str, in_wheel: bool = True) -> tuple[str, str]:
    (found,) = checks_of([NativeLibrary(name, version, "a-package", in_wheel)], BAD)
    return found.state, found.found


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("FFmpeg", "8.1.1"),  # the newest PyAV for Python 3.10
        ("FFmpeg", "n7.1.1"),
        ("OpenSSL", "1.1.1w  11 Sep 2023"),
        ("OpenSSL", "3.0.20 7 Apr 2026"),
        ("OpenSSL", "3.3.7 7 Apr 2026"),
        ("OpenSSL", "3.5.6 7 Apr 2026"),
        ("OpenSSL", "4.0.0 14 Apr 2026"),
        ("libpq", "9.6.24"),
        ("libpq", "17.9"),
        ("libpq", "18.3"),
    ],
)
def test_bad_versions_fail_with_a_reason(name: Library, version: str) -> None:
    state, found = check(name, version)
    assert state == "fail"
    assert found.startswith(f"{version}. ")
    assert str(BAD.listed) in found


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("FFmpeg", "8.1.2"),
        ("FFmpeg", "8.2"),
        ("OpenSSL", "3.0.21 9 Jun 2026"),
        ("OpenSSL", "3.4.6 9 Jun 2026"),
        ("OpenSSL", "3.5.10 1 Dec 2026"),
        ("OpenSSL", "4.0.1 9 Jun 2026"),
        ("libpq", "14.23"),
        ("libpq", "15.18"),
        ("libpq", "17.10"),
        ("libpq", "19.0"),
    ],
)
def test_repaired_versions_are_good(name: Library, version: str) -> None:
    assert check(name, version) == ("ok", version)


def test_a_bad_version_of_the_operating_system_is_a_warning() -> None:
    assert check("OpenSSL", "3.0.19 27 Jan 2026", in_wheel=False)[0] == "warn"


def test_an_unknown_form_of_version_counts_as_the_oldest() -> None:
    assert check("FFmpeg", "unknown")[0] == "fail"


def test_every_bad_range_is_one() -> None:
    assert BAD.listed <= date.today()
    for bad in BAD.ranges:
        assert bad.first < bad.fixed
        assert re.match(r"CVE-\d{4}-\d+: |OpenSSL 1\.1\.1", bad.reason)


def test_what_is_installed_here_is_good() -> None:
    libraries = list(installed())
    assert {library.name for library in libraries} == {"FFmpeg", "OpenSSL", "libpq"}
    assert all(re.match(r"\d+\.\d+", library.version) for library in libraries)
    in_wheels = [library for library in libraries if library.in_wheel]
    assert {"av", "psycopg"} <= {library.package for library in in_wheels}
    assert [found for found in checks_of(in_wheels, BAD) if found.state != "ok"] == []
