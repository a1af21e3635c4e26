"""Writes answers that meet demands, whatever they are: independent of the checks, and proof that demands agree."""

from __future__ import annotations

import json

FILLER = ("warm", "calm", "near", "old", "soft", "real", "true", "less", "fun", "nice", "rest", "lost", "tall", "sure")


def write(topic_words: str, demands: dict[str, dict[str, str]]) -> str:
    """Return an answer about a topic (its word beginnings) that meets demands, given by name with their values."""
    wants = Wants(demands)
    letter = demands.get("no_letter", {}).get("letter", "_")
    about = next(word for word in topic_words.split() if letter not in word)
    required = [about, *wants.required()]
    fillers = [word for word in FILLER if letter not in word]
    while len(required) < wants.least():
        required.append(fillers[len(required) % len(fillers)])
    first, last = wants.value("start"), wants.value("end")
    spare = list(required)
    for placed in filter(None, (first, last)):
        spare.remove(placed)  # once: another demand may want the same word
    units = wants.units()
    parts = [spare[i::units] for i in range(units)]
    if first:
        parts[0].insert(0, first)
    if "digits" in demands:
        parts[0].append("7")  # behind a word: a number alone in its line reads as that of a list item
    if last:
        parts[-1].append(last)
    return wants.shape([wants.spell(part) for part in parts])


class Wants:
    """What a set of demands wants of an answer."""

    def __init__(self, demands: dict[str, dict[str, str]]) -> None:
        self.demands = demands

    def __contains__(self, name: str) -> bool:
        return name in self.demands

    def value(self, name: str, blank: str = "word") -> str | None:
        return self.demands.get(name, {}).get(blank)

    def required(self) -> list[str]:
        found = [self.value("start"), self.value("end"), self.value("include")]
        found += [self.value("twice")] * 2 + [self.value("both"), self.value("both", "other")]
        return list(filter(None, found))

    def least(self) -> int:
        """Words of the body, those of a title, a note or a JSON key and the number left out."""
        extra = sum(name in self for name in ("title", "note", "as_json", "digits"))
        for name, blank in (("exactly", "n"), ("at_least", "n"), ("between", "low")):
            if count := self.value(name, blank):
                return int(count) - extra
        return max(5, self.units())

    def units(self) -> int:
        for name in ("sentences", "bullets", "numbered"):
            if count := self.value(name, "n"):
                return int(count)
        return 2 if {"paragraphs", "divider"} & set(self.demands) else 1

    def spell(self, words: list[str]) -> str:
        if "capitalised" in self:
            words = [word.capitalize() for word in words]
        return " ".join(words)

    def shape(self, parts: list[str]) -> str:
        mark = "" if "no_full_stops" in self or "no_commas" in self else "."
        end = "!" if "exclamation" in self else "?" if "question" in self else mark
        stop = "" if "bullets" in self or "numbered" in self else "!" if "no_full_stops" in self else "."
        if "one_capital" in self:
            parts[0] = self._one_capital(parts[0])
        if "bold" in self:
            parts[0] = self._mark(parts[0], "**", "**")
        if "brackets" in self:
            parts[0] = self._mark(parts[0], "(", ")")
        if "colon" in self:
            parts[0] += ":"
        if "semicolon" in self:
            parts[0] += ";"
        if "bullets" in self:
            parts = [f"- {part}" for part in parts]
        if "numbered" in self:
            parts = [f"{number}. {part}" for number, part in enumerate(parts, 1)]
        between = "\n\n" if "paragraphs" in self else "\n***\n" if "divider" in self else "\n"
        text = (stop + between).join(parts) + end
        if "title" in self:
            text = f"[{'Words' if 'capitalised' in self else 'words'}]\n{text}"
        if "note" in self:
            text += "\nNote:"
        if "as_json" in self:
            text = json.dumps({"answer": text})
        if "quotes" in self:
            text = f'"{text}"'
        return text.upper() if "upper" in self else text

    def _one_capital(self, text: str) -> str:
        word = next(word for word in text.split() if len(word) > 1)
        return text.replace(word, word.upper(), 1)

    def _mark(self, text: str, before: str, after: str) -> str:
        words = text.split()
        middle = min(1, len(words) - 1)
        return " ".join([*words[:middle], before + words[middle] + after, *words[middle + 1 :]])
