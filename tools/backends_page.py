"""Makes docs/backends.md from the registries: ``python -m tools.backends_page > docs/backends.md``."""

from stt_pipeline.backends import DIARIZERS, FORMATS, NOTIFIERS, SOURCES, SUMMARIZERS, TRANSCRIBERS, Registry

SECTIONS = {
    "Transcribers": (TRANSCRIBERS, "Selected by `STT_TRANSCRIBER`, or by the batch option `transcriber`."),
    "Diarizers": (DIARIZERS, "Selected by `STT_DIARIZER`, or by the batch option `diarizer`."),
    "Summarizers": (SUMMARIZERS, "Selected by `STT_SUMMARIZER`, or by the batch option `summarizer`."),
    "Notifiers": (
        NOTIFIERS,
        "Selected by the scheme of a recipient in `notify_emails`, as in `mailto:kim@example.com`.",
    ),
    "Export formats": (
        FORMATS,
        "Selected by `--format` of `stt export` and `stt transcribe`, and by `format` in the API.",
    ),
    "Sources": (SOURCES, "Selected by the scheme of a source, as in `s3://recordings/2026`."),
}

HEAD = """# Backends

Every backend is one module and one entry in `stt_pipeline/backends.py`. Settings, options, `--help`, OpenAPI and the
contract tests read the entries. This page is made from them: `make docs`.
"""


def backends_page() -> str:
    """Return the page in Markdown, with a table for each registry that has entries."""
    sections = [
        f"## {title}\n\n{selected_by}\n\n{_table(registry)}\n"
        for title, (registry, selected_by) in SECTIONS.items()
        if registry
    ]
    return "\n".join([HEAD, *sections])


def _table(registry: Registry) -> str:
    rows = ["| name | description | settings | extra |", "|---|---|---|---|"]
    for name, backend in registry.items():
        settings = ", ".join(f"`{_variable(field)}`" for field in backend.settings)
        rows.append(f"| `{name}` | {backend.help} | {settings} | {backend.extra} |")
    return "\n".join(rows)


def _variable(field: str) -> str:
    return "STT_HOME" if field == "outbox" else f"STT_{field.upper()}"


if __name__ == "__main__":
    print(backends_page(), end="")
