"""The embedded corpus: an English-German feature grammar."""

from nmt.data.grammar.corpus import GrammarCorpus, GrammarPair

__all__ = ["GrammarCorpus", "GrammarPair"]
