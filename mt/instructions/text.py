"""A response as the checkers read it: words, sentences, lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*]*(?:\s+|$)")


@dataclass(frozen=True)
class Text:
    """The text of a response, white space around it left out."""

    raw: str

    @cached_property
    def words(self) -> list[str]:
        """The words in small letters; signs and numbers of list items are none."""
        return [word.lower() for word in self.spelled]

    @cached_property
    def spelled(self) -> list[str]:
        """The words as they are written."""
        return _WORD.findall(_ITEM.sub("", self.raw))

    @cached_property
    def sentences(self) -> int:
        """What stands between full stops, exclamation marks and question marks, and holds a word."""
        return sum(bool(_WORD.search(part)) for part in _SENTENCE_END.split(_ITEM.sub("", self.raw)))

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank, white space around them left out."""
        return [line.strip() for line in self.raw.splitlines() if line.strip()]

    @cached_property
    def paragraphs(self) -> int:
        """What blank lines separate."""
        return sum(bool(part.strip()) for part in re.split(r"\n\s*\n", self.raw))

    def repeats(self) -> bool:
        """Say whether the text goes round in circles: three equal triples of words, or few different words."""
        words = self.words
        triples = list(zip(words, words[1:], words[2:], strict=False))
        often = any(triples.count(one) >= 3 for one in set(triples))
        return often or (len(words) >= 8 and len(set(words)) < 0.4 * len(words))

    def is_about(self, beginnings: str) -> bool:
        """Say whether a word has one of these beginnings, which white space separates."""
        return any(word.startswith(tuple(beginnings.split())) for word in self.words)
