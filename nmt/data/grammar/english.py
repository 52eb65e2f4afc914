"""English sentences from abstract ones: subject, verb, objects, manner, place, time; auxiliaries turn round in questions."""

from nmt.data.grammar import english_forms as forms
from nmt.data.grammar.features import (
    Asked,
    Both,
    Clause,
    Concept,
    Constituent,
    Name,
    NounPhrase,
    Predicate,
    PrepositionalPhrase,
    Pronoun,
    RelativePronoun,
    Sentence,
    Subordinate,
    Token,
    agreement,
    finish,
)
from nmt.data.grammar.lexemes import Adverb, Agreement, Slot, Tense

ORDER: tuple[Slot, ...] = (
    "recipient", "object", "predicate", "manner", "complement", "direction", "company", "place", "time", "content", "reason",
)  # fmt: skip

RECIPIENT_LAST: tuple[Slot, ...] = ("object", "recipient", *ORDER[2:])


def realise(sentence: Sentence) -> list[Token]:
    """The words of a sentence with the concepts that each expresses."""
    tokens = clause(sentence.clause)
    if sentence.second is not None:
        assert sentence.joined is not None
        if sentence.joined == "but":
            tokens.append((",", ((sentence, "comma"),)))
        tokens.append((sentence.joined, ((sentence, "joined"),)))
        tokens += clause(sentence.second)
    return finish(tokens, "?" if sentence.clause.mood == "question" else ".", sentence)


def clause(node: Clause, embedded: bool = False) -> list[Token]:
    """A clause: what is fronted, the subject, auxiliary and negation, the verb, then the slots in English order.

    In a question that does not ask for its subject, the auxiliary stands before the subject.
    """
    inverted = node.mood == "question" and not embedded and node.front != "subject"
    front = _front(node)
    subject = node.slots.get("subject")
    subject_tokens: list[Token] = []
    if node.mood not in ("infinitive", "elided") and node.front != "subject":
        subject_tokens = constituent(subject, node, "subject") if subject is not None else [("it", ((node, "it"),))]
    auxiliary, negation, verb = _verb_group(node, inverted)
    tokens = front + auxiliary + subject_tokens if inverted else front + subject_tokens + auxiliary
    tokens += negation
    if "mid" in node.slots and node.front != "mid":
        tokens += constituent(node.slots["mid"], node, "mid")
    tokens += verb
    for slot in RECIPIENT_LAST if node.verb.recipient_to else ORDER:
        if slot in node.slots and slot != node.front:
            tokens += constituent(node.slots[slot], node, slot)
    return tokens


def _front(node: Clause) -> list[Token]:
    if node.front is None:
        return []
    tokens = constituent(node.slots[node.front], node, node.front)
    if isinstance(node.slots[node.front], Subordinate):
        tokens.append((",", ((node, "front comma"),)))
    return tokens


def _verb_group(node: Clause, inverted: bool) -> tuple[list[Token], list[Token], list[Token]]:
    """(auxiliary, negation, the rest of the verb), with `do` where English needs an auxiliary and has none."""
    verb, tense, person = node.verb, node.tense, agreement(node.slots.get("subject"))
    lexical: tuple[Concept, ...] = ((node, "verb"),)
    particle: list[Token] = [(word, lexical) for word in verb.particle]
    if node.mood == "infinitive":
        return [], [], [("to", ((node, "to"),)), (verb.english, lexical), *particle]
    auxiliary: str | None = None
    concept = (node, "auxiliary")
    rest: list[Token]
    if node.modal is not None:
        auxiliary, full_verb, words = node.modal.english[tense]
        concept = (node, "modal")
        if auxiliary == "be":
            auxiliary = forms.BE[tense][person]
        rest = [(word, (concept,)) for word in words] + [(verb.english, lexical)]
        if full_verb is not None:
            if inverted or node.negated:
                auxiliary = _do(tense, person)
                rest.insert(0, (full_verb, (concept,)))
            else:
                past = "had" if full_verb == "have" else full_verb + "ed"
                rest.insert(0, (forms.finite(full_verb, past, tense, person), (concept,)))
    elif tense == "future":
        auxiliary, rest = "will", [(verb.english, lexical)]
    elif tense in ("perfect", "pluperfect"):
        auxiliary = "had" if tense == "pluperfect" else forms.third_person("have") if person == "third" else "have"
        rest = [(verb.english_participle, lexical)]
    elif verb.english == "be":
        auxiliary, concept, rest = forms.BE[tense][person], (node, "verb"), []
    elif inverted or node.negated:
        auxiliary, concept, rest = _do(tense, person), (node, "finite"), [(verb.english, lexical)]
    else:
        rest = [(forms.finite(verb.english, verb.english_past, tense, person), lexical)]
    rest += particle
    negation = (node, "negation")
    if auxiliary == "can" and node.negated and not inverted:
        return [("cannot", (concept, negation))], [], rest
    auxiliaries: list[Token] = [(auxiliary, (concept,))] if auxiliary is not None else []
    return auxiliaries, [("not", (negation,))] if node.negated else [], rest


def _do(tense: Tense, person: Agreement) -> str:
    if tense == "past":
        return "did"
    return "does" if person == "third" else "do"


def constituent(node: Constituent, parent: Clause, slot: Slot) -> list[Token]:
    """The words of whatever fills a slot of a clause."""
    match node:
        case PrepositionalPhrase():
            return prepositional_phrase(node)
        case Predicate():
            return _predicate(node)
        case Adverb():
            return [(word, ((parent, f"{slot} {number}"),)) for word, number in node.english]
        case Subordinate():
            return _subordinate(node)
        case _:
            tokens = phrase(node, "subject" if slot == "subject" else "object")
            if slot == "recipient" and (parent.verb.recipient_to or (parent.front == slot and "object" in parent.slots)):
                tokens.insert(0, ("to", ((node, "case"),)))
            return tokens


def prepositional_phrase(node: PrepositionalPhrase) -> list[Token]:
    preposition: list[Token] = [(word, ((node, "preposition"),)) for word in node.preposition.english]
    return preposition + phrase(node.phrase, "object")


def _predicate(node: Predicate) -> list[Token]:
    if node.than is None:
        return [(node.adjective.english, ((node, "adjective"),))]
    words = node.adjective.english_comparative.split()
    tokens: list[Token] = [(word, ((node, "adjective"),)) for word in words]
    return [*tokens, ("than", ((node, "than"),)), *phrase(node.than, "subject")]


def _subordinate(node: Subordinate) -> list[Token]:
    words = node.conjunction.english if node.conjunction is not None else ()
    conjunction: list[Token] = [(word, ((node, "conjunction"),)) for word in words]
    return conjunction + clause(node.clause, embedded=True)


def phrase(node: Constituent, role: str) -> list[Token]:
    """A noun phrase or what stands for one; `role` is `subject` or `object`."""
    match node:
        case Pronoun():
            return [(node.word.english if role == "subject" else node.word.english_object, ((node, "noun"),))]
        case Name():
            return [(node.english, ((node, "noun"),))]
        case Asked():
            word = "what" if not node.human else "who" if role == "subject" else "whom"
            return [(word, ((node, "noun"),))]
        case RelativePronoun():
            word = "which" if "person" not in node.noun.classes else "who" if role == "subject" else "whom"
            return [(word, ((node, "noun"),))]
        case Both():
            return [*phrase(node.first, role), ("and", ((node, "and"),)), *phrase(node.second, role)]
        case NounPhrase():
            return _noun_phrase(node)
        case _:
            raise AssertionError(f"no phrase: {node}")


def _noun_phrase(node: NounPhrase) -> list[Token]:
    words: list[Token] = [(adjective.english, ((node, f"adjective {i}"),)) for i, adjective in enumerate(node.adjectives)]
    words.append((forms.noun_form(node.noun, node.plural), ((node, "noun"),)))
    determiner = node.determiner
    if node.possessor is not None:
        words = _possessor(node) + words
    elif determiner is not None:
        written = determiner.english_plural if node.plural else determiner.english
        assert written is not None, f"{determiner.german} with {node.noun.german}"
        if written == "a":
            written = forms.indefinite_article(words[0][0])
        words.insert(0, (written, ((node, "determiner"),)))
    if node.place is not None:
        words += prepositional_phrase(node.place)
    if node.relative is not None:
        words += clause(node.relative, embedded=True)
    return words


def _possessor(node: NounPhrase) -> list[Token]:
    if isinstance(node.possessor, RelativePronoun):
        return [("whose", ((node.possessor, "noun"),))]
    assert node.possessor is not None
    tokens = phrase(node.possessor, "object")
    word, concepts = tokens[-1]
    return [*tokens[:-1], (word + "'s", (*concepts, (node, "determiner")))]
