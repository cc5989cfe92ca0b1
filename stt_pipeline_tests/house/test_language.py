"""Plain field English: the product's text uses no idiom of the list, and names only files that exist."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "stt_pipeline"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docker").rglob("*.md")])

IDIOMS = {
    r"\b(some|no|any|every)body\b": "user, caller, operator, speaker",
    r"\bwho(so)?ever\b": "the user who",
    r"\b(hear|hears|heard|hearing|mishears?|misheard)\b": "transcribe, decode, read; text",
    r"\banew\b": "again",
    r"\b(lend|lends|lent|lending)\b": "open, return",
    r"\bwish(es|ed)?\b": "option, request",
    r"\b(taken?|takes|took|taking|put|puts|have|has|had) (\w+ )?in hand\b|\bin hand\b(?!-)": "active, in progress",
    r"\b(leave|leaves|left|leaving) (\w+ )?alone\b": "skip",
    r"\ball the same\b": "anyway",
    r"\b(and|or) the like\b": "and similar",
    r"\bso (many|much|few|long)\b(?! (as|that)\b)": "this many, this long",
    r"\b(can|cannot|may|could|to) be had\b": "is available",
    r"\b(is|are|was|were) away\b": "is unavailable",
    r"\bworth a look\b": "to review",
    r"\bstretch(es|ed)?\b": "region, span",
    r"\bas far as\b": "where, if",
    r"\b(it|that|this) is no (?!longer|other|more)\w+": "is not a",
    r"\bcome?s? of it\b|\bwhat becomes of\b|\bwhat became of\b|\bbecomes of\b": "the result of",
    r"\bgo(es)? by the name\b|\bis (told|said|asked) (of|about)\b": "has, gets",
    r"\bfor ever\b": "forever",
    r"\bforgive|\bforgiven\b": "undo",
    r"\bnotwithstanding\b|\bwherever\b|\bwhatsoever\b": "where",
}
"""Pattern of an idiom, and words to use instead. Add what a reviewer had to ask about."""

ALLOWED = {
    "stt_pipeline/speech/hallucination/phrases.py",  # sentences that Whisper writes
    "stt_pipeline/minutes/extractive/english_actions.py",  # English words that the rules look for
    "CHANGELOG.md",  # old names
}


ALLOWED_STRINGS = {'"heard"'}  # the old JSON key of raw_text


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each comment and string of a module; of a page, of each line without its code."""
    text = path.read_text()
    if path.suffix != ".py":
        for number, line in enumerate(text.splitlines(), start=1):
            yield number, re.sub("`[^`]*`", "", line)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_word = token.string in ALLOWED_STRINGS
        if token.type in (tokenize.COMMENT, tokenize.STRING) and not is_word:
            for number, line in enumerate(token.string.splitlines()):
                yield token.start[0] + number, line


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if str(path.relative_to(ROOT)) not in ALLOWED]


@pytest.mark.parametrize(
    "room", sorted({path.relative_to(PACKAGE).parts[0] for path in modules()} | {"pages"})
)
def test_the_text_has_no_idiom_of_the_list(room: str) -> None:
    paths = (
        [p for p in PAGES if p.name not in ALLOWED]
        if room == "pages"
        else [p for p in modules() if p.relative_to(PACKAGE).parts[0] == room]
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: write {instead}"
        for path in paths
        for number, line in prose_of(path)
        for pattern, instead in IDIOMS.items()
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_the_list_finds_idioms() -> None:
    line = "Whoever takes a file in hand hears what somebody said anew."
    assert sum(bool(re.search(pattern, line, re.IGNORECASE)) for pattern in IDIOMS) == 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_files_that_exist(page: Path) -> None:
    named = set(re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|sh|md|yaml|toml|txt))`", page.read_text()))
    missing = [
        name
        for name in sorted(named)
        if not any(
            (root / name).exists() for root in (ROOT, PACKAGE, ROOT / "stt_pipeline_tests", page.parent)
        )
        and "NAME" not in name
        and "/run" not in name
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_every_module_says_what_it_contains() -> None:
    silent = [
        str(path) for path in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_no_module_is_too_long_or_has_an_empty_name() -> None:
    paths = [path for root in ("stt_pipeline", "benchmarks", "tools") for path in (ROOT / root).rglob("*.py")]
    assert not [str(path) for path in paths if len(path.read_text().splitlines()) > 350]
    assert not [path for path in paths if path.stem in ("utils", "helpers", "common", "base")]


def test_a_public_class_has_a_name_of_its_own() -> None:
    modules_of: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules_of.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert not {name: modules for name, modules in modules_of.items() if len(modules) > 1}


def test_the_picture_of_the_rooms_is_of_this_code() -> None:
    from tools.rooms import PAGE, renewed

    page = PAGE.read_text()
    assert page == renewed(page), "renew it: python -m tools.rooms"


def test_imports_have_no_circle() -> None:
    import grimp

    graph = grimp.build_graph("stt_pipeline")
    circles = graph.nominate_cycle_breakers("stt_pipeline")
    assert not circles


def test_tests_patch_no_private_name() -> None:
    pattern = re.compile(r"""setattr\(\s*[^,]*?(?:,\s*)?["'](?:[\w.]+\.)?_[a-zA-Z]""")
    tests = sorted((ROOT / "stt_pipeline_tests").rglob("*.py"))
    found = [
        f"{path.name}: {line.strip()}"
        for path in tests
        for line in path.read_text().splitlines()
        if pattern.search(line)
    ]
    assert not found, "pass a fake or a parameter"
