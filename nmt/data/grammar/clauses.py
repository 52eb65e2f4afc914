"""Draws clauses: a verb, its frame filled with what makes sense, adverbials that fit its tense, clauses about a noun."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeVar

from nmt.data.grammar import lexicon
from nmt.data.grammar.english_forms import ambiguous_past
from nmt.data.grammar.features import (
    Clause,
    Constituent,
    Name,
    NounPhrase,
    Phrase,
    Predicate,
    PrepositionalPhrase,
    Pronoun,
    RelativePronoun,
)
from nmt.data.grammar.lexemes import Argument, Noun, PronounWord, Slot, Tense, Verb
from nmt.data.grammar.phrases import PERSON, SETTINGS, Dice, Phrases, adjectives_of, adverbs_of, nouns_of, places_of
from nmt.data.grammar.verbs import ALL_VERBS

P = TypeVar("P", bound=Constituent)
Frame = tuple[Argument, ...]
Choice = tuple[Verb, tuple[Frame, ...]]
TENSES: tuple[Tense, ...] = ("present", "past", "perfect", "pluperfect", "future")

# What simply is so: no perfect, no point in time. What nobody does on purpose: no modal verb, no `in order to`.
STATIVE = frozenset({"have", "need", "like", "belong", "know", "love", "trust", "live", "believe", "understand"})
UNWILLED = frozenset({"lose", "forget", "break", "dream", "hear", "see", "cry", "fall", "wake", "arrive"})
PASSING = frozenset({"tired", "hungry", "happy", "sad", "ill", "lazy", "friendly"})
BECOMING = PASSING | {"rich", "famous", "strong", "old"}
COMPARABLE = ("person", "pet", "building", "cloth", "furniture", "owned", "carried", "town", "paper")
BE, BECOME = (next(verb for verb in ALL_VERBS if verb.english == word) for word in ("be", "become"))
WEATHER = tuple(verb for verb in ALL_VERBS if not verb.subjects)


def has_tense(verb: Verb, tense: Tense) -> bool:
    """Whether a verb is used in a tense, and English shows which one it is (not in `they read`)."""
    if verb.english in STATIVE:
        return tense not in ("perfect", "pluperfect")
    return tense != "past" or not ambiguous_past(verb)


def _by_tense(keep: Callable[[Verb], bool], content: bool = False) -> dict[Tense, tuple[Choice, ...]]:
    found: dict[Tense, list[Choice]] = {tense: [] for tense in TENSES}
    for verb in ALL_VERBS:
        frames = tuple(frame for frame in verb.frames if any(a.slot == "content" for a in frame) is content)
        for tense in TENSES:
            if frames and verb.subjects and verb not in (BE, BECOME) and keep(verb) and has_tense(verb, tense):
                found[tense].append((verb, frames))
    return {tense: tuple(choices) for tense, choices in found.items()}


# Verbs, with their frames, that can stand alone; those of them that are events; that people do; that they do on purpose.
PLAIN = _by_tense(lambda verb: True)
EVENTS = _by_tense(lambda verb: verb.english not in STATIVE)
PERSONAL = _by_tense(lambda verb: "person" in verb.subjects)
WILLED = _by_tense(lambda verb: "person" in verb.subjects and verb.english not in STATIVE | UNWILLED)
ACTIVE = frozenset(verb for choices in WILLED.values() for verb, _ in choices)
# Verbs with the frames that another clause completes.
CONTENT = _by_tense(lambda verb: True, content=True)


@cache
def done_by(classes: frozenset[str], tense: Tense) -> tuple[Choice, ...]:
    """What a subject of these classes can do."""
    return tuple(choice for choice in PLAIN[tense] if choice[0].subjects & classes)


@cache
def done_to(classes: frozenset[str], tense: Tense) -> tuple[Choice, ...]:
    """What people can do to an object of these classes."""
    found = []
    for verb, frames in PERSONAL[tense]:
        taking = tuple(frame for frame in frames if any(a.slot == "object" and a.classes & classes for a in frame))
        if taking:
            found.append((verb, taking))
    return tuple(found)


def is_person(constituent: Constituent | None) -> bool:
    """Whether somebody, not something, is meant."""
    match constituent:
        case NounPhrase() | RelativePronoun():
            return "person" in constituent.noun.classes
        case _:
            return True


def head(constituent: Constituent | None) -> Noun | PronounWord | str | None:
    """Who or what a phrase is about: the same head twice in a clause would ask for a reflexive."""
    match constituent:
        case PrepositionalPhrase():
            return head(constituent.phrase)
        case NounPhrase() | RelativePronoun():
            return constituent.noun
        case Name():
            return constituent.english
        case Pronoun():
            return lexicon.WE if constituent.word is lexicon.I else constituent.word
        case _:
            return None


class Clauses:
    """Draws clauses from a source of choices."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.phrases = Phrases(dice)

    def clause(
        self,
        choices: tuple[Choice, ...],
        tense: Tense,
        *,
        room: int,
        subject: Phrase | None = None,
        negated: bool | None = None,
    ) -> Clause:
        """A verb that is used in the tense, its frame filled, and up to `room` adverbials; `negated` by chance if None."""
        verb, frames = self.dice.pick(choices)
        clause = Clause(verb, tense=tense, negated=self.dice.chance(0.13) if negated is None else negated)
        clause.slots["subject"] = subject or self.phrases.subject(verb.subjects, clause.negated)
        if tense in ("present", "past") and self.dice.chance(0.25) and verb in ACTIVE and is_person(clause.slots["subject"]):
            modal = self.dice.pick(lexicon.MODALS)
            clause.modal = modal if tense in modal.english else None
        for argument in self.dice.pick(frames):
            if not (argument.optional and self.dice.chance(0.5)):
                self.fill(clause, argument)
        self.add_adverbials(clause, room)
        return clause

    def other(self, clause: Clause, draw: Callable[[], P]) -> P:
        """Something that the clause does not mention yet."""
        taken = [head(filler) for filler in clause.slots.values()]
        while True:
            phrase = draw()
            if head(phrase) is None or head(phrase) not in taken:
                return phrase

    def fill(self, clause: Clause, argument: Argument) -> None:
        """Puts something that makes sense into a slot of the frame."""
        phrases, classes = self.phrases, argument.classes
        match argument.slot:
            case "object":
                clause.slots["object"] = self.other(clause, lambda: phrases.object(classes, clause.negated))
            case "recipient":
                clause.slots["recipient"] = self.other(clause, lambda: phrases.recipient(classes))
            case "place":
                clause.slots["place"] = self.other(clause, lambda: phrases.place(classes))
            case "direction":
                clause.slots["direction"] = self.other(clause, lambda: phrases.direction(classes))
            case "complement":
                assert argument.preposition is not None
                phrase = self.other(clause, lambda: phrases.noun_phrase(classes, definite=self.dice.chance(0.7)))
                clause.slots["complement"] = PrepositionalPhrase(argument.preposition, phrase)

    def add_adverbials(self, clause: Clause, room: int) -> None:
        """Adds up to `room` adverbials that the verb and its tense allow."""
        for _ in range(room):
            draw = self.dice.random()
            if draw < 0.45:
                self.add_time(clause, often=draw > 0.33)
            elif draw < 0.92:
                self.add_adjunct(clause, "manner" if draw < 0.58 else "company" if draw < 0.68 else "place")

    def add_adjunct(self, clause: Clause, slot: Slot) -> None:
        """Says how, with whom or where, if that can be said of the verb."""
        kinds = clause.verb.adjuncts.get(slot)
        if kinds is None or slot in clause.slots:
            return
        match slot:
            case "manner" if not clause.negated:
                clause.slots["manner"] = self.dice.pick(adverbs_of(lexicon.MANNER, kinds))
            case "company":
                clause.slots["company"] = self.other(clause, lambda: self.phrases.company(kinds))
            case "place":
                clause.slots["place"] = self.other(clause, lambda: self.phrases.place(kinds))

    def add_time(self, clause: Clause, often: bool) -> None:
        """Says when or how often; one of the two, and not when something simply is so."""
        tenses = frozenset({"future" if clause.modal is not None and clause.tense == "present" else clause.tense})
        if "time" in clause.slots or "mid" in clause.slots or clause.verb.english in STATIVE:
            return
        if often:
            if adverbs_of(lexicon.MID, tenses) and not clause.negated and clause.modal is None:
                clause.slots["mid"] = self.dice.pick(adverbs_of(lexicon.MID, tenses))
        elif adverbs_of(lexicon.TIME, tenses):
            clause.slots["time"] = self.other(clause, lambda: self.phrases.time(tenses, clause.negated))

    def copula(self, tense: Tense, subject: Phrase | None = None, kinds: frozenset[str] | None = None) -> Clause:
        """`The house is old.`, `The house is older than the church.`, `She became rich.`; `kinds`: one of these adjectives."""
        verb = BECOME if self.dice.chance(0.15) else BE
        clause = Clause(verb, tense="past" if tense == "pluperfect" else tense, negated=self.dice.chance(0.15))
        subject = subject or self.phrases.subject(verb.subjects, negated=True)
        clause.slots["subject"] = subject
        classes = subject.noun.classes if isinstance(subject, NounPhrase | RelativePronoun) else PERSON
        choices = adjectives_of(classes)
        kinds = kinds or (BECOMING if verb is BECOME else None)
        if kinds is not None:
            choices = tuple(adjective for adjective in choices if adjective.english in kinds)
        if isinstance(subject, NounPhrase):
            choices = tuple(adjective for adjective in choices if adjective not in subject.adjectives)
        adjective = self.dice.pick(choices)
        clause.slots["predicate"] = predicate = Predicate(adjective)
        same = next((name for name in COMPARABLE if name in classes and name in adjective.classes), None)
        if adjective.comparative and same and not clause.negated and self.dice.chance(0.5):
            of_its_kind = frozenset({same})
            predicate.than = self.other(clause, lambda: self.phrases.noun_phrase(of_its_kind, definite=True))
        elif adjective.english in PASSING and self.dice.chance(0.4):
            self.add_time(clause, often=self.dice.chance(0.3))
        return clause

    def relative(self, phrase: NounPhrase, tense: Tense) -> Clause | None:
        """A clause about a noun: it acts, is acted upon, is a place, or owns something."""
        pronoun = RelativePronoun(phrase.noun, phrase.plural)
        classes = phrase.noun.classes
        draw = self.dice.random()
        where = [pair for pair in places_of(SETTINGS, False) if pair[1] is phrase.noun]
        if draw < 0.25 and where:
            clause = self.clause(WILLED[tense], tense, room=0, subject=self.phrases.somebody())
            clause.slots["place"] = PrepositionalPhrase(self.dice.pick(where)[0], pronoun)
            clause.front = "place"
        elif draw < 0.55 and done_to(classes, tense):
            clause = self.clause(done_to(classes, tense), tense, room=0, subject=self.phrases.somebody())
            clause.slots["object"], clause.front = pronoun, "object"
        elif draw < 0.7 and "person" in classes:
            owned = NounPhrase(self.dice.pick(nouns_of(frozenset({"family", "pet"}))), possessor=pronoun)
            clause = self.clause(done_by(owned.noun.classes, tense), tense, room=1, subject=owned)
            clause.front = "subject"
        elif done_by(classes, tense):
            clause = self.clause(done_by(classes, tense), tense, room=1, subject=pronoun)
            clause.front = "subject"
        else:
            return None
        return clause

    def infinitive(self, subject: Phrase) -> Clause:
        """`to read the book`: what `subject` wants to do; never the verb alone."""
        while True:
            clause = self.clause(WILLED["present"], "present", room=1, subject=subject, negated=False)
            clause.modal, clause.mood = None, "infinitive"
            for slot in ("subject", "mid", "time"):
                clause.slots.pop(slot, None)
            if clause.slots:
                return clause


def last_noun(clause: Clause, slots: Iterable[Slot]) -> NounPhrase | None:
    """The noun phrase that ends an English clause, if nothing else stands behind the verb."""
    behind = [slot for slot in slots if slot not in ("subject", "mid", clause.front)]
    filler = clause.slots[behind[0]] if len(behind) == 1 else None
    phrase = filler.phrase if isinstance(filler, PrepositionalPhrase) else filler
    return phrase if isinstance(phrase, NounPhrase) else None
