"""Abstract sentences: what is said, before either language has chosen words, endings and order.

Nodes are compared by identity. A *concept* is a node and the name of a part of it; both languages tag every word with the
concepts that it expresses, and two words translate each other if they share one.
"""

from dataclasses import dataclass, field
from typing import Literal

from nmt.data.grammar.lexemes import (
    Adjective,
    Adverb,
    Agreement,
    Conjunction,
    Determiner,
    Modal,
    Noun,
    Preposition,
    PronounWord,
    Slot,
    Tense,
    Verb,
)

Concept = tuple[object, str]
Token = tuple[str, tuple[Concept, ...]]


@dataclass(slots=True, eq=False)
class Pronoun:
    """A personal pronoun."""

    word: PronounWord


@dataclass(slots=True, eq=False)
class Name:
    """The name of a person or a city; the same word in both languages unless `german` says otherwise."""

    english: str
    german: str


@dataclass(slots=True, eq=False)
class Asked:
    """`who` or `what`, in whatever case its place asks for."""

    human: bool


@dataclass(slots=True, eq=False)
class RelativePronoun:
    """What stands for the noun that a relative clause describes."""

    noun: Noun
    plural: bool


@dataclass(slots=True, eq=False)
class NounPhrase:
    """A noun with all that belongs to it. With a possessor (`the teacher's book`) there is no determiner of its own."""

    noun: Noun
    determiner: Determiner | None = None
    plural: bool = False
    adjectives: tuple[Adjective, ...] = ()
    possessor: "NounPhrase | Name | RelativePronoun | None" = None
    place: "PrepositionalPhrase | None" = None
    relative: "Clause | None" = None


@dataclass(slots=True, eq=False)
class Both:
    """Two phrases joined by `and`."""

    first: "NounPhrase | Name"
    second: "NounPhrase | Name"


Phrase = Pronoun | Name | Asked | RelativePronoun | NounPhrase | Both


@dataclass(slots=True, eq=False)
class PrepositionalPhrase:
    """A preposition and what it governs."""

    preposition: Preposition
    phrase: Phrase


@dataclass(slots=True, eq=False)
class Predicate:
    """An adjective after `be`; with `than`, a comparative."""

    adjective: Adjective
    than: Phrase | None = None


@dataclass(slots=True, eq=False)
class Subordinate:
    """A clause with its conjunction; None where a fronted question word opens it, or an infinitive follows."""

    conjunction: Conjunction | None
    clause: "Clause"


Constituent = Phrase | PrepositionalPhrase | Predicate | Adverb | Subordinate


@dataclass(slots=True, eq=False)
class Clause:
    """A verb and what fills the slots around it.

    Attributes:
        front: the slot that opens the clause instead of the subject: an adverbial, a question word, a relative pronoun.
        mood: `infinitive` has no subject of its own; `elided` means that the subject is that of the clause before, and unsaid.
    """

    verb: Verb
    slots: dict[Slot, Constituent] = field(default_factory=dict)
    tense: Tense = "present"
    modal: Modal | None = None
    negated: bool = False
    front: Slot | None = None
    mood: Literal["statement", "question", "infinitive", "elided"] = "statement"


@dataclass(slots=True, eq=False)
class Sentence:
    """A main clause, or two that `and` or `but` joins."""

    clause: Clause
    joined: Literal["and", "but"] | None = None
    second: Clause | None = None


def agreement(phrase: Constituent | None) -> Agreement:
    """The person and number that a subject asks of its verb; without a subject (`it rains`) the third person."""
    match phrase:
        case Pronoun():
            return phrase.word.agreement
        case NounPhrase() | RelativePronoun():
            return "plural" if phrase.plural else "third"
        case Both():
            return "plural"
        case _:
            return "third"


def relative_of(constituent: Constituent) -> Clause | None:
    """The relative clause that ends a constituent."""
    match constituent:
        case NounPhrase():
            return constituent.relative
        case PrepositionalPhrase():
            return relative_of(constituent.phrase)
        case _:
            return None


def finish(tokens: list[Token], mark: str, sentence: Sentence) -> list[Token]:
    """Ends a sentence with its mark, keeps one of two commas, and writes the first letter large."""
    finished: list[Token] = []
    for word, concepts in tokens:
        if word == "," and finished[-1][0] == ",":
            finished[-1] = (",", finished[-1][1] + concepts)
        else:
            finished.append((word, concepts))
    if finished[-1][0] == ",":
        finished.pop()
    word, concepts = finished[0]
    finished[0] = (word[0].upper() + word[1:], concepts)
    finished.append((mark, ((sentence, "mark"),)))
    return finished
