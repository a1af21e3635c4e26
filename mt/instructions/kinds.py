"""The kinds of demands, by family: each check stands below the sentence that asks for it."""

from __future__ import annotations

import json
import re

from mt.instructions.demands import DemandKind, demand
from mt.instructions.text import Text

_SINGLE = "always often together simple morning family gentle bright never because"
_OTHER = "today friend world quiet better small people good"
_COMMON = "the and is it you of to in"

# Length


@demand("Length", "Use at most {n} words.", claims="length", n="8 10 12 15 20", weight=8)
def at_most(text: Text, n: str) -> bool:
    """Count words."""
    return len(text.words) <= int(n)


@demand("Length", "Use at least {n} words.", claims="length", n="12 15 20")
def at_least(text: Text, n: str) -> bool:
    """Count words."""
    return len(text.words) >= int(n)


@demand("Length", "Use between {low} and {high} words.", claims="length", held_out=True, low="8 10 12 15")
def between(text: Text, low: str, high: str) -> bool:
    """Count words."""
    return int(low) <= len(text.words) <= int(high)


@demand("Length", "Use exactly {n} words.", claims="length", held_out=True, n="6 8 10")
def exactly(text: Text, n: str) -> bool:
    """Count words."""
    return len(text.words) == int(n)


@demand("Length", "Answer in a single sentence.", claims="structure", weight=6)
def one_sentence(text: Text) -> bool:
    """Count sentences."""
    return text.sentences == 1


@demand("Length", "Answer in exactly {n} sentences.", claims="structure stops", n="2 3")
def sentences(text: Text, n: str) -> bool:
    """Count sentences."""
    return text.sentences == int(n)


@demand("Length", "Write exactly 2 paragraphs with a blank line between them.", claims="structure")
def paragraphs(text: Text) -> bool:
    """Count what blank lines separate."""
    return text.paragraphs == 2


# Words


@demand("Words", 'Include the word "{word}".', claims="word", excludes="letter", word=_SINGLE, weight=6)
def include(text: Text, word: str) -> bool:
    """Look for the word."""
    return word in text.words


@demand("Words", 'Do not use the word "{word}".', word=_COMMON, weight=6)
def avoid(text: Text, word: str) -> bool:
    """Look for the word."""
    return word not in text.words


@demand(
    "Words",
    'Start your answer with the word "{word}".',
    claims="word start",
    excludes="start letter",
    word="yes well many some first surely most every",
    weight=4,
)
def start(text: Text, word: str) -> bool:
    """Look at the first word."""
    return text.words[:1] == [word]


@demand(
    "Words",
    'End your answer with the word "{word}".',
    claims="word end",
    excludes="end letter",
    word="today always life again everyone too forever indeed",
)
def end(text: Text, word: str) -> bool:
    """Look at the last word."""
    return text.words[-1:] == [word]


@demand("Words", 'Use the word "{word}" at least 2 times.', "word", "letter", held_out=True, word=_OTHER)
def twice(text: Text, word: str) -> bool:
    """Count the word."""
    return text.words.count(word) >= 2


@demand(
    "Words",
    'Include both the word "{word}" and the word "{other}".',
    claims="word",
    excludes="letter",
    held_out=True,
    word=_SINGLE,
    other=_OTHER,
)
def both(text: Text, word: str, other: str) -> bool:
    """Look for both words."""
    return word in text.words and other in text.words


# Letters


@demand("Letters", "Use only lowercase letters.", claims="case", weight=4)
def lower(text: Text) -> bool:
    """Look for capitals."""
    return text.raw == text.raw.lower()


@demand("Letters", "Write everything in capital letters.", claims="case")
def upper(text: Text) -> bool:
    """Look for small letters."""
    return text.raw == text.raw.upper()


@demand("Letters", "Write exactly one word in capital letters.", claims="case", weight=1)
def one_capital(text: Text) -> bool:
    """Count words in capitals; one letter alone, such as I, is none."""
    return sum(len(word) > 1 and word.isupper() for word in text.spelled) == 1


@demand("Letters", "Use at least one number, written in digits.", weight=4)
def digits(text: Text) -> bool:
    """Look for a number; that of a list item is none."""
    return any(word.isdigit() for word in text.words)


@demand("Letters", "Start every word with a capital letter.", claims="case", held_out=True)
def capitalised(text: Text) -> bool:
    """Look at the first character of every word; digits count as capitals."""
    return all(not word[0].islower() for word in text.spelled)


@demand("Letters", 'Do not use the letter "{letter}".', "letter", "letter word", held_out=True, letter="b p v k m y g")
def no_letter(text: Text, letter: str) -> bool:
    """Look for the letter, small or capital."""
    return letter not in text.raw.lower()


# Marks


@demand("Marks", "Do not use any commas.", weight=8)
def no_commas(text: Text) -> bool:
    """Look for a comma."""
    return "," not in text.raw


@demand("Marks", "End your answer with an exclamation mark.", claims="end", weight=4)
def exclamation(text: Text) -> bool:
    """Look at the last character."""
    return text.raw.endswith("!")


@demand("Marks", "End your answer with a question mark.", claims="end")
def question(text: Text) -> bool:
    """Look at the last character."""
    return text.raw.endswith("?")


@demand("Marks", "Do not use any full stops.", claims="stops")
def no_full_stops(text: Text) -> bool:
    """Look for a full stop."""
    return "." not in text.raw


@demand("Marks", "Put your whole answer between double quotation marks.", claims="start end")
def quotes(text: Text) -> bool:
    """Look at the first and the last character."""
    return len(text.raw) > 2 and text.raw[0] in '"“' and text.raw[-1] in '"”'


@demand("Marks", "Use at least one colon.")
def colon(text: Text) -> bool:
    """Look for a colon."""
    return ":" in text.raw


@demand("Marks", "Put a remark between round brackets.", held_out=True)
def brackets(text: Text) -> bool:
    """Look for brackets that hold a word."""
    return bool(re.search(r"\([^()]*\w[^()]*\)", text.raw))


@demand("Marks", "Use at least one semicolon.", held_out=True)
def semicolon(text: Text) -> bool:
    """Look for a semicolon."""
    return ";" in text.raw


# Form


@demand(
    "Form",
    'Write exactly {n} bullet points, each on its own line that starts with "- ".',
    claims="structure start",
    n="2 3 4",
    weight=4,
)
def bullets(text: Text, n: str) -> bool:
    """Count lines that start so."""
    return sum(line.startswith("- ") for line in text.lines) == int(n)


@demand(
    "Form",
    'Write a numbered list of exactly {n} items, each on its own line, the first starting with "1. ".',
    claims="structure start stops",
    n="2 3 4",
    weight=4,
)
def numbered(text: Text, n: str) -> bool:
    """Compare the numbers at the beginnings of lines with 1 to n."""
    found = [int(match[1]) for line in text.lines if (match := re.match(r"(\d+)[.)]\s+\S", line))]
    return found == list(range(1, int(n) + 1))


@demand(
    "Form", "Put a title between square brackets on the first line, and your answer below it.", claims="start", weight=1
)
def title(text: Text) -> bool:
    """Look at the first line."""
    return len(text.lines) > 1 and bool(re.fullmatch(r"\[[^\[\]]*\w[^\[\]]*\]", text.lines[0]))


@demand("Form", "Put at least one phrase in bold, between **double asterisks**.", weight=1)
def bold(text: Text) -> bool:
    """Look for a phrase in bold."""
    return bool(re.search(r"\*\*[^*\n]*\w[^*\n]*\*\*", text.raw))


@demand(
    "Form",
    'End with a last line that starts with "Note:".',
    claims="structure end case",
    excludes="structure end case letter",
    held_out=True,
)
def note(text: Text) -> bool:
    """Look at the last line."""
    return len(text.lines) > 1 and text.lines[-1].startswith("Note:")


@demand(
    "Form",
    'Give your answer as JSON with the single key "answer".',
    claims="structure start end case",
    excludes="structure start end case letter",
    held_out=True,
)
def as_json(text: Text) -> bool:
    """Read the answer as JSON."""
    try:
        found = json.loads(text.raw)
    except ValueError:
        return False
    return isinstance(found, dict) and list(found) == ["answer"] and isinstance(found["answer"], str)


@demand(
    "Form",
    'Separate two parts of your answer by a line that holds only "***".',
    claims="structure",
    held_out=True,
)
def divider(text: Text) -> bool:
    """Look for the line between the first and the last one."""
    return "***" in text.lines[1:-1]


KINDS: tuple[DemandKind, ...] = tuple(kind for kind in list(globals().values()) if isinstance(kind, DemandKind))
"""All kinds, in the order above."""
