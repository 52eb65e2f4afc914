"""English inflection: plurals, verb forms, articles."""

from nmt.data.grammar.lexemes import Agreement, Noun, Verb

VOWELS = "aeiou"

BE: dict[str, dict[Agreement, str]] = {
    "present": {"first": "am", "third": "is", "plural": "are"},
    "past": {"first": "was", "third": "was", "plural": "were"},
}


def plural(noun: str) -> str:
    """The regular plural: `box` boxes, `city` cities, `boy` boys."""
    if noun.endswith("y") and noun[-2] not in VOWELS:
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh", "tato", "mato")) else "s")


def past(base: str) -> str:
    """The regular past and participle: `open` opened, `dance` danced, `try` tried."""
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in VOWELS:
        return base[:-1] + "ied"
    return base + "ed"


def third_person(base: str) -> str:
    """The present with `he`: `go` goes, `try` tries, `have` has."""
    if base == "have":
        return "has"
    if base.endswith("y") and base[-2] not in VOWELS:
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "x", "ch", "sh", "o")) else "s")


def finite(base: str, past_form: str, tense: str, agreement: Agreement) -> str:
    """The one-word form of a full verb."""
    if base == "be":
        return BE[tense][agreement]
    if tense == "past":
        return past_form
    return third_person(base) if agreement == "third" else base


def ambiguous_past(verb: Verb) -> bool:
    """Whether `they read` could be present or past."""
    return verb.english == verb.english_past


def noun_form(noun: Noun, is_plural: bool) -> str:
    return noun.english_plural if is_plural else noun.english


def indefinite_article(next_word: str) -> str:
    """`a` or `an`, by the letter that follows; the lexicon has no word such as `hour` or `university`."""
    return "an" if next_word[0] in VOWELS else "a"
