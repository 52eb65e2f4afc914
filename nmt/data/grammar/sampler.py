"""Draws abstract sentences: which verb, who does it to whom, when, and what depends on what."""

from nmt.data.grammar import lexicon
from nmt.data.grammar.english_forms import ambiguous_past
from nmt.data.grammar.features import (
    Asked,
    Clause,
    Name,
    NounPhrase,
    Phrase,
    Predicate,
    PrepositionalPhrase,
    Pronoun,
    RelativePronoun,
    Sentence,
    Subordinate,
)
from nmt.data.grammar.lexemes import Argument, Conjunction, Slot, Tense, Verb
from nmt.data.grammar.phrases import LIVING, PERSON, Dice, Phrases, adjectives_of, adverbs_of, nouns_of, places_of
from nmt.data.grammar.verbs import ALL_VERBS

Frame = tuple[Argument, ...]
Choice = tuple[Verb, tuple[Frame, ...]]

STATIVE = frozenset({"be", "have", "need", "like", "belong", "know", "love", "trust", "live"})
BE = next(verb for verb in ALL_VERBS if verb.english == "be")
WEATHER = tuple(verb for verb in ALL_VERBS if not verb.subjects)


def _choices(content: bool) -> tuple[Choice, ...]:
    """The verbs that have frames with (without) a clause that depends on them, and those frames."""
    found = []
    for verb in ALL_VERBS:
        frames = tuple(frame for frame in verb.frames if any(a.slot == "content" for a in frame) is content)
        if frames and verb.subjects and verb is not BE:
            found.append((verb, frames))
    return tuple(found)


PLAIN = _choices(content=False)
CONTENT = _choices(content=True)
PERSONAL = tuple(choice for choice in PLAIN if "person" in choice[0].subjects)
ACTIONS = tuple(choice for choice in PERSONAL if choice[0].english not in STATIVE)
TENSES: tuple[tuple[float, Tense], ...] = ((0.44, "present"), (0.72, "past"), (0.88, "perfect"), (0.97, "future"), (1.0, "pluperfect"))
# Conjunction, (tense of the main clause, tense of the subordinate one), whether the weather is a good subject.
SUBORDINATES: tuple[tuple[Conjunction, tuple[tuple[Tense, Tense], ...], bool], ...] = (
    (lexicon.BECAUSE, (("present", "present"), ("past", "past"), ("present", "perfect"), ("past", "pluperfect")), True),
    (lexicon.ALTHOUGH, (("present", "present"), ("past", "past"), ("perfect", "past")), True),
    (lexicon.IF, (("present", "present"), ("future", "present")), True),
    (lexicon.WHEN, (("past", "past"),), True),
    (lexicon.WHILE, (("present", "present"), ("past", "past")), True),
    (lexicon.BEFORE_CLAUSE, (("present", "present"), ("past", "past")), False),
    (lexicon.AFTER_CLAUSE, (("past", "pluperfect"), ("present", "perfect")), False),
)
LATER: dict[Tense, tuple[Tense, ...]] = {
    "present": ("present", "present", "past", "perfect", "future"), "past": ("past", "pluperfect"),
    "perfect": ("past", "perfect"), "future": ("present", "future"), "pluperfect": ("past", "pluperfect"),
}  # fmt: skip


class Sampler:
    """An endless source of abstract sentences; the same seed gives the same ones."""

    def __init__(self, seed: str) -> None:
        self.dice = Dice(seed)
        self.phrases = Phrases(self.dice)

    def sentence(self) -> Sentence:
        """One sentence of any kind."""
        draw = self.dice.random()
        if draw < 0.36:
            return Sentence(self.statement())
        if draw < 0.44:
            return Sentence(self.copula(self.tense()))
        if draw < 0.55:
            return Sentence(self.yes_no_question())
        if draw < 0.68:
            return Sentence(self.asking())
        if draw < 0.81:
            return Sentence(self.with_subordinate())
        if draw < 0.92:
            return Sentence(self.with_content())
        return self.coordination()

    def statement(self) -> Clause:
        """A main clause, often with an adverbial in front, sometimes with a relative clause."""
        clause = self.clause(self.dice.pick(PLAIN), self.tense(), room=2)
        self.move_to_front(clause)
        if self.dice.chance(0.2):
            self.add_relative(clause)
        return clause

    def yes_no_question(self) -> Clause:
        clause = self.copula(self.tense()) if self.dice.chance(0.15) else self.clause(self.dice.pick(PLAIN), self.tense(), room=1, questioned=True)
        clause.mood = "question"
        return clause

    def tense(self) -> Tense:
        draw = self.dice.random()
        return next(tense for limit, tense in TENSES if draw < limit)

    def clause(
        self, choice: Choice, tense: Tense, *, room: int, subject: Phrase | None = None, questioned: bool = False
    ) -> Clause:
        """A verb with its frame filled and up to `room` adverbials."""
        verb, frames = choice
        if (tense == "past" and ambiguous_past(verb)) or (verb.english in STATIVE and tense == "pluperfect"):
            tense = "perfect"
        if tense == "perfect" and verb.english in STATIVE:
            tense = "present"
        clause = Clause(verb, tense=tense)
        clause.negated = not questioned and self.dice.chance(0.13)
        clause.slots["subject"] = subject or self.phrases.subject(verb.subjects, clause.negated)
        if verb.english not in STATIVE and "person" in verb.subjects and self.dice.chance(0.2):
            self.add_modal(clause)
        self.fill(clause, self.dice.pick(frames))
        self.add_adverbials(clause, room, questioned)
        return clause

    def add_modal(self, clause: Clause) -> None:
        if clause.tense in ("present", "past"):
            modal = self.dice.pick(lexicon.MODALS)
            if clause.tense in modal.english:
                clause.modal = modal

    def fill(self, clause: Clause, frame: Frame) -> None:
        """Puts something that makes sense into each slot of the frame."""
        for argument in frame:
            if argument.optional and self.dice.chance(0.5):
                continue
            match argument.slot:
                case "object":
                    clause.slots["object"] = self.phrases.object(argument.classes, clause.negated)
                case "recipient":
                    clause.slots["recipient"] = self.phrases.recipient(argument.classes)
                case "complement":
                    assert argument.preposition is not None
                    phrase = self.phrases.noun_phrase(argument.classes, definite=self.dice.chance(0.7))
                    clause.slots["complement"] = PrepositionalPhrase(argument.preposition, phrase)
                case "place":
                    clause.slots["place"] = self.phrases.place(argument.classes)
                case "direction":
                    clause.slots["direction"] = self.phrases.direction(argument.classes)

    def add_adverbials(self, clause: Clause, room: int, questioned: bool = False) -> None:
        """Adds up to `room` adverbials that the verb and its tense allow."""
        tenses = frozenset({"future" if clause.modal is not None and clause.tense == "present" else clause.tense})
        adjuncts = clause.verb.adjuncts
        for _ in range(room):
            draw = self.dice.random()
            if draw < 0.32:
                if "mid" not in clause.slots and adverbs_of(lexicon.TIME, tenses):
                    clause.slots["time"] = self.phrases.time(tenses)
            elif draw < 0.42:
                mids = adverbs_of(lexicon.MID, tenses)
                if mids and not (clause.negated or questioned or clause.modal or "time" in clause.slots):
                    clause.slots["mid"] = self.dice.pick(mids)
            elif draw < 0.55:
                if "manner" in adjuncts and not clause.negated:
                    clause.slots["manner"] = self.dice.pick(adverbs_of(lexicon.MANNER, adjuncts["manner"]))
            elif draw < 0.65:
                if "company" in adjuncts:
                    clause.slots["company"] = self.phrases.company(adjuncts["company"])
            elif draw < 0.9 and "place" in adjuncts and "place" not in clause.slots:
                clause.slots["place"] = self.phrases.place(adjuncts["place"])

    def move_to_front(self, clause: Clause) -> None:
        """Lets a time or a place open the clause."""
        for slot, probability in (("time", 0.55), ("place", 0.2)):
            if slot in clause.slots and self.dice.chance(probability):
                clause.front = slot  # type: ignore[assignment]
                return

    def copula(self, tense: Tense, subject: Phrase | None = None) -> Clause:
        """`The house is old.` or `The house is older than the church.`"""
        if tense == "pluperfect":
            tense = "past"
        clause = Clause(BE, tense=tense, negated=self.dice.chance(0.15))
        if subject is None:
            subject = self.phrases.subject(BE.subjects, clause.negated)
        clause.slots["subject"] = subject
        classes = subject.noun.classes if isinstance(subject, NounPhrase | RelativePronoun) else PERSON
        predicate = Predicate(self.dice.pick(adjectives_of(classes)))
        clause.slots["predicate"] = predicate
        if predicate.adjective.comparative and not clause.negated and self.dice.chance(0.3):
            other = self.phrases.noun_phrase(PERSON if "person" in classes else classes, definite=True, plain=True)
            if not isinstance(subject, NounPhrase) or other.noun is not subject.noun:
                predicate.than = other
        if predicate.than is None and classes & LIVING and self.dice.chance(0.3):
            self.add_adverbials(clause, 1)
        return clause

    def asking(self) -> Clause:
        """A question with a question word."""
        clause = self.clause(self.dice.pick(PLAIN), self.tense(), room=1, questioned=True)
        self.ask(clause)
        clause.mood = "question"
        return clause

    def ask(self, clause: Clause) -> None:
        """Puts a question word into one slot and that slot in front."""
        slots: list[Slot] = ["time", "reason", "subject"]
        if "person" in clause.verb.subjects:
            slots += [slot for slot in ("object", "recipient", "complement", "direction") if slot in clause.slots] * 2  # type: ignore[misc]
            slots += ["place"] if "place" in clause.slots or "place" in clause.verb.adjuncts else []
        slot = self.dice.pick(slots)
        arguments = {a.slot: a for frame in clause.verb.frames for a in frame}
        match slot:
            case "time":
                clause.slots["time"] = lexicon.WHEN_ASKED
            case "reason":
                clause.slots["reason"] = lexicon.WHY
            case "place":
                clause.slots["place"] = lexicon.WHERE
            case "direction":
                clause.slots["direction"] = lexicon.WHERE_TO
            case "subject":
                clause.slots["subject"] = self.phrases.asked(clause.verb.subjects)
            case "complement":
                preposition = arguments[slot].preposition
                assert preposition is not None
                if "person" not in arguments[slot].classes:
                    return self.ask(clause)
                clause.slots["complement"] = PrepositionalPhrase(preposition, Asked(True))
            case _:
                clause.slots[slot] = self.phrases.asked(arguments[slot].classes)
        clause.front = slot
        if slot == "time":
            clause.slots.pop("mid", None)

    def with_subordinate(self) -> Clause:
        """A main clause and one that says why, when or under what condition, before or after it."""
        if self.dice.chance(0.12):
            return self.with_purpose()
        conjunction, tenses, weather = self.dice.pick(SUBORDINATES)
        main, dependent = self.dice.pick(tenses)
        clause = self.timed(main, room=1)
        clause.slots["reason"] = Subordinate(conjunction, self.dependent(dependent, weather))
        if self.dice.chance(0.45):
            clause.front = "reason"
        return clause

    def with_purpose(self) -> Clause:
        """`… in order to …`."""
        clause = self.clause(self.dice.pick(ACTIONS), self.tense(), room=0)
        clause.modal, clause.negated = None, False
        clause.slots["reason"] = Subordinate(lexicon.IN_ORDER, self.infinitive())
        return clause

    def timed(self, tense: Tense, *, room: int, subject: Phrase | None = None) -> Clause:
        """A clause that keeps the tense asked for."""
        while True:
            choice = self.dice.pick(PERSONAL if subject is not None else PLAIN)
            clause = self.clause(choice, tense, room=room, subject=subject)
            if clause.tense == tense:
                return clause

    def dependent(self, tense: Tense, weather: bool = False) -> Clause:
        """A clause for after a conjunction: mostly short, often about a pronoun or the weather."""
        if weather and tense in ("present", "past") and self.dice.chance(0.25):
            return Clause(self.dice.pick(WEATHER), tense=tense)
        if self.dice.chance(0.2) and tense in ("present", "past"):
            return self.copula(tense, self.somebody())
        subject = self.somebody() if self.dice.chance(0.6) else None
        return self.timed(tense, room=int(self.dice.chance(0.5)), subject=subject)

    def somebody(self) -> Phrase:
        return Pronoun(self.dice.pick(lexicon.PRONOUNS)) if self.dice.chance(0.7) else self.phrases.subject(PERSON, True)

    def with_content(self) -> Clause:
        """`… knows that …`, `… asks whether …`, `… wonders where …`, `… tries to …`."""
        verb, frames = self.dice.pick(CONTENT)
        frame = self.dice.pick(frames)
        clause = self.clause((verb, (frame,)), self.tense(), room=0)
        clause.modal = None
        kind = self.dice.pick(sorted(frame[-1].classes))
        if kind == "infinitive":
            clause.slots["content"] = Subordinate(None, self.infinitive())
            return clause
        tense = self.dice.pick(LATER[clause.tense])
        inner = self.dependent(tense)
        if kind == "asked":
            inner.negated = False
            self.ask(inner) if inner.verb is not BE else None
        conjunction = {"that": lexicon.THAT, "whether": lexicon.WHETHER}.get(kind)
        if conjunction is None and inner.front is None:
            conjunction = lexicon.WHETHER
        clause.slots["content"] = Subordinate(conjunction, inner)
        if self.dice.chance(0.2) and not clause.negated:
            clause.mood = "question"
        return clause

    def infinitive(self) -> Clause:
        """`to read the book`: never the verb alone."""
        while True:
            clause = self.clause(self.dice.pick(ACTIONS), "present", room=1, subject=Pronoun(lexicon.HE))
            clause.modal, clause.negated, clause.mood = None, False, "infinitive"
            del clause.slots["subject"]
            clause.slots.pop("mid", None)
            clause.slots.pop("time", None)
            if clause.slots:
                return clause

    def coordination(self) -> Sentence:
        """Two main clauses, sometimes with one subject."""
        tense: Tense = "present" if self.dice.chance(0.5) else "past"
        if self.dice.chance(0.5):
            first = self.timed(tense, room=1, subject=self.phrases.subject(PERSON, True))
            second = self.timed(tense, room=1, subject=first.slots["subject"])  # type: ignore[arg-type]
            second.mood = "elided"
            return Sentence(first, "and", second)
        first, second = self.timed(tense, room=1), self.timed(tense, room=1)
        return Sentence(first, "but" if self.dice.chance(0.4) else "and", second)

    def add_relative(self, clause: Clause) -> None:
        """Gives the subject, or what ends the clause, a relative clause."""
        subject = clause.slots.get("subject")
        if self.dice.chance(0.5) and isinstance(subject, NounPhrase) and subject.determiner is lexicon.THE:
            subject.relative = self.relative(subject, LATER[clause.tense])
            return
        last = [slot for slot in clause.slots if slot not in ("subject", clause.front, "mid")]
        filler = clause.slots[last[0]] if len(last) == 1 else None
        phrase = filler.phrase if isinstance(filler, PrepositionalPhrase) else filler
        if isinstance(phrase, NounPhrase) and phrase.determiner in (lexicon.THE, lexicon.A):
            phrase.relative = self.relative(phrase, LATER[clause.tense])

    def relative(self, phrase: NounPhrase, tenses: tuple[Tense, ...]) -> Clause | None:
        """A clause about a noun: it acts, is acted upon, is a place, or owns something."""
        pronoun = RelativePronoun(phrase.noun, phrase.plural)
        classes, tense = phrase.noun.classes, self.dice.pick(tenses)
        draw = self.dice.random()
        acting = [choice for choice in PLAIN if choice[0].subjects & classes]
        taking = [(v, f) for v, frames in PERSONAL for f in frames for a in f if a.slot == "object" and a.classes & classes]
        where = [pair for pair in places_of(frozenset({"home", "town", "nature"}), False) if pair[1] is phrase.noun]
        if draw < 0.25 and where:
            clause = self.timed(tense, room=0, subject=self.somebody())
            clause.slots["place"] = PrepositionalPhrase(self.dice.pick(where)[0], pronoun)
            clause.front = "place"
        elif draw < 0.6 and taking:
            verb, frame = self.dice.pick(taking)
            clause = self.clause((verb, (frame,)), tense, room=0, subject=self.somebody())
            clause.slots["object"], clause.front = pronoun, "object"
        elif draw < 0.7 and "person" in classes:
            owned = NounPhrase(self.dice.pick(nouns_of(frozenset({"family", "pet"}))), possessor=pronoun)
            matching = [choice for choice in PLAIN if choice[0].subjects & owned.noun.classes]
            clause = self.clause(self.dice.pick(matching), tense, room=1, subject=owned)
            clause.front = "subject"
        elif acting:
            clause = self.clause(self.dice.pick(acting), tense, room=1, subject=pronoun)
            clause.front = "subject"
        else:
            return None
        return clause


__all__ = ["Name", "Sampler"]
