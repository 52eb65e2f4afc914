"""Draws noun phrases and adverbials that make sense where they stand."""

import random
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from nmt.data.grammar import lexicon
from nmt.data.grammar.features import Asked, Both, Name, NounPhrase, Phrase, PrepositionalPhrase, Pronoun
from nmt.data.grammar.lexemes import Adjective, Adverb, Determiner, Noun, Preposition

T = TypeVar("T")

OWNED = frozenset({"family", "pet", "owned", "cloth", "carried", "device", "home", "mine"})
FEW = frozenset({"family", "ride", "device", "home"})
LIVING = frozenset({"person", "animal"})
PERSON = frozenset({"person"})
EVENT = frozenset({"event"})
SETTINGS = frozenset({"home", "nature", "town"})
POSSESSIVES = (lexicon.MY, lexicon.HIS, lexicon.HER, lexicon.OUR)
NUMBERS = (lexicon.TWO, lexicon.THREE, lexicon.FOUR, lexicon.FIVE, lexicon.TEN)


class Dice:
    """A source of choices that uses nothing but `Random.random`, so that every Python draws the same."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.random() * len(choices))]


@cache
def nouns_of(classes: frozenset[str]) -> tuple[Noun, ...]:
    """The nouns that belong to one of the classes."""
    return tuple(noun for noun in lexicon.NOUN.values() if noun.classes & classes)


@cache
def adjectives_of(classes: frozenset[str]) -> tuple[Adjective, ...]:
    """The adjectives that can be said of a noun of these classes."""
    return tuple(a for a in lexicon.ADJECTIVE.values() if a.classes & classes and not a.excluded & classes)


@cache
def adverbs_of(adverbs: tuple[Adverb, ...], classes: frozenset[str]) -> tuple[Adverb, ...]:
    """The adverbials that fit one of the classes (tenses, or kinds of action)."""
    return tuple(adverb for adverb in adverbs if adverb.classes & classes)


@cache
def places_of(classes: frozenset[str], going: bool) -> tuple[tuple[Preposition, Noun], ...]:
    """The prepositions and nouns for the places, or directions, of some classes."""
    table = lexicon.WHERE_GOING if going else lexicon.WHERE_AT
    return tuple(pair for name in sorted(classes) if name in table for pair in table[name])


class Phrases:
    """Draws phrases of given meaning from a source of choices."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def subject(self, classes: frozenset[str], negated: bool) -> Phrase:
        """Somebody or something that acts. The subject of a negated clause is definite."""
        draw = self.dice.random()
        if "person" in classes:
            if draw < 0.26:
                return self.pronoun()
            if draw < 0.34:
                return self.name()
            if draw < 0.37:
                first, second = self.family_or_person(), self.family_or_person()
                return Both(first, second) if first.noun is not second.noun else first
        if draw > 0.97 and not negated and "family" not in (noun := self.dice.pick(nouns_of(classes))).classes:
            return NounPhrase(noun, lexicon.NO, bool(noun.english_plural) and self.dice.chance(0.2))
        return self.noun_phrase(classes, definite=negated or self.dice.chance(0.5))

    def family_or_person(self) -> NounPhrase:
        noun = self.dice.pick(nouns_of(PERSON))
        return NounPhrase(noun, self.determiner(noun, False, True, False))

    def somebody(self) -> Phrase:
        """A person, mostly a pronoun: for clauses that depend on others."""
        return self.pronoun() if self.dice.chance(0.7) else self.subject(PERSON, True)

    def object(self, classes: frozenset[str], negated: bool) -> Phrase:
        """Somebody or something that is acted upon."""
        draw = self.dice.random()
        if "person" in classes and draw < 0.24:
            return Pronoun(self.dice.pick(lexicon.PRONOUNS[:4])) if draw < 0.16 else self.name()
        return self.noun_phrase(classes, negated=negated)

    def recipient(self, classes: frozenset[str]) -> Phrase:
        """Somebody who is helped, thanked or given something."""
        draw = self.dice.random()
        if draw < 0.22:
            return self.pronoun()
        return self.name() if draw < 0.3 else self.noun_phrase(classes, definite=self.dice.chance(0.8))

    def pronoun(self) -> Pronoun:
        return Pronoun(self.dice.pick(lexicon.PRONOUNS))

    def name(self) -> Name:
        name = self.dice.pick(lexicon.PEOPLE)
        return Name(name, name)

    def city(self) -> Name:
        return Name(*self.dice.pick(lexicon.CITIES))

    def noun_phrase(self, classes: frozenset[str], *, definite: bool = False, negated: bool = False) -> NounPhrase:
        """A noun of one of the classes. In a `negated` clause it has no quantifier that the negation could reach."""
        noun = self.dice.pick(nouns_of(classes))
        plural = bool(noun.english_plural) and self.dice.chance(0.08 if noun.classes & FEW else 0.25)
        owner = self.owner(noun) if noun.classes & OWNED and self.dice.chance(0.12) else None
        determiner = None if owner is not None else self.determiner(noun, plural, definite, negated)
        return NounPhrase(noun, determiner, plural, self.adjectives(noun), owner)

    def owner(self, noun: Noun) -> NounPhrase | Name | None:
        """Whose something is."""
        if self.dice.chance(0.5):
            return self.name()
        owner = self.dice.pick(nouns_of(PERSON))
        return None if owner is noun else NounPhrase(owner, lexicon.MY if "family" in owner.classes else lexicon.THE)

    def determiner(self, noun: Noun, plural: bool, definite: bool, negated: bool) -> Determiner | None:
        """An article or what may stand for it; None for bare plurals and substances."""
        draw = self.dice.random()
        if "family" in noun.classes:
            return self.dice.pick(POSSESSIVES) if draw < 0.7 else lexicon.THE
        if noun.classes & OWNED and draw < 0.25:
            return self.dice.pick(POSSESSIVES)
        draw = self.dice.random()
        if draw < (0.85 if definite else 0.5):
            return lexicon.THE
        if definite or draw < 0.56:
            return lexicon.THIS
        if not noun.english_plural:
            return None if draw < 0.85 else lexicon.THE
        if plural:
            if negated or draw < 0.72:
                return None
            return self.dice.pick((lexicon.MANY, lexicon.SOME, lexicon.ALL)) if draw < 0.85 else self.dice.pick(NUMBERS)
        if not negated and draw > 0.96 and noun.classes & LIVING:
            return lexicon.EVERY
        return lexicon.A

    def adjectives(self, noun: Noun) -> tuple[Adjective, ...]:
        """None, one, or one and a colour: two that take no comma in German."""
        choices = adjectives_of(noun.classes)
        if not choices or not self.dice.chance(0.15 if "family" in noun.classes else 0.33):
            return ()
        first, second = self.dice.pick(choices), self.dice.pick(choices)
        return (first, second) if second in lexicon.COLOURS and first not in lexicon.COLOURS else (first,)

    def spot(self, choices: Sequence[tuple[Preposition, Noun]]) -> PrepositionalPhrase:
        """A place or a direction."""
        preposition, noun = self.dice.pick(choices)
        determiner = lexicon.THE
        if "home" in noun.classes and self.dice.chance(0.25):
            determiner = self.dice.pick(POSSESSIVES)
        elif self.dice.chance(0.06):
            determiner = self.dice.pick((lexicon.THIS, lexicon.A))
        return PrepositionalPhrase(preposition, NounPhrase(noun, determiner, False, self.adjectives(noun)))

    def place(self, classes: frozenset[str]) -> PrepositionalPhrase:
        """Where something happens."""
        if "live" in classes and self.dice.chance(0.5):
            return PrepositionalPhrase(lexicon.IN, self.city())
        return self.spot(places_of(classes, False))

    def direction(self, classes: frozenset[str]) -> PrepositionalPhrase:
        """Where somebody goes."""
        if "city" in classes and (len(classes) == 1 or self.dice.chance(0.4)):
            return PrepositionalPhrase(lexicon.TO_CITY, self.city())
        return self.spot(places_of(classes, True))

    def time(self, tenses: frozenset[str], negated: bool) -> Adverb | PrepositionalPhrase:
        """When something happens, to fit the tense; `not soon` and `not every day` would ask for another word order."""
        if self.dice.chance(0.12):
            preposition = self.dice.pick((lexicon.DURING, lexicon.AFTER, lexicon.BEFORE))
            return PrepositionalPhrase(preposition, NounPhrase(self.dice.pick(nouns_of(EVENT)), lexicon.THE))
        times = adverbs_of(lexicon.TIME, tenses)
        if not negated and self.dice.chance(0.2):
            times = adverbs_of(lexicon.UNNEGATED_TIME, tenses) or times
        return self.dice.pick(times)

    def company(self, kinds: frozenset[str]) -> PrepositionalPhrase:
        """With, without or for whom."""
        preposition = self.dice.pick(tuple(p for p in (lexicon.WITH, lexicon.WITHOUT, lexicon.FOR) if p.english[0] in kinds))
        draw = self.dice.random()
        who: Phrase = self.name() if draw < 0.25 else Pronoun(self.dice.pick(lexicon.PRONOUNS[:4]))
        return PrepositionalPhrase(preposition, self.noun_phrase(PERSON, definite=True) if draw > 0.5 else who)

    def asked(self, classes: frozenset[str], subject: bool = False) -> Asked | NounPhrase:
        """`who`, `what` or `which …`."""
        things = "person" not in classes
        if self.dice.chance(0.3) or (things and subject):
            noun = self.dice.pick(nouns_of(classes))
            return NounPhrase(noun, lexicon.WHICH, bool(noun.english_plural) and self.dice.chance(0.2))
        return Asked(not things and (subject or classes <= LIVING or self.dice.chance(0.5)))
