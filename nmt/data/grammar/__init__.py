"""The embedded corpus: English-German sentence pairs from a feature grammar, with gold word alignments.

An abstract sentence (`features`) is drawn at random (`phrases`, `clauses`, `sampler`) and said twice, by `english` and by
`german`, which know nothing of each other. Whatever decides a choice in German is visible in the English:

- simple present, simple past, present perfect, past perfect and `will` are Präsens, Präteritum, Perfekt, Plusquamperfekt and
  werden; there is no progressive. Verbs such as `read`, whose past looks like their present, have no simple past;
- a teacher is a Lehrer: nouns for people have one gender. There is no `you`, and `it` only rains and snows;
- `which` and `who` open relative clauses, `that` only what somebody says or knows;
- `into` takes the accusative and `in` the dative; after `put`, `place` and `hang`, `on` is a direction;
- what English says first (`Yesterday …`), German says first; `not` with an indefinite object is kein;
- adverbials never follow a clause that they could belong to.
"""

from nmt.data.grammar.corpus import GrammarCorpus, GrammarPair

__all__ = ["GrammarCorpus", "GrammarPair"]
