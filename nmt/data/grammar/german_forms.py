"""German inflection: cases of nouns, declension of articles and adjectives, conjugation."""

from nmt.data.grammar.lexemes import Adjective, Agreement, Case, Determiner, Gender, Modal, Noun, Tense, Verb

CASES: tuple[Case, ...] = ("nominative", "accusative", "dative", "genitive")
Endings = dict[Case, tuple[str, str, str, str]]
COLUMN: dict[Gender, int] = {"masculine": 0, "feminine": 1, "neuter": 2}
PLURAL = 3


def _table(nominative: str, accusative: str, dative: str, genitive: str) -> Endings:
    rows = (nominative, accusative, dative, genitive)
    # every row has its four cells, which mypy cannot count
    return {case: tuple("" if cell == "-" else cell for cell in row.split()) for case, row in zip(CASES, rows, strict=True)}  # type: ignore[misc]


# Columns: masculine, feminine, neuter, plural.
ARTICLE = _table("der die das die", "den die das die", "dem der dem den", "des der des der")
DER = _table("er e es e", "en e es e", "em er em en", "es er es er")
EIN = _table("- e - e", "en e - e", "em er em en", "es er es er")
STRONG = _table("er e es e", "en e es e", "em er em en", "en er en er")
WEAK = _table("e e e en", "en e e en", "en en en en", "en en en en")
MIXED = _table("er e es en", "en e es en", "en en en en", "en en en en")
RELATIVE = _table("der die das die", "den die das die", "dem der dem denen", "dessen deren dessen deren")

HAVE: dict[str, dict[Agreement, str]] = {
    "present": {"first": "habe", "third": "hat", "plural": "haben"},
    "past": {"first": "hatte", "third": "hatte", "plural": "hatten"},
}
BE: dict[str, dict[Agreement, str]] = {
    "present": {"first": "bin", "third": "ist", "plural": "sind"},
    "past": {"first": "war", "third": "war", "plural": "waren"},
}
AUXILIARY = {"haben": HAVE, "sein": BE}
BECOME: dict[Agreement, str] = {"first": "werde", "third": "wird", "plural": "werden"}
FIRST_PERSON = {"wissen": "weiß", "mögen": "mag"}


def column(gender: Gender, plural: bool) -> int:
    return PLURAL if plural else COLUMN[gender]


def noun_form(noun: Noun, plural: bool, case: Case) -> str:
    """A noun in its case; weak masculines (der Student, den Studenten) show in their genitive."""
    if plural:
        return noun.plural + "n" if case == "dative" and noun.plural[-1] not in "ns" else noun.plural
    if case == "genitive" or (case != "nominative" and is_weak(noun)):
        return noun.genitive
    return noun.german


def is_weak(noun: Noun) -> bool:
    """Whether a masculine noun takes -(e)n in every case but the nominative singular."""
    return noun.gender == "masculine" and noun.genitive.endswith("n")


def determiner_form(determiner: Determiner, gender: Gender, plural: bool, case: Case) -> str:
    """An article or the like: `den`, `diesem`, `keine`, `vielen`, `zwei`."""
    index = column(gender, plural)
    match determiner.kind:
        case "article":
            return ARTICLE[case][index]
        case "der":
            return determiner.german + DER[case][index]
        case "ein":
            return determiner.german + EIN[case][index]
        case "many":
            return determiner.german + STRONG[case][index]
        case "fixed":
            return determiner.german


def adjective_form(adjective: Adjective, determiner: Determiner | None, gender: Gender, plural: bool, case: Case) -> str:
    """An adjective before its noun: weak after der-words, mixed after ein-words, strong where nothing else shows the case."""
    match determiner.kind if determiner is not None else "none":
        case "article" | "der":
            endings = WEAK
        case "ein":
            endings = MIXED
        case _:
            endings = STRONG
    return adjective.stem + endings[case][column(gender, plural)]


def present(verb: Verb, agreement: Agreement) -> str:
    """The present without a separable prefix: `nehme`, `nimmt`, `nehmen`."""
    match agreement:
        case "first":
            return FIRST_PERSON.get(verb.german) or verb.german.removesuffix("n").removesuffix("e") + "e"
        case "third":
            return verb.third
        case "plural":
            return verb.german


def past(verb: Verb, agreement: Agreement) -> str:
    """The Präteritum without a separable prefix: `nahm`, `nahmen`; `machte`, `machten`."""
    if agreement != "plural":
        return verb.past
    return verb.past + ("n" if verb.past.endswith("e") else "en")


def finite(verb: Verb, tense: Tense, agreement: Agreement) -> str:
    """The one-word form of a full verb or of `sein`."""
    if verb.german == "sein":
        return BE[tense][agreement]
    return past(verb, agreement) if tense == "past" else present(verb, agreement)


def modal_form(modal: Modal, tense: Tense, agreement: Agreement) -> str:
    """A modal verb: `kann`, `können`, `konnte`."""
    singular, plural = modal.german[tense]
    return plural if agreement == "plural" else singular


def zu_infinitive(verb: Verb) -> tuple[str, ...]:
    """`zu lesen` as two words, `aufzustehen` as one."""
    return (verb.prefix + "zu" + verb.german,) if verb.prefix else ("zu", verb.german)
