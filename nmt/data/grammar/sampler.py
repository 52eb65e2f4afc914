"""Draws abstract sentences: statements, questions, and sentences of several clauses."""

from dataclasses import dataclass

from nmt.data.grammar import lexicon
from nmt.data.grammar.clauses import (
    BE,
    BECOME,
    CONTENT,
    EVENTS,
    PASSING,
    PERSONAL,
    PLAIN,
    STATIVE,
    WEATHER,
    WILLED,
    Choice,
    Clauses,
    last_noun,
)
from nmt.data.grammar.features import (
    Asked,
    Clause,
    NounPhrase,
    Phrase,
    PrepositionalPhrase,
    Sentence,
    Subordinate,
)
from nmt.data.grammar.lexemes import Conjunction, Slot, Tense
from nmt.data.grammar.phrases import LIVING, PERSON, SETTINGS, Dice

# Cumulative.
TENSES: tuple[tuple[float, Tense], ...] = (
    (0.44, "present"), (0.72, "past"), (0.88, "perfect"), (0.97, "future"), (1.0, "pluperfect"),
)  # fmt: skip
PRESENT: tuple[Tense, Tense] = ("present", "present")
PAST: tuple[Tense, Tense] = ("past", "past")


@dataclass(frozen=True)
class Link:
    """A conjunction, the (main, subordinate) tenses that it joins, whether it links events only, and the weather."""

    conjunction: Conjunction
    tenses: tuple[tuple[Tense, Tense], ...]
    events: bool = True
    weather: bool = True


LINKS = (
    Link(lexicon.BECAUSE, (PRESENT, PAST, ("present", "perfect"), ("past", "pluperfect")), events=False),
    Link(lexicon.ALTHOUGH, (PRESENT, PAST), events=False),
    Link(lexicon.IF, (PRESENT, ("future", "present")), events=False),
    Link(lexicon.WHEN, (PAST,)),
    Link(lexicon.WHILE, (PRESENT, PAST)),
    Link(lexicon.BEFORE_CLAUSE, (PRESENT, PAST), weather=False),
    Link(lexicon.AFTER_CLAUSE, (("past", "pluperfect"), ("present", "perfect")), weather=False),
)
# Tenses that a dependent clause may have beside that of the main clause.
BESIDE: dict[Tense, tuple[Tense, ...]] = {
    "present": ("present", "present", "past", "perfect", "future"), "past": ("past", "past", "pluperfect"),
    "perfect": ("past", "perfect"), "future": ("present", "future"), "pluperfect": ("past", "pluperfect"),
}  # fmt: skip


class Sampler:
    """An endless source of abstract sentences; the same seed gives the same ones."""

    def __init__(self, seed: str) -> None:
        self.dice = Dice(seed)
        self.clauses = Clauses(self.dice)
        self.phrases = self.clauses.phrases

    def sentence(self) -> Sentence:
        """One sentence of any kind."""
        draw = self.dice.random()
        if draw < 0.36:
            return Sentence(self.statement())
        if draw < 0.44:
            return Sentence(self.description())
        if draw < 0.55:
            return Sentence(self.yes_no_question())
        if draw < 0.67:
            return Sentence(self.open_question())
        if draw < 0.81:
            return Sentence(self.with_subordinate())
        if draw < 0.92:
            return Sentence(self.with_content())
        return self.coordination()

    def tense(self) -> Tense:
        draw = self.dice.random()
        return next(tense for limit, tense in TENSES if draw < limit)

    def statement(self) -> Clause:
        """A main clause, often with an adverbial in front, sometimes with a relative clause."""
        if self.dice.chance(0.02):
            clause = Clause(self.dice.pick(WEATHER), tense=self.dice.pick(("present", "past")))
            self.clauses.add_adverbials(clause, 2)
        else:
            tense = self.tense()
            clause = self.clauses.clause(PLAIN[tense], tense, room=2)
        if "time" in clause.slots and self.dice.chance(0.55):
            clause.front = "time"
        elif "place" in clause.slots and "place" in clause.verb.adjuncts and self.dice.chance(0.2):
            clause.front = "place"
        self.describe_nouns(clause, 0.25)
        return clause

    def description(self) -> Clause:
        """`The cat in the garden is old.`"""
        clause = self.clauses.copula(self.tense())
        self.describe_nouns(clause, 0.25)
        return clause

    def yes_no_question(self) -> Clause:
        tense = self.tense()
        clause = self.clauses.clause(PLAIN[tense], tense, room=1, negated=False)
        if self.dice.chance(0.15):
            clause = self.clauses.copula(tense)
            clause.negated = False
        clause.slots.pop("mid", None)
        clause.mood = "question"
        if isinstance(subject := clause.slots["subject"], NounPhrase) and subject.determiner is lexicon.NO:
            subject.determiner = lexicon.THE
        self.describe_nouns(clause, 0.1)
        return clause

    def describe_nouns(self, clause: Clause, probability: float) -> None:
        """Gives the subject a place or a relative clause, or the noun that ends the clause a relative clause."""
        subject = clause.slots.get("subject")
        if not self.dice.chance(probability):
            return
        if self.dice.chance(0.5) and isinstance(subject, NounPhrase) and subject.determiner is lexicon.THE:
            if self.dice.chance(0.4) and subject.noun.classes & LIVING and not {"place", "direction"} & clause.slots.keys():
                subject.place = self.phrases.place(SETTINGS)
            else:
                subject.relative = self.clauses.relative(subject, self.dice.pick(BESIDE[clause.tense]))
            return
        last = last_noun(clause, clause.slots)
        if last is not None and last.determiner in (lexicon.THE, lexicon.A):
            last.relative = self.clauses.relative(last, self.dice.pick(BESIDE[clause.tense]))

    def open_question(self) -> Clause:
        """A question with a question word."""
        negated, tense = self.dice.chance(0.06), self.tense()
        if tense == "pluperfect":
            tense = "perfect"
        clause = self.clauses.clause(PLAIN[tense], tense, room=1, negated=negated)
        if isinstance(subject := clause.slots["subject"], NounPhrase) and subject.determiner is lexicon.NO:
            subject.determiner = lexicon.THE
        if negated:
            clause.slots["reason"], clause.front = lexicon.WHY, "reason"
        else:
            self.ask(clause)
        clause.mood = "question"
        return clause

    def ask(self, clause: Clause) -> None:
        """Puts a question word into one slot and that slot in front."""
        slots: list[Slot] = ["reason", "subject"]
        if clause.verb.english not in STATIVE:
            slots.append("time")
        arguments = {argument.slot: argument for frame in clause.verb.frames for argument in frame}
        for slot in ("object", "recipient", "complement", "direction", "place"):
            if slot in clause.slots and (slot != "complement" or "person" in arguments[slot].classes):
                slots += [slot, slot]
        clause.slots.pop("mid", None)
        clause.front = slot = self.dice.pick(slots)
        match slot:
            case "time":
                clause.slots[slot] = lexicon.WHEN_ASKED
            case "reason":
                clause.slots[slot] = lexicon.WHY
            case "place":
                clause.slots[slot] = lexicon.WHERE
            case "direction":
                clause.slots[slot] = lexicon.WHERE_TO
            case "subject":
                clause.slots[slot] = self.phrases.asked(clause.verb.subjects, subject=True)
            case "complement":
                preposition = arguments[slot].preposition
                assert preposition is not None
                clause.slots[slot] = PrepositionalPhrase(preposition, Asked(True))
            case _:
                clause.slots[slot] = self.phrases.asked(arguments[slot].classes)

    def with_subordinate(self) -> Clause:
        """A main clause and one that says why, when or under what condition, before or after it."""
        if self.dice.chance(0.12):
            return self.with_purpose()
        link = self.dice.pick(LINKS)
        main, dependent = self.dice.pick(link.tenses)
        clause = self.clauses.clause(EVENTS[main], main, room=1)
        if link.weather and dependent in ("present", "past") and self.dice.chance(0.25):
            inner = Clause(self.dice.pick(WEATHER), tense=dependent)
        else:
            inner = self.dependent(dependent, EVENTS if link.events else PLAIN, negated=False if link.events else None)
        if link.events:
            inner.slots.pop("mid", None)
        if "time" in clause.slots:
            inner.slots.pop("time", None)
        clause.slots["reason"] = Subordinate(link.conjunction, inner)
        if self.dice.chance(0.45):
            clause.front = "reason"
        return clause

    def with_purpose(self) -> Clause:
        """`… in order to …`."""
        tense = self.tense()
        subject = self.phrases.subject(PERSON, True)
        clause = self.clauses.clause(WILLED[tense], tense, room=0, subject=subject, negated=False)
        clause.modal = None
        clause.slots["reason"] = Subordinate(lexicon.IN_ORDER, self.clauses.infinitive(subject))
        return clause

    def dependent(self, tense: Tense, choices: dict[Tense, tuple[Choice, ...]], negated: bool | None = None) -> Clause:
        """A clause for after a conjunction: mostly short, often about a pronoun."""
        if self.dice.chance(0.2) and tense in ("present", "past"):
            return self.clauses.copula(tense, self.phrases.somebody(), PASSING if choices is EVENTS else None)
        subject = self.phrases.somebody() if self.dice.chance(0.6) else None
        fitting = PERSONAL if subject is not None and choices is PLAIN else WILLED if subject is not None else choices
        return self.clauses.clause(fitting[tense], tense, room=int(self.dice.chance(0.5)), subject=subject, negated=negated)

    def with_content(self) -> Clause:
        """`… knows that …`, `… asks whether …`, `… does not know where …`, `… tries to …`."""
        tense = self.tense()
        verb, frames = self.dice.pick(CONTENT[tense])
        frame = self.dice.pick(frames)
        clause = self.clauses.clause(((verb, (frame,)),), tense, room=0, subject=self.phrases.subject(PERSON, True))
        kind = self.dice.pick(sorted(frame[-1].classes))
        if kind == "infinitive":
            clause.negated = False
            subject: Phrase = clause.slots["subject"]  # type: ignore[assignment]  # always a phrase
            clause.slots["content"] = Subordinate(None, self.clauses.infinitive(subject))
            return clause
        inner = self.dependent(self.dice.pick(BESIDE[clause.tense]), PLAIN)
        conjunction: Conjunction | None = lexicon.THAT if kind == "that" else lexicon.WHETHER
        if kind == "asked" and inner.verb not in (BE, BECOME) and not inner.negated:
            self.ask(inner)
            conjunction = None
        clause.slots["content"] = Subordinate(conjunction, inner)
        if self.dice.chance(0.2) and not clause.negated:
            clause.mood = "question"
        return clause

    def coordination(self) -> Sentence:
        """Two main clauses, sometimes with one subject."""
        tense: Tense = self.dice.pick(("present", "past"))
        if self.dice.chance(0.5):
            subject = self.phrases.subject(PERSON, True)
            first = self.clauses.clause(WILLED[tense], tense, room=1, subject=subject, negated=False)
            first.modal = None  # `they can swim and sing` would leave open whether they can sing
            second = self.clauses.clause(WILLED[tense], tense, room=1, subject=subject)
            second.mood = "elided"
            return Sentence(first, "and", second)
        first, second = (self.clauses.clause(EVENTS[tense], tense, room=1) for _ in range(2))
        return Sentence(first, "but" if self.dice.chance(0.4) else "and", second)
