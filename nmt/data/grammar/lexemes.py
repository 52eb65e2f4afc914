"""What a dictionary entry is: the words of the lexicon, with the forms that no rule can derive."""

from dataclasses import dataclass
from typing import Literal

Case = Literal["nominative", "accusative", "dative", "genitive"]
Gender = Literal["masculine", "feminine", "neuter"]
Agreement = Literal["first", "third", "plural"]
Tense = Literal["present", "past", "perfect", "pluperfect", "future"]
Slot = Literal[
    "subject", "recipient", "object", "complement", "predicate",
    "mid", "time", "manner", "company", "place", "direction", "reason", "content",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """A noun. `genitive` is the singular one; `classes` say what it can mean (`person`, `food`, …)."""

    english: str
    english_plural: str
    german: str
    genitive: str
    plural: str
    gender: Gender
    classes: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    """An adjective; `stem` is what endings are put on (`teuer`, `teur-`); comparatives only where they are used."""

    english: str
    german: str
    stem: str
    english_comparative: str
    comparative: str
    classes: frozenset[str]
    excluded: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Determiner:
    """An article or what stands in its place.

    `english` and `english_plural` are None where the word has no such number. `kind` names the German paradigm: `article`
    (der), `der` (dieser), `ein` (mein), `many` (viele: inflected like an adjective), `fixed` (zwei).
    """

    english: str | None
    english_plural: str | None
    german: str
    kind: Literal["article", "der", "ein", "many", "fixed"]
    definite: bool


@dataclass(frozen=True, slots=True, eq=False)
class PronounWord:
    """A personal pronoun: subject and object form in English; nominative, accusative and dative in German."""

    english: str
    english_object: str
    german: dict[Case, str]
    agreement: Agreement


@dataclass(frozen=True, slots=True, eq=False)
class Preposition:
    """A preposition, with the case that it governs in the sense that the English one has."""

    english: tuple[str, ...]
    german: str
    case: Case


@dataclass(frozen=True, slots=True, eq=False)
class Argument:
    """One place of a verb's frame: its slot, what may stand there, and the preposition where it has one."""

    slot: Slot
    optional: bool
    preposition: Preposition | None
    classes: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """A verb: its principal parts, as dictionaries give them, and its frames.

    `particle` is the second word of an English phrasal verb (`up`), `prefix` a separable German one (`auf`);
    `third` is the third person present, `past` the first and third person Präteritum, both without the prefix. With
    `recipient_to`, English names the recipient last (`explains the question to the child`).
    """

    english: str
    english_past: str
    english_participle: str
    particle: tuple[str, ...]
    german: str
    prefix: str
    third: str
    past: str
    participle: str
    auxiliary: Literal["haben", "sein"]
    subjects: frozenset[str]
    frames: tuple[tuple[Argument, ...], ...]
    adjuncts: dict[Slot, frozenset[str]]
    recipient_to: bool


@dataclass(frozen=True, slots=True, eq=False)
class Modal:
    """A modal verb. English: (auxiliary or None, lexical verb or None, the rest) per tense; German: singular, plural."""

    english: dict[Tense, tuple[str | None, str | None, tuple[str, ...]]]
    german: dict[Tense, tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False)
class Adverb:
    """A fixed adverbial of one word or several; words with the same number translate each other."""

    english: tuple[tuple[str, int], ...]
    german: tuple[tuple[str, int], ...]
    classes: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Conjunction:
    """A word (or several) that opens a subordinate clause."""

    english: tuple[str, ...]
    german: tuple[str, ...]
