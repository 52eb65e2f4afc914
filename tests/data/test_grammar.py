"""The embedded corpus: its German against what a teacher would write, its alignments, its promises about splits."""

import os
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest

from nmt.data.grammar import GrammarCorpus, GrammarPair
from nmt.data.grammar import german_forms as forms
from nmt.data.grammar import lexicon as lex
from nmt.data.grammar.corpus import TOKEN, pair_of
from nmt.data.grammar.features import (
    Asked,
    Both,
    Clause,
    Constituent,
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
from nmt.data.grammar.german import phrase as german_phrase
from nmt.data.grammar.lexemes import Determiner, Preposition, PronounWord
from nmt.data.grammar.verbs import ALL_VERBS
from nmt.errors import UserError

VERB = {verb.prefix + verb.german: verb for verb in ALL_VERBS}
ADVERB = {" ".join(word for word, _ in adverb.english): adverb for adverb in (*lex.TIME, *lex.MID, *lex.MANNER)}
WORD_COUNT = range(3, 26)


def corpus(**changes: object) -> GrammarCorpus:
    settings: dict[str, object] = {
        "src": "en", "tgt": "de", "train_pairs": 400, "dev_pairs": 60, "test_pairs": 70, "seed": 1, "max_length": 100,
    }  # fmt: skip
    return GrammarCorpus(**{**settings, **changes})  # type: ignore[arg-type]  # values of any type are tried


@pytest.fixture(scope="module")
def many() -> list[GrammarPair]:
    return list(corpus(train_pairs=20_000).examples("train"))


def np(
    noun: str, determiner: Determiner | None = lex.THE, *adjectives: str, plural: bool = False, **parts: object
) -> NounPhrase:
    described = tuple(lex.ADJECTIVE[adjective] for adjective in adjectives)
    return NounPhrase(lex.NOUN[noun], determiner, plural, described, **parts)  # type: ignore[arg-type]  # values of any type are tried


def pro(word: PronounWord) -> Pronoun:
    return Pronoun(word)


def pp(english: str, german: str, case: str, phrase: Phrase) -> PrepositionalPhrase:
    return PrepositionalPhrase(Preposition(tuple(english.split()), german, case), phrase)  # type: ignore[arg-type]  # values of any type are tried


def say(infinitive: str, subject: Constituent | None, tense: str = "present", **parts: object) -> Clause:
    """A clause: slots by their names, other keywords are attributes of the clause."""
    attributes = {name: parts.pop(name) for name in ("modal", "negated", "front", "mood") if name in parts}
    slots = {name: filler for name, filler in {"subject": subject, **parts}.items() if filler is not None}
    return Clause(VERB[infinitive], slots, tense, **attributes)  # type: ignore[arg-type]  # values of any type are tried


def that(clause: Clause) -> Subordinate:
    return Subordinate(lex.THAT, clause)


BOY = RelativePronoun(lex.NOUN["boy"], False)
HOUSE = RelativePronoun(lex.NOUN["house"], False)
CHILDREN = RelativePronoun(lex.NOUN["child"], True)
WOMAN = RelativePronoun(lex.NOUN["woman"], False)
KNIFE = RelativePronoun(lex.NOUN["knife"], False)

# (English, German, the clause): the German was written by hand.
GOLD: list[tuple[str, str, Clause]] = [
    (
        "The old man gives the children the apples.",
        "Der alte Mann gibt den Kindern die Äpfel.",
        say("geben", np("man", lex.THE, "old"), recipient=np("child", plural=True), object=np("apple", plural=True)),
    ),
    (
        "Yesterday the woman bought a new car.",
        "Gestern kaufte die Frau ein neues Auto.",
        say("kaufen", np("woman"), "past", object=np("car", lex.A, "new"), time=ADVERB["yesterday"], front="time"),
    ),
    (
        "The boy has eaten the cake.",
        "Der Junge hat den Kuchen gegessen.",
        say("essen", np("boy"), "perfect", object=np("cake")),
    ),
    (
        "We have gone to the station.",
        "Wir sind zum Bahnhof gegangen.",
        say("gehen", pro(lex.WE), "perfect", direction=pp("to", "zu", "dative", np("station"))),
    ),
    (
        "She wants to go to the old school.",
        "Sie will zur alten Schule gehen.",
        say("gehen", pro(lex.SHE), modal=lex.WANT_TO, direction=pp("to", "zu", "dative", np("school", lex.THE, "old"))),
    ),
    (
        "The cat runs into the house.",
        "Die Katze läuft ins Haus.",
        say("laufen", np("cat"), direction=pp("into", "in", "accusative", np("house"))),
    ),
    (
        "The cat sleeps in the house.",
        "Die Katze schläft im Haus.",
        say("schlafen", np("cat"), place=pp("in", "in", "dative", np("house"))),
    ),
    (
        "I get up in the morning.",
        "Ich stehe am Morgen auf.",
        say("aufstehen", pro(lex.I), time=ADVERB["in the morning"]),
    ),
    (
        "They have already got up.",
        "Sie sind schon aufgestanden.",
        say("aufstehen", pro(lex.THEY), "perfect", mid=ADVERB["already"]),
    ),
    (
        "My brother had to get up.",
        "Mein Bruder musste aufstehen.",
        say("aufstehen", np("brother", lex.MY), "past", modal=lex.HAVE_TO),
    ),
    (
        "The student does not see the neighbour.",
        "Der Student sieht den Nachbarn nicht.",
        say("sehen", np("student"), negated=True, object=np("neighbour")),
    ),
    (
        "The farmer does not have a dog.",
        "Der Bauer hat keinen Hund.",
        say("haben", np("farmer"), negated=True, object=np("dog", lex.A)),
    ),
    (
        "The children do not drink cold milk.",
        "Die Kinder trinken keine kalte Milch.",
        say("trinken", np("child", plural=True), negated=True, object=np("milk", None, "cold")),
    ),
    (
        "He cannot help her today.",
        "Er kann ihr heute nicht helfen.",
        say("helfen", pro(lex.HE), modal=lex.CAN, negated=True, recipient=pro(lex.SHE), time=ADVERB["today"]),
    ),
    (
        "The teacher explains the difficult question to the student patiently.",
        "Der Lehrer erklärt dem Studenten die schwierige Frage geduldig.",
        say(
            "erklären",
            np("teacher"),
            recipient=np("student"),
            object=np("question", lex.THE, "difficult"),
            manner=ADVERB["patiently"],
        ),
    ),
    (
        "Does the old teacher know that the children have eaten the apples?",
        "Weiß der alte Lehrer, dass die Kinder die Äpfel gegessen haben?",
        say(
            "wissen",
            np("teacher", lex.THE, "old"),
            mood="question",
            content=that(say("essen", np("child", plural=True), "perfect", object=np("apple", plural=True))),
        ),
    ),
    (
        "The small dog sleeps under the table because it rains.",
        "Der kleine Hund schläft unter dem Tisch, weil es regnet.",
        say(
            "schlafen",
            np("dog", lex.THE, "small"),
            place=pp("under", "unter", "dative", np("table")),
            reason=Subordinate(lex.BECAUSE, say("regnen", None)),
        ),
    ),
    (
        "When the queen came back, the guests laughed.",
        "Als die Königin zurückkam, lachten die Gäste.",
        say(
            "lachen",
            np("guest", plural=True),
            "past",
            front="reason",
            reason=Subordinate(lex.WHEN, say("zurückkommen", np("queen"), "past")),
        ),
    ),
    (
        "He knows where my aunt wants to live.",
        "Er weiß, wo meine Tante wohnen will.",
        say(
            "wissen",
            pro(lex.HE),
            content=Subordinate(None, say("wohnen", np("aunt", lex.MY), modal=lex.WANT_TO, place=lex.WHERE, front="place")),
        ),
    ),
    (
        "The boy whom I helped is happy.",
        "Der Junge, dem ich half, ist glücklich.",
        say(
            "sein",
            np("boy", relative=say("helfen", pro(lex.I), "past", recipient=BOY, front="recipient")),
            predicate=Predicate(lex.ADJECTIVE["happy"]),
        ),
    ),
    (
        "The house in which they live is old.",
        "Das Haus, in dem sie wohnen, ist alt.",
        say(
            "sein",
            np("house", relative=say("wohnen", pro(lex.THEY), place=pp("in", "in", "dative", HOUSE), front="place")),
            predicate=Predicate(lex.ADJECTIVE["old"]),
        ),
    ),
    (
        "The children with whom we spoke are tired.",
        "Die Kinder, mit denen wir sprachen, sind müde.",
        say(
            "sein",
            np(
                "child",
                plural=True,
                relative=say(
                    "sprechen",
                    pro(lex.WE),
                    "past",
                    complement=pp("with", "mit", "dative", CHILDREN),
                    front="complement",
                ),
            ),
            predicate=Predicate(lex.ADJECTIVE["tired"]),
        ),
    ),
    (
        "The woman whose brother has called him waits for the bus.",
        "Die Frau, deren Bruder ihn angerufen hat, wartet auf den Bus.",
        say(
            "warten",
            np(
                "woman",
                relative=say("anrufen", np("brother", None, possessor=WOMAN), "perfect", object=pro(lex.HE), front="subject"),
            ),
            complement=pp("for", "auf", "accusative", np("bus")),
        ),
    ),
    (
        "I have found the knife which the baker looked for.",
        "Ich habe das Messer gefunden, das der Bäcker suchte.",
        say(
            "finden",
            pro(lex.I),
            "perfect",
            object=np("knife", relative=say("suchen", np("baker"), "past", object=KNIFE, front="object")),
        ),
    ),
    (
        "To whom did Anna send the letter?",
        "Wem schickte Anna den Brief?",
        say(
            "schicken",
            Name("Anna", "Anna"),
            "past",
            recipient=Asked(True),
            object=np("letter"),
            front="recipient",
            mood="question",
        ),
    ),
    (
        "Whom will the king invite?",
        "Wen wird der König einladen?",
        say("einladen", np("king"), "future", object=Asked(True), front="object", mood="question"),
    ),
    (
        "Who has opened the window?",
        "Wer hat das Fenster geöffnet?",
        say("öffnen", Asked(True), "perfect", object=np("window"), front="subject", mood="question"),
    ),
    (
        "Where does the doctor drive?",
        "Wohin fährt der Arzt?",
        say("fahren", np("doctor"), direction=lex.WHERE_TO, front="direction", mood="question"),
    ),
    (
        "Anna's brother tries to repair the teacher's bicycle.",
        "Annas Bruder versucht, das Fahrrad des Lehrers zu reparieren.",
        say(
            "versuchen",
            np("brother", None, possessor=Name("Anna", "Anna")),
            content=Subordinate(
                None,
                say(
                    "reparieren",
                    None,
                    object=np("bicycle", None, possessor=np("teacher")),
                    mood="infinitive",
                ),
            ),
        ),
    ),
    (
        "She runs to the lake in order to look at the ducks.",
        "Sie läuft zum See, um die Enten anzusehen.",
        say(
            "laufen",
            pro(lex.SHE),
            direction=pp("to", "zu", "dative", np("lake")),
            reason=Subordinate(lex.IN_ORDER, say("ansehen", None, object=np("duck", plural=True), mood="infinitive")),
        ),
    ),
    (
        "My sister has been stronger than her friends.",
        "Meine Schwester ist stärker gewesen als ihre Freunde.",
        say(
            "sein",
            np("sister", lex.MY),
            "perfect",
            predicate=Predicate(lex.ADJECTIVE["strong"], np("friend", lex.HER, plural=True)),
        ),
    ),
    (
        "The farmer puts the key on the table.",
        "Der Bauer legt den Schlüssel auf den Tisch.",
        say("legen", np("farmer"), object=np("key"), direction=pp("on", "auf", "accusative", np("table"))),
    ),
    (
        "During the lesson every student often thinks of the journey.",
        "Während der Stunde denkt jeder Student oft an die Reise.",
        say(
            "denken",
            np("student", lex.EVERY),
            time=pp("during", "während", "genitive", np("lesson")),
            front="time",
            mid=ADVERB["often"],
            complement=pp("of", "an", "accusative", np("journey")),
        ),
    ),
    (
        "A week ago the mother and the father sold two expensive rings in the city.",
        "Vor einer Woche verkauften die Mutter und der Vater in der Stadt zwei teure Ringe.",
        say(
            "verkaufen",
            Both(np("mother"), np("father")),
            "past",
            time=ADVERB["a week ago"],
            front="time",
            place=pp("in", "in", "dative", np("city")),
            object=np("ring", lex.TWO, "expensive", plural=True),
        ),
    ),
    (
        "Many guests are allowed to eat the cake in the high castle.",
        "Viele Gäste dürfen den Kuchen im hohen Schloss essen.",
        say(
            "essen",
            np("guest", lex.MANY, plural=True),
            modal=lex.MAY,
            object=np("cake"),
            place=pp("in", "in", "dative", np("castle", lex.THE, "high")),
        ),
    ),
    (
        "Why does the train not depart today?",
        "Warum fährt der Zug heute nicht ab?",
        say(
            "abfahren",
            np("train"),
            negated=True,
            time=ADVERB["today"],
            reason=lex.WHY,
            front="reason",
            mood="question",
        ),
    ),
]
SENTENCES = pytest.mark.parametrize(("english", "german", "clause"), GOLD, ids=[row[0] for row in GOLD])


@SENTENCES
def test_a_clause_is_said_in_both_languages_as_a_teacher_would_write_it(english: str, german: str, clause: Clause) -> None:
    pair = pair_of(Sentence(clause))
    assert (pair.src, pair.tgt) == (english, german)


def test_but_takes_a_comma_and_and_does_not() -> None:
    def joined(word: str, second: Clause) -> str:
        return pair_of(Sentence(say("weinen", np("girl")), word, second)).tgt  # type: ignore[arg-type]  # values of any type are tried

    assert joined("and", say("lachen", np("boy"))) == "Das Mädchen weint und der Junge lacht."
    assert joined("but", say("lachen", np("boy"))) == "Das Mädchen weint, aber der Junge lacht."
    assert joined("and", say("aufstehen", np("girl"), mood="elided")) == "Das Mädchen weint und steht auf."


# Columns: nominative, accusative, dative, genitive.
DECLENSION = [
    ("man", lex.THE, False, "der alte Mann", "den alten Mann", "dem alten Mann", "des alten Mannes"),
    ("woman", lex.THE, False, "die alte Frau", "die alte Frau", "der alten Frau", "der alten Frau"),
    ("house", lex.THE, False, "das alte Haus", "das alte Haus", "dem alten Haus", "des alten Hauses"),
    ("house", lex.THE, True, "die alten Häuser", "die alten Häuser", "den alten Häusern", "der alten Häuser"),
    ("man", lex.A, False, "ein alter Mann", "einen alten Mann", "einem alten Mann", "eines alten Mannes"),
    ("woman", lex.NO, False, "keine alte Frau", "keine alte Frau", "keiner alten Frau", "keiner alten Frau"),
    ("house", lex.OUR, False, "unser altes Haus", "unser altes Haus", "unserem alten Haus", "unseres alten Hauses"),
    ("woman", lex.MY, True, "meine alten Frauen", "meine alten Frauen", "meinen alten Frauen", "meiner alten Frauen"),
    ("house", None, True, "alte Häuser", "alte Häuser", "alten Häusern", "alter Häuser"),
    ("wine", None, False, "alter Wein", "alten Wein", "altem Wein", "alten Weins"),
    ("milk", None, False, "alte Milch", "alte Milch", "alter Milch", "alter Milch"),
    ("water", None, False, "altes Wasser", "altes Wasser", "altem Wasser", "alten Wassers"),
    ("man", lex.THREE, True, "drei alte Männer", "drei alte Männer", "drei alten Männern", "drei alter Männer"),
    ("woman", lex.MANY, True, "viele alte Frauen", "viele alte Frauen", "vielen alten Frauen", "vieler alter Frauen"),
    ("woman", lex.ALL, True, "alle alten Frauen", "alle alten Frauen", "allen alten Frauen", "aller alten Frauen"),
    (
        "student",
        lex.THIS,
        False,
        "dieser alte Student",
        "diesen alten Studenten",
        "diesem alten Studenten",
        "dieses alten Studenten",
    ),
    ("boy", lex.THE, False, "der alte Junge", "den alten Jungen", "dem alten Jungen", "des alten Jungen"),
    ("car", lex.WHICH, True, "welche alten Autos", "welche alten Autos", "welchen alten Autos", "welcher alten Autos"),
]


@pytest.mark.parametrize(("noun", "determiner", "plural", "nominative", "accusative", "dative", "genitive"), DECLENSION)
def test_articles_adjectives_and_nouns_agree_in_every_case(
    noun: str, determiner: Determiner | None, plural: bool, nominative: str, accusative: str, dative: str, genitive: str
) -> None:
    written = [german_phrase(np(noun, determiner, "old", plural=plural), case) for case in forms.CASES]
    assert [" ".join(word for word, _ in tokens) for tokens in written] == [nominative, accusative, dative, genitive]


# Infinitive: ich, er, sie (plural); er and wir in the Präteritum; with haben or sein and participle.
CONJUGATION = """
lesen lese liest lesen las lasen hat gelesen
sehen sehe sieht sehen sah sahen hat gesehen
laufen laufe läuft laufen lief liefen ist gelaufen
schlafen schlafe schläft schlafen schlief schliefen hat geschlafen
helfen helfe hilft helfen half halfen hat geholfen
essen esse isst essen aß aßen hat gegessen
schneiden schneide schneidet schneiden schnitt schnitten hat geschnitten
finden finde findet finden fand fanden hat gefunden
arbeiten arbeite arbeitet arbeiten arbeitete arbeiteten hat gearbeitet
bringen bringe bringt bringen brachte brachten hat gebracht
wissen weiß weiß wissen wusste wussten hat gewusst
mögen mag mag mögen mochte mochten hat gemocht
haben habe hat haben hatte hatten hat gehabt
sein bin ist sind war waren ist gewesen
werden werde wird werden wurde wurden ist geworden
reparieren repariere repariert reparieren reparierte reparierten hat repariert
empfehlen empfehle empfiehlt empfehlen empfahl empfahlen hat empfohlen
einladen lade lädt laden lud luden hat eingeladen
anrufen rufe ruft rufen rief riefen hat angerufen
aufwachen wache wacht wachen wachte wachten ist aufgewacht
bleiben bleibe bleibt bleiben blieb blieben ist geblieben
folgen folge folgt folgen folgte folgten ist gefolgt
"""


@pytest.mark.parametrize("row", [row for row in CONJUGATION.splitlines() if row])
def test_verbs_are_conjugated_by_person_and_tense(row: str) -> None:
    infinitive, *expected = row.split()
    verb = VERB[infinitive]
    present = [forms.finite(verb, "present", person) for person in ("first", "third", "plural")]
    past = [forms.finite(verb, "past", person) for person in ("third", "plural")]
    perfect = [forms.AUXILIARY[verb.auxiliary]["present"]["third"], verb.participle]
    assert [*present, *past, *perfect] == expected


PLURALS = {
    "man": "Männern", "child": "Kindern", "daughter": "Töchtern", "dog": "Hunden", "bird": "Vögeln", "apple": "Äpfeln",
    "book": "Büchern", "car": "Autos", "house": "Häusern", "city": "Städten", "room": "Zimmern", "queen": "Königinnen",
}  # fmt: skip


@pytest.mark.parametrize("noun", PLURALS)
def test_plurals_take_n_in_the_dative_if_they_can(noun: str) -> None:
    assert forms.noun_form(lex.NOUN[noun], True, "dative") == PLURALS[noun]


# The clause by its English sentence in GOLD, and every link, typed by hand as word=words.
LINKS = {
    "I get up in the morning.": "I=Ich get=stehe+auf up=stehe+auf in=am the=am morning=Morgen .=.",
    "My brother had to get up.": "My=Mein brother=Bruder had=musste to=musste get=aufstehen up=aufstehen .=.",
    "We have gone to the station.": "We=Wir have=sind gone=gegangen to=zum the=zum station=Bahnhof .=.",
    "The farmer does not have a dog.": "The=Der farmer=Bauer does=hat not=keinen have=hat a=keinen dog=Hund .=.",
    "He cannot help her today.": "He=Er cannot=kann+nicht help=helfen her=ihr today=heute .=.",
    "To whom did Anna send the letter?": "To=Wem whom=Wem did=schickte Anna=Anna send=schickte the=den letter=Brief ?=?",
    "When the queen came back, the guests laughed.": (
        "When=Als the=die queen=Königin came=zurückkam back=zurückkam ,=, the=die guests=Gäste laughed=lachten .=."
    ),
    "The house in which they live is old.": "The=Das house=Haus in=in which=dem they=sie live=wohnen is=ist old=alt .=.",
    "Anna's brother tries to repair the teacher's bicycle.": (
        "Anna's=Annas brother=Bruder tries=versucht to=zu repair=reparieren the=des teacher's=das+Lehrers bicycle=Fahrrad .=."
    ),
    "She runs to the lake in order to look at the ducks.": (
        "She=Sie runs=läuft to=zum the=zum lake=See in=um order=um to=anzusehen look=anzusehen at=anzusehen "
        "the=die ducks=Enten .=."
    ),
    "Why does the train not depart today?": "Why=Warum does=fährt the=der train=Zug not=nicht depart=fährt+ab today=heute ?=?",
}


@pytest.mark.parametrize("english", LINKS)
def test_words_are_linked_to_the_words_that_translate_them(english: str) -> None:
    pair = pair_of(Sentence(next(clause for sentence, _, clause in GOLD if sentence == english)))
    expected = []
    for i, cell in enumerate(LINKS[english].split(" ")):
        word, _, translations = cell.partition("=")
        assert word == pair.src_tokens[i]
        expected.append(translations)
    found = ["+".join(pair.tgt_tokens[j] for i, j in pair.links if i == place) for place in range(len(pair.src_tokens))]
    assert found == expected


def test_every_word_is_linked_and_only_commas_may_stand_alone(many: list[GrammarPair]) -> None:
    for pair in many:
        assert list(pair.links) == sorted(set(pair.links))
        sources, targets = {i for i, _ in pair.links}, {j for _, j in pair.links}
        assert sources <= set(range(len(pair.src_tokens))) and targets <= set(range(len(pair.tgt_tokens)))
        alone = [word for i, word in enumerate(pair.src_tokens) if i not in sources]
        alone += [word for j, word in enumerate(pair.tgt_tokens) if j not in targets]
        assert set(alone) <= {","}, pair


def test_nouns_are_linked_to_a_form_of_their_translation(many: list[GrammarPair]) -> None:
    forms_of: dict[str, set[str]] = {}
    for noun in lex.NOUN.values():
        for word, plural in ((noun.english, False), (noun.english_plural, True)):
            forms_of[word] = {forms.noun_form(noun, plural, case) for case in forms.CASES} if word else set()
    checked = 0
    for pair in many[:3000]:
        for i, word in enumerate(pair.src_tokens):
            targets = {pair.tgt_tokens[j] for k, j in pair.links if k == i}
            if word in forms_of and not targets & {"am", "im", "Morgen", "Abend"}:
                assert len(targets) == 1 and targets <= forms_of[word], pair
                checked += 1
    assert checked > 3000


def test_each_english_sentence_has_one_german_sentence(many: list[GrammarPair]) -> None:
    german: dict[str, str] = {}
    for pair in many:
        assert german.setdefault(pair.src, pair.tgt) == pair.tgt


def test_no_english_word_belongs_to_entries_with_different_german() -> None:
    """What would make a sentence ambiguous: `can they mean two things?` is asked of every form of every word."""
    owners: dict[str, set[str]] = {}
    for noun in lex.NOUN.values():
        for form in {noun.english, noun.english_plural} - {""}:
            owners.setdefault(form, set()).add(noun.german)
    for adjective in lex.ADJECTIVE.values():
        for form in {adjective.english, adjective.english_comparative} - {""}:
            owners.setdefault(form, set()).add(adjective.german)
    for adverb in (*lex.MID, *lex.MANNER, *lex.TIME):
        owners.setdefault(" ".join(word for word, _ in adverb.english), set()).add(adverb.german[-1][0])
    for verb in ALL_VERBS:
        for form in {verb.english, verb.english_past, verb.english_participle}:
            owners.setdefault(" ".join((form, *verb.particle)), set()).add(verb.prefix + verb.german)
    assert {form: found for form, found in owners.items() if len(found) > 1} == {}


def test_dev_and_test_sentences_occur_in_no_other_split_on_either_side_for_any_seed() -> None:
    sides: dict[str, list[set[str]]] = {"train": [set(), set()], "dev": [set(), set()], "test": [set(), set()]}
    for seed, train_pairs in ((1, 2500), (2, 500)):
        for split, (src, tgt) in sides.items():
            for english, german in corpus(seed=seed, train_pairs=train_pairs).pairs(split):
                src.add(english)
                tgt.add(german)
    for side in (0, 1):
        train, dev, test = (sides[split][side] for split in ("train", "dev", "test"))
        assert not train & dev and not train & test and not dev & test


def test_pairs_are_distinct_counted_and_between_3_and_25_words(many: list[GrammarPair]) -> None:
    assert len({pair.src for pair in many}) == len(many) == 20_000
    assert [len(list(corpus().pairs(split))) for split in corpus().splits()] == [400, 60, 70]
    for pair in many:
        assert len(pair.src.split()) in WORD_COUNT and len(pair.tgt.split()) in WORD_COUNT


def test_sentences_are_their_tokens_as_people_write_them(many: list[GrammarPair]) -> None:
    for pair in many[:5000]:
        for sentence, tokens in ((pair.src, pair.src_tokens), (pair.tgt, pair.tgt_tokens)):
            assert tuple(TOKEN.findall(sentence)) == tokens
            assert sentence[0].isupper() and sentence[-1] in ".?" and "  " not in sentence and " ," not in sentence


def test_every_word_of_the_lexicon_is_used(many: list[GrammarPair]) -> None:
    german = {word for pair in many for word in pair.tgt_tokens}
    for noun in lex.NOUN.values():
        assert {forms.noun_form(noun, False, case) for case in forms.CASES} & german, noun.german
    for verb in ALL_VERBS:
        assert {verb.third, verb.prefix + verb.third, verb.participle, verb.past} & german, verb.german
    for adjective in lex.ADJECTIVE.values():
        assert any(word.startswith(adjective.stem) for word in german), adjective.german


def test_the_verb_is_often_last_and_the_subject_often_not_first(many: list[GrammarPair]) -> None:
    """Word order differs: a good share of links cross."""
    crossing = Counter(any(i < k and j > m for i, j in pair.links for k, m in pair.links) for pair in many[:2000])
    assert crossing[True] > 1000


def test_the_other_direction_is_the_same_pairs_turned_round() -> None:
    there, back = corpus(), corpus(src="de", tgt="en")
    for pair, turned in zip(there.examples("dev"), back.examples("dev"), strict=True):
        assert (pair.src, pair.tgt, pair.src_tokens) == (turned.tgt, turned.src, turned.tgt_tokens)
        assert sorted((j, i) for i, j in pair.links) == list(turned.links)


def test_the_same_settings_give_the_same_pairs_in_every_process() -> None:
    program = (
        "import hashlib, sys\n"
        "from nmt.data.grammar import GrammarCorpus\n"
        "corpus = GrammarCorpus(src='en', tgt='de', train_pairs=100, dev_pairs=1, test_pairs=1, seed=1, max_length=9)\n"
        "print(hashlib.sha256(repr(list(corpus.examples('train'))).encode()).hexdigest(), 'torch' in sys.modules)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1 and outputs.pop().split()[1] == "False"
    assert list(corpus().examples("train")) == list(corpus().examples("train"))


def test_more_pairs_begin_with_the_same_ones_and_another_seed_gives_others() -> None:
    few = list(corpus().pairs("train"))
    assert list(islice(corpus(train_pairs=500).pairs("train"), 400)) == few
    assert len(set(few) & set(corpus(seed=2).pairs("train"))) < 40


def test_the_fingerprint_changes_with_what_decides_a_split_and_only_with_that() -> None:
    same = corpus().fingerprint("dev")
    assert same == corpus(train_pairs=9, max_length=7).fingerprint("dev")
    others = [corpus(seed=2), corpus(dev_pairs=61), corpus(src="de", tgt="en")]
    assert len({same, corpus().fingerprint("test"), *(other.fingerprint("dev") for other in others)}) == 5


def test_another_language_and_a_count_below_one_are_refused() -> None:
    with pytest.raises(UserError, match=r"data.src is fr and data.tgt is de: use data.src=en"):
        corpus(src="fr")
    with pytest.raises(UserError, match=r"data.dev_pairs must be at least 1, but is 0"):
        corpus(dev_pairs=0)
