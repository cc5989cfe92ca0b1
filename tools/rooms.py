"""Draws the rooms of the package from its code: `python -m tools.rooms` renews the picture in docs/architecture.md.

A room is a module or a package below `stt_pipeline`. Arrows are imports, without those that follow from others.
"""

import ast
import re
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = "stt_pipeline"

_BEGIN, _END = "<!-- rooms: python -m tools.rooms -->", "<!-- end of rooms -->"


def picture() -> str:
    """Return the picture as Markdown: a Mermaid diagram of imports, and each room with its first sentence."""
    arrows = _reduced(_imports())
    order = sorted(arrows, key=lambda room: (-_height(room, arrows), room))
    diagram = [
        "```mermaid",
        "flowchart TD",
        *(f"    {room} --> {other}" for room in order for other in sorted(arrows[room])),
        "```",
    ]
    table = ["| room | what it is |", "|---|---|"]
    for room in order:
        table.append(f"| `{_shown(room)}` | {_sentence(PACKAGE, room)} |")
        table += [f"| &emsp;`{room}/{part}` | {_sentence(PACKAGE, room, part)} |" for part in _parts(room)]
    return "\n".join([*diagram, "", *table])


def renewed(page: str) -> str:
    """Return the page with the new picture between its two marks."""
    pattern = re.compile(f"(?<={re.escape(_BEGIN)}\n).*?(?={re.escape(_END)})", re.S)
    return pattern.sub(lambda _: picture() + "\n", page)


def _imports() -> dict[str, set[str]]:
    """Return the other rooms that each room imports."""
    graph = grimp.build_graph(PACKAGE)
    imports: dict[str, set[str]] = {child.rpartition(".")[2]: set() for child in graph.find_children(PACKAGE)}
    for module in graph.modules - {PACKAGE}:
        room = module.split(".")[1]
        for imported in graph.find_modules_directly_imported_by(module):
            other = imported.split(".")[1] if "." in imported else room
            imports[room] |= {other} - {room}
    return imports


def _reduced(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out the arrows that follow from others (the transitive reduction of an acyclic graph)."""
    below = {room: _reachable(room, imports) for room in imports}
    return {
        room: {other for other in others if not any(other in below[third] for third in others - {other})}
        for room, others in imports.items()
    }


def _reachable(room: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [room]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _height(room: str, arrows: dict[str, set[str]]) -> int:
    return max((_height(other, arrows) + 1 for other in arrows[room]), default=0)


def _path(*names: str) -> Path:
    folder = ROOT.joinpath(*names)
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _shown(room: str) -> str:
    return f"{room}/" if (ROOT / PACKAGE / room).is_dir() else f"{room}.py"


def _parts(room: str) -> list[str]:
    """Return the packages within a room."""
    return sorted(path.parent.name for path in (ROOT / PACKAGE / room).glob("*/__init__.py"))


def _sentence(*names: str) -> str:
    """Return the first sentence of a module's docstring."""
    text = " ".join((ast.get_docstring(ast.parse(_path(*names).read_text())) or "").split())
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0].replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
