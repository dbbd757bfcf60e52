"""The reference of recipe keys is complete and up to date."""

from __future__ import annotations

from pathlib import Path

from tooldojo.configs.document import document
from tooldojo.configs.loading import known_keys

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def test_every_key_is_there() -> None:
    page = document()
    for key in known_keys():
        section, _, name = key.partition(".")
        assert f"## [{section}]" in page
        assert not name or f"| `{name}` |" in page


def test_types_bounds_and_defaults() -> None:
    page = document()
    assert '| `call_format` | `hermes`, `llama3` | `"hermes"` |' in page
    assert '| `worlds` | list of text (not empty) | `["tooldojo/Orders-v0"]` |' in page
    assert "| `group_size` | integer >= 2 | `8` |" in page
    assert "| `lora_dropout` | number >= 0, < 1 | `0.0` |" in page


def test_the_page_is_up_to_date() -> None:
    advice = "run `python -m tooldojo.configs.document > docs/config.md`"
    assert PAGE.read_text(encoding="utf-8") == document(), advice
