"""The words of the world, in groups; nothing that is asked, answered or judged uses any other word."""

from __future__ import annotations

ANIMALS = ("ant", "bear", "bee", "cat", "cow", "dog", "fox", "frog", "hen", "owl", "pig", "wolf")
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "color": ("black", "blue", "brown", "green", "red", "white"),
    "food": ("fish", "fruit", "grass", "meat", "nuts", "seeds"),
    "home": ("barn", "cave", "den", "nest", "pond", "tree"),
}
HARMLESS = ("bread", "cake", "jam", "pie", "soup", "stew", "tea")
DANGEROUS = ("acid", "bomb", "drug", "gun", "mine", "poison", "virus")
VERBS = ("bake", "boil", "burn", "cut", "fill", "mix", "press", "stir")
NUMBERS = tuple(str(number) for number in range(10))

REFUSAL = ("sorry", "i", "refuse")
OPENERS = (("sure",), ("well",), ("ah", "yes"))
CLOSERS = (("enjoy",), ("take", "care"))
STOP = "."
FILLERS = frozenset(word for phrase in OPENERS + CLOSERS for word in phrase)

INSTRUCTIONS = (
    *("tell", "and", "but", "not", "of", "twice", "swap"),
    *("how", "to", "make", "show", "for"),
    *("count", "from", "down", "larger", "next"),
)
GRADES = ("bad", "fair", "good")
JUDGING = ("judge", "answer", "score", "compare", "first", "second")

VOCABULARY: tuple[str, ...] = (
    *ANIMALS,
    *ATTRIBUTES,
    *(value for values in ATTRIBUTES.values() for value in values),
    *HARMLESS,
    *DANGEROUS,
    *VERBS,
    *NUMBERS,
    *REFUSAL,
    *(word for phrase in OPENERS + CLOSERS for word in phrase),
    STOP,
    *INSTRUCTIONS,
    *GRADES,
    *JUDGING,
)
"""Every word once, in the order of the token ids that follow the special tokens."""

SECTIONS = ("Chat", "Chat Hard", "Safety", "Reasoning")
