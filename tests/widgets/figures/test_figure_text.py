import html

from hypothesis import given
from hypothesis import strategies as st

from widgets.figures.text import LONGEST, safe, thousands, token_label


@given(st.text())
def test_safe_text_has_no_markup_and_decodes_to_itself(text):
    escaped = safe(text)
    assert not set("<>$\"'") & set(escaped)
    assert html.unescape(escaped) == html.unescape(html.escape(text))


def test_entities_in_a_token_stay_as_written():
    assert safe("&lt;b&gt;") == "&#38;lt;b&#38;gt;"


def test_blanks_are_visible():
    assert token_label(" a\n\t") == "␣a⏎⇥"
    assert token_label("") == "(no text)"
    assert token_label(None) == "(text unknown)"


def test_direction_overrides_and_controls_are_spelt_out():
    assert token_label("\u202e\x00\u200b") == "⟨U+202E⟩⟨U+0000⟩⟨U+200B⟩"


def test_long_tokens_are_cut():
    assert token_label("x" * 1000) == "x" * LONGEST + "…"


def test_thousands_are_parted():
    assert thousands(32000) == "32\u2009000"
