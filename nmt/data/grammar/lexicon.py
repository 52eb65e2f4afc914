"""The words: nouns, adjectives, adverbials and function words. Verbs have their own file.

The tables are written as a learner's dictionary writes them. No English form belongs to two entries with different German
words, so that an English sentence says which German one is meant.
"""

from nmt.data.grammar import english_forms
from nmt.data.grammar.lexemes import (
    Adjective,
    Adverb,
    Conjunction,
    Determiner,
    Gender,
    Modal,
    Noun,
    Preposition,
    PronounWord,
)

GENDERS: dict[str, Gender] = {"der": "masculine", "die": "feminine", "das": "neuter"}

# English (irregular plural) | article, nominative, genitive unless feminine, plural; - where there is none | classes
NOUNS = """
man men | der Mann Mannes Männer | person
woman women | die Frau Frauen | person
child children | das Kind Kindes Kinder | person young
boy | der Junge Jungen Jungen | person young
girl | das Mädchen Mädchens Mädchen | person young
teacher | der Lehrer Lehrers Lehrer | person mine
doctor | der Arzt Arztes Ärzte | person mine
student | der Student Studenten Studenten | person
neighbour | der Nachbar Nachbarn Nachbarn | person mine
farmer | der Bauer Bauern Bauern | person
king | der König Königs Könige | person grown
queen | die Königin Königinnen | person grown
baker | der Bäcker Bäckers Bäcker | person
tourist | der Tourist Touristen Touristen | person
guest | der Gast Gastes Gäste | person mine
friend | der Freund Freundes Freunde | person mine
colleague | der Kollege Kollegen Kollegen | person mine
policeman policemen | der Polizist Polizisten Polizisten | person
mother - | die Mutter - | person family grown
father - | der Vater Vaters - | person family grown
brother | der Bruder Bruders Brüder | person family
sister | die Schwester Schwestern | person family
grandmother | die Großmutter Großmütter | person family grown
uncle | der Onkel Onkels Onkel | person family
aunt | die Tante Tanten | person family
son | der Sohn Sohnes Söhne | person family
daughter | die Tochter Töchter | person family
dog | der Hund Hundes Hunde | animal pet
cat | die Katze Katzen | animal pet
horse | das Pferd Pferdes Pferde | animal
bird | der Vogel Vogels Vögel | animal flying
cow | die Kuh Kühe | animal
mouse mice | die Maus Mäuse | animal mouse
bear | der Bär Bären Bären | animal bear
duck | die Ente Enten | animal flying
apple | der Apfel Apfels Äpfel | food sweet
egg | das Ei Eies Eier | food cooked
potato | die Kartoffel Kartoffeln | food cooked
cake | der Kuchen Kuchens Kuchen | food baked
sausage | die Wurst Würste | food
tomato | die Tomate Tomaten | food
bread - | das Brot Brotes - | food baked mass
cheese - | der Käse Käses - | food mass
soup | die Suppe Suppen | food cooked mass
meat - | das Fleisch Fleisches - | food cooked mass
water - | das Wasser Wassers - | drink
milk - | die Milch - | drink
coffee - | der Kaffee Kaffees - | drink
tea - | der Tee Tees - | drink
wine - | der Wein Weins - | drink
book | das Buch Buches Bücher | text written gift flat print paper
letter | der Brief Briefes Briefe | text written message flat sealed paper
newspaper | die Zeitung Zeitungen | text flat print paper
story stories | die Geschichte Geschichten | text written told
poem | das Gedicht Gedichtes Gedichte | text written
message | die Nachricht Nachrichten | text written message
question | die Frage Fragen | problem
problem | das Problem Problems Probleme | problem
song | das Lied Liedes Lieder | song
language | die Sprache Sprachen | language
key | der Schlüssel Schlüssels Schlüssel | thing flat
bag | die Tasche Taschen | thing carried openable
picture | das Bild Bildes Bilder | thing gift picture
flower | die Blume Blumen | thing gift flower
cup | die Tasse Tassen | thing upright fragile
glass | das Glas Glases Gläser | thing upright fragile
bottle | die Flasche Flaschen | thing upright fragile openable
knife knives | das Messer Messers Messer | thing flat
plate | der Teller Tellers Teller | thing upright fragile
umbrella | der Regenschirm Regenschirms Regenschirme | thing
ring | der Ring Ringes Ringe | thing gift
ball | der Ball Balles Bälle | thing gift toy
suitcase | der Koffer Koffers Koffer | thing carried openable
box | die Kiste Kisten | thing carried openable
coat | der Mantel Mantels Mäntel | cloth
hat | der Hut Hutes Hüte | cloth
shirt | das Hemd Hemdes Hemden | cloth
dress | das Kleid Kleides Kleider | cloth
jacket | die Jacke Jacken | cloth
table | der Tisch Tisches Tische | furniture
chair | der Stuhl Stuhls Stühle | furniture
bed | das Bett Bettes Betten | furniture
cupboard | der Schrank Schrankes Schränke | furniture openable
lamp | die Lampe Lampen | device upright
computer | der Computer Computers Computer | device
radio | das Radio Radios Radios | device
door | die Tür Türen | part openable
window | das Fenster Fensters Fenster | part openable cleaned
wall | die Wand Wände | surface
tree | der Baum Baumes Bäume | plant
car | das Auto Autos Autos | vehicle owned ride
bicycle | das Fahrrad Fahrrades Fahrräder | owned ride
train | der Zug Zuges Züge | vehicle public
bus | der Bus Busses Busse | vehicle public
ship | das Schiff Schiffes Schiffe | vehicle public
house | das Haus Hauses Häuser | building owned home
garden | der Garten Gartens Gärten | home
kitchen | die Küche Küchen | room
room | das Zimmer Zimmers Zimmer | room
city | die Stadt Städte | town
village | das Dorf Dorfes Dörfer | town
school | die Schule Schulen | building
church | die Kirche Kirchen | building sight
castle | das Schloss Schlosses Schlösser | building sight
museum museums | das Museum Museums Museen | building sight recommended
hospital | das Krankenhaus Krankenhauses Krankenhäuser | building
library | die Bibliothek Bibliotheken | building recommended
hotel | das Hotel Hotels Hotels | building recommended
restaurant | das Restaurant Restaurants Restaurants | building recommended
office | das Büro Büros Büros | room
shop | das Geschäft Geschäftes Geschäfte | building
station | der Bahnhof Bahnhofs Bahnhöfe | building
market | der Markt Marktes Märkte | town
park | der Park Parks Parks | nature
street | die Straße Straßen | town
bridge | die Brücke Brücken | building sight
forest | der Wald Waldes Wälder | nature
river | der Fluss Flusses Flüsse | nature
mountain | der Berg Berges Berge | nature high
lake | der See Sees Seen | nature
beach | der Strand Strandes Strände | nature
concert | das Konzert Konzertes Konzerte | event
film | der Film Films Filme | event recommended
journey | die Reise Reisen | event
lesson | die Stunde Stunden | event
"""

# English (comparative) | German, stem (comparative) | classes that it can be said of, and with - those that it cannot
ADJECTIVES = """
old older | alt alt älter | -young -flower person animal building furniture cloth text town vehicle owned device thing plant
young younger | jung jung jünger | -grown -young person animal
small smaller | klein klein kleiner | -mass -family person animal building furniture thing town room home plant food device
big bigger | groß groß größer | -mass animal building furniture thing town room home plant food device
new newer | neu neu neuer | -flower building furniture cloth text vehicle owned device thing problem song
tired | müde müd | person animal
hungry | hungrig hungrig | person animal
happy happier | glücklich glücklich glücklicher | person
sad sadder | traurig traurig trauriger | person told song
friendly friendlier | freundlich freundlich freundlicher | person
rich richer | reich reich reicher | -young person
poor poorer | arm arm ärmer | person
clever cleverer | klug klug klüger | person
strong stronger | stark stark stärker | -flying -mouse person animal
lazy lazier | faul faul fauler | person pet
famous | berühmt berühmt | -young -family person sight picture song
ill | krank krank | person animal
brave braver | mutig mutig mutiger | person animal
black | schwarz schwarz | -bear -home pet animal cloth furniture owned carried
white | weiß weiß | pet flying cloth furniture building
brown | braun braun | pet cloth furniture carried
red | rot rot | -home cloth owned carried upright toy
green | grün grün | -home cloth owned carried upright toy
blue | blau blau | -home cloth owned carried upright toy
beautiful | schön schön | person building town nature cloth picture song home told animal flower gift
expensive | teuer teur teurer | -text cloth owned device gift carried furniture recommended drink
cheap cheaper | billig billig billiger | -text -event cloth owned device carried furniture recommended food
heavy heavier | schwer schwer schwerer | carried furniture toy
long longer | lang lang länger | text event song
short shorter | kurz kurz kürzer | text event song
interesting | interessant interessant | text event problem language sight
boring | langweilig langweilig | text event
funny funnier | lustig lustig lustiger | told person song event
important | wichtig wichtig | -poem problem message text
difficult | schwierig schwierig | problem language
cold colder | kalt kalt kälter | drink room nature cooked
hot hotter | heiß heiß heißer | drink cooked
fresh fresher | frisch frisch frischer | food drink
sweet sweeter | süß süß süßer | baked sweet drink
dark darker | dunkel dunkl dunkler | room nature
quiet quieter | ruhig ruhig ruhiger | room town nature
modern | modern modern | building device vehicle town
dirty dirtier | schmutzig schmutzig schmutziger | -home cloth owned upright room part toy
empty | leer leer | upright carried room
high higher | hoch hoh höher | high
"""

# English | German (words with one number translate each other) | tenses
TIMES = """
now | jetzt | present
today | heute | present future perfect
yesterday | gestern | past
tomorrow | morgen | future
in/1 the/1 morning/2 | am/1 Morgen/2 | present past
in/1 the/1 evening/2 | am/1 Abend/2 | present past
at/1 night/2 | in/1 der/1 Nacht/2 | present past
on/1 Sunday/2 | am/1 Sonntag/2 | past future
on/1 Monday/2 | am/1 Montag/2 | past future
last/1 week/2 | letzte/1 Woche/2 | past
last/1 year/2 | letztes/1 Jahr/2 | past
next/1 week/2 | nächste/1 Woche/2 | future
this/1 week/2 | diese/1 Woche/2 | present perfect future
a/1 week/2 ago/3 | vor/3 einer/1 Woche/2 | past
in/1 summer/2 | im/1 Sommer/2 | present past
in/1 winter/2 | im/1 Winter/2 | present past
"""

# `not` would have to stand before these.
UNNEGATED_TIMES = """
soon | bald | future
every/1 day/2 | jeden/1 Tag/2 | present past
every/1 evening/2 | jeden/1 Abend/2 | present past
"""

MIDS = """
often | oft | present past perfect
always | immer | present past
sometimes | manchmal | present past
rarely | selten | present past
never | nie | present past perfect
usually | meistens | present past
already | schon | perfect pluperfect
just | gerade | perfect pluperfect
finally | endlich | past perfect
probably | wahrscheinlich | present past perfect future
"""

MANNERS = """
slowly | langsam | speed
quickly | schnell | speed
quietly | leise | sound
loudly | laut | sound
carefully | vorsichtig | care
well | gut | skill
badly | schlecht | skill
patiently | geduldig | patience
"""

QUESTIONS = """
where | wo | place
where | wohin | direction
when | wann | time
why | warum | reason
"""

# Verbs name the classes after the noun for where somebody is, those after the bar for where somebody goes.
PLACES = """
house | home:in=in spot:behind=hinter,in_front_of=vor | walk:into=in,out_of=aus carry:into=in
garden | home:in=in | walk:into=in,through=durch carry:into=in
kitchen | home:in=in | walk:into=in,out_of=aus carry:into=in
room | home:in=in | walk:into=in,out_of=aus carry:into=in
bed | bed:in=in spot:beside=neben surface:on=auf | put:on=auf
table | spot:under=unter,beside=neben surface:on=auf | put:on=auf stand:on=auf
chair | surface:on=auf | put:on=auf
cupboard | surface:in=in spot:beside=neben | hang:in=in put:into=in stand:into=in
box | surface:in=in | put:into=in
wall | | wall:on=an
window | spot:at=an | stand:beside=neben
door | spot:beside=neben,in_front_of=vor |
tree | spot:under=unter,behind=hinter |
car | spot:in=in,beside=neben | carry:to=zu
city | town:in=in live:in=in | walk:through=durch drive:through=durch
village | town:in=in live:in=in | walk:through=durch drive:to=zu,through=durch
school | town:in=in work:in=in | walk:to=zu
church | town:in=in spot:behind=hinter | walk:to=zu,into=in
castle | live:in=in town:in=in | walk:to=zu,through=durch drive:to=zu
museum | town:in=in work:in=in | walk:to=zu,into=in,through=durch
hospital | work:in=in town:in=in | drive:to=zu carry:into=in
library | town:in=in work:in=in | walk:to=zu,into=in
hotel | town:in=in work:in=in live:in=in | drive:to=zu walk:to=zu,into=in carry:into=in
restaurant | town:in=in work:in=in | walk:to=zu,into=in
office | work:in=in | walk:to=zu,into=in carry:into=in
shop | town:in=in work:in=in | walk:to=zu,into=in,out_of=aus
station | town:at=an arrive:at=an | walk:to=zu drive:to=zu carry:to=zu
market | town:at=auf | walk:to=zu
park | nature:in=in | walk:into=in,to=zu,through=durch
street | town:on=auf | walk:across=über
bridge | town:on=auf | walk:across=über drive:across=über
forest | nature:in=in | walk:into=in,through=durch drive:through=durch fly:through=durch
river | water:in=in nature:at=an | walk:to=zu fly:across=über
mountain | nature:on=auf |
lake | water:in=in nature:at=an | walk:to=zu drive:to=zu fly:across=über
beach | nature:on=an | walk:to=zu drive:to=zu
"""


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def _noun(english: str, german: str, classes: str) -> Noun:
    singular, *irregular = english.split()
    article, nominative, *genitive, plural = german.split()
    plural_english = irregular[0] if irregular else english_forms.plural(singular)
    return Noun(
        english=singular,
        english_plural="" if plural_english == "-" else plural_english,
        german=nominative,
        genitive=genitive[0] if genitive else nominative,
        plural="" if plural == "-" else plural,
        gender=GENDERS[article],
        classes=frozenset(classes.split()),
    )


def _adjective(english: str, german: str, classes: str) -> Adjective:
    positive, *comparative = english.split()
    predicative, stem, *german_comparative = german.split()
    return Adjective(
        english=positive,
        german=predicative,
        stem=stem,
        english_comparative=comparative[0] if comparative else "",
        comparative=german_comparative[0] if comparative and german_comparative else "",
        classes=frozenset(name for name in classes.split() if name[0] != "-"),
        excluded=frozenset(name[1:] for name in classes.split() if name[0] == "-"),
    )


def _numbered(words: str) -> tuple[tuple[str, int], ...]:
    pairs = [word.partition("/") for word in words.split()]
    return tuple((word, int(number or 1)) for word, _, number in pairs)


def _adverbs(table: str) -> tuple[Adverb, ...]:
    return tuple(
        Adverb(_numbered(english), _numbered(german), frozenset(classes.split())) for english, german, classes in _rows(table)
    )


NOUN = {noun.english: noun for noun in (_noun(*row) for row in _rows(NOUNS))}
ADJECTIVE = {adjective.english: adjective for adjective in (_adjective(*row) for row in _rows(ADJECTIVES))}
COLOURS = frozenset(ADJECTIVE[name] for name in ("black", "white", "brown", "red", "green", "blue"))
TIME = _adverbs(TIMES)
UNNEGATED_TIME = _adverbs(UNNEGATED_TIMES)
MID = _adverbs(MIDS)
MANNER = _adverbs(MANNERS)
WHERE, WHERE_TO, WHEN_ASKED, WHY = _adverbs(QUESTIONS)

THE = Determiner("the", "the", "d", "article", True)
A = Determiner("a", None, "ein", "ein", False)
NO = Determiner("no", "no", "kein", "ein", False)
THIS = Determiner("this", "these", "dies", "der", True)
WHICH = Determiner("which", "which", "welch", "der", True)
EVERY = Determiner("every", None, "jed", "der", True)
ALL = Determiner(None, "all", "all", "der", True)
MANY = Determiner(None, "many", "viel", "many", False)
SOME = Determiner(None, "some", "einig", "many", False)
MY, HIS, HER, OUR = (
    Determiner(english, english, german, "ein", True)
    for english, german in (("my", "mein"), ("his", "sein"), ("her", "ihr"), ("our", "unser"))
)
TWO, THREE, FOUR, FIVE, TEN = (
    Determiner(None, english, german, "fixed", False)
    for english, german in (("two", "zwei"), ("three", "drei"), ("four", "vier"), ("five", "fünf"), ("ten", "zehn"))
)

I = PronounWord("I", "me", {"nominative": "ich", "accusative": "mich", "dative": "mir"}, "first")  # noqa: E741 - the pronoun's name
HE = PronounWord("he", "him", {"nominative": "er", "accusative": "ihn", "dative": "ihm"}, "third")
SHE = PronounWord("she", "her", {"nominative": "sie", "accusative": "sie", "dative": "ihr"}, "third")
WE = PronounWord("we", "us", {"nominative": "wir", "accusative": "uns", "dative": "uns"}, "plural")
THEY = PronounWord("they", "them", {"nominative": "sie", "accusative": "sie", "dative": "ihnen"}, "plural")
PRONOUNS = (I, HE, SHE, WE, THEY)
PEOPLE = ("Anna", "Maria", "Julia", "Laura", "Peter", "Paul", "Martin", "David")
CITIES = (("Berlin", "Berlin"), ("Hamburg", "Hamburg"), ("Vienna", "Wien"), ("Munich", "München"))

WITH = Preposition(("with",), "mit", "dative")
WITHOUT = Preposition(("without",), "ohne", "accusative")
FOR = Preposition(("for",), "für", "accusative")
IN = Preposition(("in",), "in", "dative")
TO_CITY = Preposition(("to",), "nach", "dative")
DURING = Preposition(("during",), "während", "genitive")
AFTER = Preposition(("after",), "nach", "dative")
BEFORE = Preposition(("before",), "vor", "dative")
MOTION_DATIVE = ("zu", "aus")

BECAUSE = Conjunction(("because",), ("weil",))
ALTHOUGH = Conjunction(("although",), ("obwohl",))
IF = Conjunction(("if",), ("wenn",))
WHEN = Conjunction(("when",), ("als",))
WHILE = Conjunction(("while",), ("während",))
BEFORE_CLAUSE = Conjunction(("before",), ("bevor",))
AFTER_CLAUSE = Conjunction(("after",), ("nachdem",))
THAT = Conjunction(("that",), ("dass",))
WHETHER = Conjunction(("whether",), ("ob",))
IN_ORDER = Conjunction(("in", "order"), ("um",))

CAN = Modal(
    {"present": ("can", None, ()), "past": ("could", None, ())},
    {"present": ("kann", "können"), "past": ("konnte", "konnten")},
)
HAVE_TO = Modal(
    {"present": (None, "have", ("to",)), "past": (None, "have", ("to",))},
    {"present": ("muss", "müssen"), "past": ("musste", "mussten")},
)
WANT_TO = Modal(
    {"present": (None, "want", ("to",)), "past": (None, "want", ("to",))},
    {"present": ("will", "wollen"), "past": ("wollte", "wollten")},
)
SHOULD = Modal({"present": ("should", None, ())}, {"present": ("sollte", "sollten")})
WOULD_LIKE_TO = Modal({"present": ("would", None, ("like", "to"))}, {"present": ("möchte", "möchten")})
MAY = Modal(
    {"present": ("be", None, ("allowed", "to")), "past": ("be", None, ("allowed", "to"))},
    {"present": ("darf", "dürfen"), "past": ("durfte", "durften")},
)
MODALS = (CAN, HAVE_TO, WANT_TO, SHOULD, WOULD_LIKE_TO, MAY)


def _places() -> tuple[dict[str, list[tuple[Preposition, Noun]]], dict[str, list[tuple[Preposition, Noun]]]]:
    """Location and direction: per class of the verb the prepositions and nouns that may follow."""
    where: dict[str, list[tuple[Preposition, Noun]]] = {}
    where_to: dict[str, list[tuple[Preposition, Noun]]] = {}
    for noun, located, directed in _rows(PLACES):
        for target, cell in ((where, located), (where_to, directed)):
            for group in cell.split():
                name, _, prepositions = group.partition(":")
                for pair in prepositions.split(","):
                    english, _, german = pair.partition("=")
                    dative = target is where or german in MOTION_DATIVE
                    preposition = Preposition(tuple(english.split("_")), german, "dative" if dative else "accusative")
                    target.setdefault(name, []).append((preposition, NOUN[noun]))
    return where, where_to


WHERE_AT, WHERE_GOING = _places()
