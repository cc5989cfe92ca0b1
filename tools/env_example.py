"""Makes .env.example from the settings: ``python -m tools.env_example > .env.example``."""

import textwrap

from stt_pipeline.settings import Settings


def env_example() -> str:
    """Return every STT_* variable with its description and, commented out, its default."""
    lines = [
        "# Every setting, with its default. Copy this file to .env and change what you need;",
        "# environment variables take precedence. Made by: python -m tools.env_example > .env.example",
    ]
    for name, field in Settings.model_fields.items():
        lines += [
            "",
            *textwrap.wrap(field.description or "", 110, initial_indent="# ", subsequent_indent="# "),
        ]
        lines.append(f"#STT_{name.upper()}={field.default}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(env_example(), end="")
