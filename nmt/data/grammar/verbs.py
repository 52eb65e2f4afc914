"""The verbs, with their principal parts and what they combine with."""

from typing import cast

from nmt.data.grammar import english_forms
from nmt.data.grammar.lexemes import Argument, Case, Preposition, Slot, Verb

# English (past, participle, particle) | German infinitive, third person, Präteritum, auxiliary and participle | who |
# frames, separated by ; with ? for what may be missing | adverbials
VERBS = """
sleep slept slept | schlafen schläft schlief hat geschlafen | person animal | | manner:skill place:home,bed,spot
laugh | lachen lacht lachte hat gelacht | person | complement?:about=über+accusative:told,event | manner:sound
cry | weinen weint weinte hat geweint | young | | manner:sound place:home,spot
work | arbeiten arbeitet arbeitete hat gearbeitet | person | | manner:speed company:with place:work
swim swam swum | schwimmen schwimmt schwamm ist geschwommen | person pet | | manner:speed place:water
dance | tanzen tanzt tanzte hat getanzt | person | | manner:skill company:with place:home,town
sing sang sung | singen singt sang hat gesungen | person | object?:song | manner:sound,skill company:for place:home,nature,town
wait | warten wartet wartete hat gewartet | person | complement?:for=auf+accusative:person,public | manner:patience place:town
play | spielen spielt spielte hat gespielt | young | complement?:with=mit+dative:pet,toy | manner:sound place:home,nature,spot
stay | bleiben bleibt blieb ist geblieben | person | place:home,town | company:with
live | wohnen wohnt wohnte hat gewohnt | person | place:live | company:with
sit sat sat | sitzen sitzt saß hat gesessen | person pet | place:spot | company:with
arrive | an-kommen kommt kam ist angekommen | person public | place?:arrive |
get got got up | auf-stehen steht stand ist aufgestanden | person | | manner:speed
wake woke woken up | auf-wachen wacht wachte ist aufgewacht | person animal | |
fall fell fallen asleep | ein-schlafen schläft schlief ist eingeschlafen | person animal | | manner:speed place:spot,bed
come came come back | zurück-kommen kommt kam ist zurückgekommen | person | | company:with,without
depart | ab-fahren fährt fuhr ist abgefahren | public | |
begin began begun | an-fangen fängt fing hat angefangen | event | |
go went gone | gehen geht ging ist gegangen | person | direction:walk | company:with,without
run ran run | laufen läuft lief ist gelaufen | person animal | direction:walk | manner:speed
travel travelled travelled | reisen reist reiste ist gereist | person | direction:city | company:with,without
drive drove driven | fahren fährt fuhr ist gefahren | person | direction:drive,city | manner:speed company:with
fly flew flown | fliegen fliegt flog ist geflogen | flying | direction:fly | manner:speed
read read read | lesen liest las hat gelesen | person | object:text | manner:care place:home,work,spot
write wrote written | schreiben schreibt schrieb hat geschrieben | person | recipient?:person object:written | place:home,work
eat ate eaten | essen isst aß hat gegessen | person | object:food | manner:speed place:home,nature
drink drank drunk | trinken trinkt trank hat getrunken | person | object:drink | manner:speed place:home,town
see saw seen | sehen sieht sah hat gesehen | person animal | object:person,animal,vehicle,sight | place:town,nature,spot
hear heard heard | hören hört hörte hat gehört | person animal | object:song,vehicle,animal ; content:that |
buy bought bought | kaufen kauft kaufte hat gekauft | person | object:thing,food,print,cloth,owned | company:for place:town
sell sold sold | verkaufen verkauft verkaufte hat verkauft | person | object:thing,food,cloth,owned,furniture | place:town
find found found | finden findet fand hat gefunden | person | object:thing,paper,pet,cloth | place:home,nature,spot
look looked looked for | suchen sucht suchte hat gesucht | person | object:thing,pet,cloth,person | place:home,nature
love | lieben liebt liebte hat geliebt | person | object:family,pet,language,song |
visit | besuchen besucht besuchte hat besucht | person | object:person,sight | company:with
meet met met | treffen trifft traf hat getroffen | person | object:person | place:town,nature
watch | beobachten beobachtet beobachtete hat beobachtet | person animal | object:animal,young | place:home,nature
open | öffnen öffnet öffnete hat geöffnet | person | object:openable,sealed | manner:care,speed
close | schließen schließt schloss hat geschlossen | person | object:openable | manner:care,sound
carry | tragen trägt trug hat getragen | person | object:carried,thing direction?:carry | manner:care
bring brought brought | bringen bringt brachte hat gebracht | person | recipient:person object:thing,drink,paper,food |
give gave given | geben gibt gab hat gegeben | person | recipient:person object:gift,food,drink,thing |
show showed shown | zeigen zeigt zeigte hat gezeigt | person | recipient:person object:picture,sight,paper,home |
send sent sent | schicken schickt schickte hat geschickt | person | recipient:person object:message,gift |
lend lent lent | leihen leiht lieh hat geliehen | person | recipient:person object:ride,print,cloth |
tell told told | erzählen erzählt erzählte hat erzählt | person | recipient:person object:told | manner:sound
explain | erklären erklärt erklärte hat erklärt | person | to-recipient:person object:problem | manner:patience
recommend | empfehlen empfiehlt empfahl hat empfohlen | person | to-recipient:person object:recommended |
lose lost lost | verlieren verliert verlor hat verloren | person | object:thing,paper,cloth | place:nature,town
steal stole stolen | stehlen stiehlt stahl hat gestohlen | person | object:thing,ride | place:town
paint | malen malt malte hat gemalt | person | object:picture,animal,plant | manner:skill place:home,nature
repair | reparieren repariert reparierte hat repariert | person | object:ride,device,furniture | manner:skill,speed company:for
wash | waschen wäscht wusch hat gewaschen | person | object:cloth,ride,upright | manner:care
clean | putzen putzt putzte hat geputzt | person | object:cleaned,room |
cook | kochen kocht kochte hat gekocht | person | object:cooked | company:for,with
bake | backen backt backte hat gebacken | person | object:baked | company:for
cut cut cut | schneiden schneidet schnitt hat geschnitten | person | object:food | manner:care place:home
break broke broken | zerbrechen zerbricht zerbrach hat zerbrochen | person | object:fragile |
build built built | bauen baut baute hat gebaut | person | object:building,furniture | company:for,with
invite | ein-laden lädt lud hat eingeladen | person | object:person |
call | an-rufen ruft rief hat angerufen | person | object:person |
pick picked picked up | ab-holen holt holte hat abgeholt | person | object:person place?:arrive |
look looked looked at | an-sehen sieht sah hat angesehen | person | object:picture,sight,animal | manner:care
turn turned turned on | ein-schalten schaltet schaltete hat eingeschaltet | person | object:device |
turn turned turned off | aus-schalten schaltet schaltete hat ausgeschaltet | person | object:device |
try tried tried on | an-probieren probiert probierte hat anprobiert | person | object:cloth |
tidy tidied tidied up | auf-räumen räumt räumte hat aufgeräumt | person | object:room |
understand understood understood | verstehen versteht verstand hat verstanden | person | object:problem,person ; content:that |
need | brauchen braucht brauchte hat gebraucht | person | object:thing,cloth,owned |
have had had | haben hat hatte hat gehabt | person | object:pet,owned,problem,family,thing |
like | mögen mag mochte hat gemocht | person | object:food,drink,person,pet,told,print |
praise | loben lobt lobte hat gelobt | person | object:person | manner:sound
follow | folgen folgt folgte ist gefolgt | person animal | recipient:person,animal | manner:speed
help | helfen hilft half hat geholfen | person | recipient:person | place:home,work
thank | danken dankt dankte hat gedankt | person | recipient:person |
listen listened listened to | zu-hören hört hörte hat zugehört | person | recipient:person | manner:patience
answer | antworten antwortet antwortete hat geantwortet | person | recipient:person | manner:sound,speed
trust | vertrauen vertraut vertraute hat vertraut | person | recipient:person |
belong belonged belonged to | gehören gehört gehörte hat gehört | owned thing pet cloth | recipient:person |
believe | glauben glaubt glaubte hat geglaubt | person | recipient:person ; content:that |
think thought thought | denken denkt dachte hat gedacht | person | complement:of=an+accusative:person,event ; content:that |
dream | träumen träumt träumte hat geträumt | person | complement?:of=von+dative:person,event |
speak spoke spoken | sprechen spricht sprach hat gesprochen | person | complement:with=mit+dative:person | manner:sound
talk | reden redet redete hat geredet | person | complement:about=über+accusative:problem,event,person | place:home,work
know knew known | wissen weiß wusste hat gewusst | person | content:that,whether,asked |
say said said | sagen sagt sagte hat gesagt | person | content:that |
hope | hoffen hofft hoffte hat gehofft | person | content:that,infinitive |
ask | fragen fragt fragte hat gefragt | person | object:person content:whether,asked |
try | versuchen versucht versuchte hat versucht | person | content:infinitive |
promise | versprechen verspricht versprach hat versprochen | person | content:infinitive |
decide | beschließen beschließt beschloss hat beschlossen | person | content:infinitive |
forget forgot forgotten | vergessen vergisst vergaß hat vergessen | person | object:thing,paper ; content:that,infinitive |
put put put | legen legt legte hat gelegt | person | object:flat,cloth direction:put | manner:care
place | stellen stellt stellte hat gestellt | person | object:upright direction:stand | manner:care
hang hung hung | hängen hängt hängte hat gehängt | person | object:picture direction:wall ; object:cloth direction:hang |
rain | regnen regnet regnete hat geregnet | | | place:town
snow | schneien schneit schneite hat geschneit | | | place:nature
be was been | sein ist war ist gewesen | person animal thing text event building cloth owned room nature | predicate |
become became become | werden wird wurde ist geworden | person animal | predicate |
"""


def _verb(english: str, german: str, subjects: str, frames: str, adjuncts: str) -> Verb:
    base, *parts = english.split()
    past, participle, *particle = parts if len(parts) > 1 else [english_forms.past(base)] * 2
    infinitive, third, preterite, auxiliary, german_participle = german.split()
    prefix, _, stem = infinitive.rpartition("-")
    return Verb(
        english=base,
        english_past=past,
        english_participle=participle,
        particle=tuple(particle),
        german=stem,
        prefix=prefix,
        third=third,
        past=preterite,
        participle=german_participle,
        auxiliary="sein" if auxiliary == "ist" else "haben",
        subjects=frozenset(subjects.split()),
        frames=tuple(tuple(_argument(cell) for cell in frame.split()) for frame in frames.split(";")),
        adjuncts={cast(Slot, slot): frozenset(names.split(",")) for slot, _, names in map(_partition, adjuncts.split())},
        recipient_to="to-recipient" in frames,
    )


def _partition(cell: str) -> tuple[str, str, str]:
    return cell.partition(":")


def _argument(cell: str) -> Argument:
    name, *rest = cell.split(":")
    slot = name.removeprefix("to-").removesuffix("?")
    preposition = None
    if "=" in cell:
        english, _, german = rest[0].partition("=")
        word, _, case = german.partition("+")
        preposition = Preposition((english,), word, cast(Case, case))
    classes = frozenset(rest[-1].split(",")) if rest else frozenset[str]()
    return Argument(cast(Slot, slot), name.endswith("?"), preposition, classes)


ALL_VERBS = tuple(_verb(*(cell.strip() for cell in line.split("|"))) for line in VERBS.strip().splitlines())
