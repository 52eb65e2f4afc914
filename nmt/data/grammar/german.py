"""German sentences from abstract ones: the finite verb second, or last in clauses that depend on another.

A main clause is: what is fronted, the finite verb, subject and middle field, the rest of the verb, the after-field. In a
subordinate clause the finite verb stands behind the rest of the verb.
"""

from nmt.data.grammar import german_forms as forms
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
    relative_of,
)
from nmt.data.grammar.lexemes import Adverb, Case, Slot
from nmt.data.grammar.lexicon import NO, THE

JOINED = {"and": "und", "but": "aber"}
CASE_OF: dict[Slot, Case] = {"subject": "nominative", "recipient": "dative", "object": "accusative"}
CONTRACTIONS = {
    ("in", "dem"): "im", ("in", "das"): "ins", ("an", "dem"): "am", ("an", "das"): "ans",
    ("zu", "dem"): "zum", ("zu", "der"): "zur", ("von", "dem"): "vom", ("bei", "dem"): "beim",
}  # fmt: skip
COMMA: Token = (",", ())
ASKED: dict[Case, str] = {"nominative": "wer", "accusative": "wen", "dative": "wem", "genitive": "wessen"}


def realise(sentence: Sentence) -> list[Token]:
    """The words of a sentence with the concepts that each expresses."""
    tokens = clause(sentence.clause)
    if sentence.second is not None:
        assert sentence.joined is not None
        if sentence.joined == "but":
            tokens.append((",", ((sentence, "comma"),)))
        tokens.append((JOINED[sentence.joined], ((sentence, "joined"),)))
        tokens += clause(sentence.second)
    return finish(tokens, "?" if sentence.clause.mood == "question" else ".", sentence)


def clause(node: Clause, embedded: bool = False) -> list[Token]:
    """A clause, with the verb second (first in a question without a question word) or, if embedded, last."""
    front = node.front
    if front is None and not embedded and node.mood == "statement":
        front = "subject"
    opening: list[Token] = []
    if front is not None:
        opening = _subject(node) if front == "subject" else constituent(node.slots[front], node, front)
        if isinstance(node.slots.get(front), Subordinate):
            opening.append((",", ((node, "front comma"),)))
    middle = [] if front == "subject" or node.mood in ("infinitive", "elided") else _subject(node)
    field, after = _middle_field(node)
    middle += field
    if node.mood == "infinitive":
        return middle + _infinitive(node) + after
    finite, prefix, rest = _verb_group(node)
    word, concepts = finite
    if embedded:
        return [*opening, *middle, *rest, (prefix + word, concepts), *after]
    if prefix:
        rest = [(prefix, ((node, "verb"),))]
    return [*opening, finite, *middle, *rest, *after]


def _subject(node: Clause) -> list[Token]:
    subject = node.slots.get("subject")
    return phrase(subject, "nominative") if subject is not None else [("es", ((node, "it"),))]


def _infinitive(node: Clause) -> list[Token]:
    to, verb = (node, "to"), (node, "verb")
    words = forms.zu_infinitive(node.verb)
    return [(words[0], (to, verb))] if len(words) == 1 else [(words[0], (to,)), (words[1], (verb,))]


def _verb_group(node: Clause) -> tuple[Token, str, list[Token]]:
    """(finite verb, its separable prefix, the infinitive or participle at the end)."""
    verb, tense, person = node.verb, node.tense, agreement(node.slots.get("subject"))
    lexical = ((node, "verb"),)
    auxiliary = (node, "auxiliary")
    infinitive: Token = (verb.prefix + verb.german, lexical)
    if node.modal is not None:
        return (forms.modal_form(node.modal, tense, person), ((node, "modal"),)), "", [infinitive]
    if tense == "future":
        return (forms.BECOME[person], (auxiliary,)), "", [infinitive]
    if tense in ("perfect", "pluperfect"):
        paradigm = forms.AUXILIARY[verb.auxiliary]["present" if tense == "perfect" else "past"]
        return (paradigm[person], (auxiliary,)), "", [(verb.participle, lexical)]
    return (forms.finite(verb, tense, person), (*lexical, (node, "finite"))), verb.prefix, []


def _middle_field(node: Clause) -> tuple[list[Token], list[Token]]:
    """The middle field in German order, and what goes behind the verb: clauses, comparisons, a last relative clause."""
    tokens: list[Token] = []
    after: list[Token] = []
    filled = [slot for slot in _order(node) if slot == "negation" or (slot in node.slots and slot != node.front)]
    for slot in filled:
        if slot == "negation":
            tokens.append(("nicht", ((node, "negation"),)))
            continue
        filler = node.slots[slot]  # type: ignore[index]  # negation has gone on
        if isinstance(filler, Subordinate):
            after += [COMMA, *_subordinate(filler), COMMA]
        elif isinstance(filler, Predicate):
            words = _predicate(filler)
            tokens.append(words[0])
            after += words[1:]
        else:
            relative = relative_of(filler)
            written = constituent(filler, node, slot, relative is None)  # type: ignore[arg-type]  # likewise
            if relative is not None and slot == filled[-1]:
                after += _relative(relative)
            elif relative is not None:
                written += _relative(relative)
            tokens += written
    return tokens, after


def _order(node: Clause) -> list[str]:
    """Pronouns, time, dative, definite accusative, `nicht`, manner, company, place, indefinite accusative, the rest."""
    recipient, theme = node.slots.get("recipient"), node.slots.get("object")
    pronouns = [slot for slot, filler in (("object", theme), ("recipient", recipient)) if isinstance(filler, Pronoun)]
    order = [*pronouns, "mid", "time"]
    if not isinstance(recipient, Pronoun):
        order.append("recipient")
    late = isinstance(theme, NounPhrase) and not is_definite(theme)
    if not late and not isinstance(theme, Pronoun):
        order.append("object")
    if node.negated and not takes_kein(node):
        order.append("negation")
    order += ["manner", "company", "place"]
    if late:
        order.append("object")
    return [*order, "complement", "direction", "predicate", "content", "reason"]


def is_definite(node: NounPhrase) -> bool:
    """Whether a noun phrase says which one is meant."""
    return node.possessor is not None or (node.determiner is not None and node.determiner.definite)


def takes_kein(node: Clause) -> bool:
    """Whether negation melts with an indefinite object: `kein Buch`, `keine Bücher`, `keine Milch`."""
    theme = node.slots.get("object")
    if not node.negated or not isinstance(theme, NounPhrase) or theme.possessor is not None:
        return False
    return theme.determiner is None or theme.determiner.german == "ein"


def constituent(node: Constituent, parent: Clause, slot: Slot, whole: bool = True) -> list[Token]:
    """The words of whatever fills a slot of a clause; without its relative clause if not `whole`."""
    match node:
        case PrepositionalPhrase():
            return prepositional_phrase(node, whole)
        case Adverb():
            return [(word, ((parent, f"{slot} {number}"),)) for word, number in node.german]
        case Subordinate():
            return _subordinate(node)
        case _:
            negation = (parent, "negation") if slot == "object" and takes_kein(parent) else None
            return phrase(node, CASE_OF[slot], whole, negation)


def _predicate(node: Predicate) -> list[Token]:
    concept = (node, "adjective")
    if node.than is None:
        return [(node.adjective.german, (concept,))]
    return [(node.adjective.comparative, (concept,)), ("als", ((node, "than"),)), *phrase(node.than, "nominative")]


def _subordinate(node: Subordinate) -> list[Token]:
    words = node.conjunction.german if node.conjunction is not None else ()
    conjunction: list[Token] = [(word, ((node, "conjunction"),)) for word in words]
    return conjunction + clause(node.clause, embedded=True)


def _relative(node: Clause) -> list[Token]:
    return [COMMA, *clause(node, embedded=True), COMMA]


def prepositional_phrase(node: PrepositionalPhrase, whole: bool = True) -> list[Token]:
    """A preposition and its phrase; it melts with the article unless a relative clause makes that point at something."""
    preposition, concepts = node.preposition.german, ((node, "preposition"),)
    tokens = phrase(node.phrase, node.preposition.case, whole)
    inner = node.phrase
    if isinstance(inner, NounPhrase) and inner.relative is None and inner.determiner is not None:
        melted = CONTRACTIONS.get((preposition, tokens[0][0])) if inner.determiner.kind == "article" else None
        if melted is not None:
            return [(melted, concepts + tokens[0][1]), *tokens[1:]]
    return [(preposition, concepts), *tokens]


def phrase(node: Constituent, case: Case, whole: bool = True, negation: Concept | None = None) -> list[Token]:
    """A noun phrase, or what stands for one, in its case."""
    match node:
        case Pronoun():
            return [(node.word.german[case], ((node, "noun"), (node, "case")))]
        case Name():
            return [(node.german, ((node, "noun"), (node, "case")))]
        case Asked():
            return [(ASKED[case] if node.human else "was", ((node, "noun"), (node, "case")))]
        case RelativePronoun():
            index = forms.column(node.noun.gender, node.plural)
            return [(forms.RELATIVE[case][index], ((node, "noun"), (node, "case")))]
        case Both():
            word, concepts = (first := phrase(node.first, case))[0]
            first[0] = (word, (*concepts, (node, "case")))
            return [*first, ("und", ((node, "and"),)), *phrase(node.second, case)]
        case NounPhrase():
            tokens = _noun_phrase(node, case, negation)
            return tokens + _relative(node.relative) if whole and node.relative is not None else tokens
        case _:
            raise AssertionError(f"no phrase: {node}")


def _noun_phrase(node: NounPhrase, case: Case, negation: Concept | None) -> list[Token]:
    gender, plural, possessor = node.noun.gender, node.plural, node.possessor
    determiner = NO if negation is not None else THE if isinstance(possessor, NounPhrase) else node.determiner
    concept = (node, "determiner")
    tokens: list[Token] = []
    if isinstance(possessor, Name):
        tokens.append((possessor.german + "s", ((possessor, "noun"), concept)))
    elif isinstance(possessor, RelativePronoun):
        index = forms.column(possessor.noun.gender, possessor.plural)
        tokens.append((forms.RELATIVE["genitive"][index], ((possessor, "noun"),)))
    elif determiner is not None:
        word = forms.determiner_form(determiner, gender, plural, case)
        tokens.append((word, (concept,) if negation is None else (concept, negation)))
    for i, adjective in enumerate(node.adjectives):
        word = forms.adjective_form(adjective, determiner, gender, plural, case)
        tokens.append((word, ((node, f"adjective {i}"),)))
    tokens.append((forms.noun_form(node.noun, plural, case), ((node, "noun"),)))
    if isinstance(possessor, NounPhrase):
        tokens += _noun_phrase(possessor, "genitive", None)
    if node.place is not None:
        tokens += prepositional_phrase(node.place)
    word, concepts = tokens[0]
    return [(word, (*concepts, (node, "case"))), *tokens[1:]]
