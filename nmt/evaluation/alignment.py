"""How good word alignments are, and what two directions make together."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from nmt.data.links import Gold, Link

Links = Collection[Link]


@dataclass(frozen=True)
class AlignmentScore:
    """Of links A against sure ones S and possible ones P (Och and Ney 2003, section 6.1), over all sentences.

    Attributes:
        precision: |A ∩ P| / |A|.
        recall: |A ∩ S| / |S|.
        error_rate: AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|).
        interval: of the error rate: 95 % of resamples of the sentences lie in it.
    """

    precision: float
    recall: float
    error_rate: float
    interval: tuple[float, float]


Counts = tuple[int, int, int, int]
"""|A ∩ S|, |A ∩ P|, |A| and |S|."""


def score_alignment(found: Sequence[Links], gold: Sequence[Gold], *, samples: int = 1000, seed: int = 1) -> AlignmentScore:
    """Compare links with gold ones; `samples` resamples of the sentences (percentile bootstrap) give the interval."""
    counts = [counts_of(links, one) for links, one in zip(found, gold, strict=True)]
    in_sure, in_possible, links, sure = map(sum, zip(*counts, strict=True))
    draw = random.Random(seed)
    rates = sorted(error_rate(draw.choices(counts, k=len(counts))) for _ in range(samples))
    interval = (rates[int(0.025 * samples)], rates[min(int(0.975 * samples), samples - 1)]) if rates else (0.0, 1.0)
    return AlignmentScore(
        precision=in_possible / links if links else 0.0,
        recall=in_sure / sure if sure else 0.0,
        error_rate=error_rate(counts),
        interval=interval,
    )


def counts_of(links: Links, gold: Gold) -> Counts:
    """What a sentence adds to the sums."""
    found = set(links)
    return len(found & gold.sure), len(found & gold.possible), len(found), len(gold.sure)


def error_rate(counts: Sequence[Counts]) -> float:
    """AER of all sentences together; of nothing found where there was nothing to find, 0."""
    in_sure, in_possible, links, sure = (sum(column) for column in zip(*counts, strict=True))
    return 1 - (in_sure + in_possible) / (links + sure) if links + sure else 0.0


def intersection(forward: Links, backward: Links) -> set[Link]:
    """Links that both directions have."""
    return set(forward) & set(backward)


def union(forward: Links, backward: Links) -> set[Link]:
    """Links that either direction has."""
    return set(forward) | set(backward)


def grow_diag(forward: Links, backward: Links) -> set[Link]:
    """The intersection, grown by neighbours, diagonal ones too, from the union (Koehn et al. 2003; Koehn et al. 2005).

    A link joins if it neighbours one that is in and if one of its words has no link yet; again, until none joins.
    """
    wanted, linked = union(forward, backward), intersection(forward, backward)
    sources, targets = ({link[side] for link in linked} for side in (0, 1))
    grown = True
    while grown:
        grown = False
        for link in sorted(linked):
            for i, j in _neighbours(link):
                if (i, j) in wanted - linked and (i not in sources or j not in targets):
                    linked.add((i, j))
                    sources.add(i)
                    targets.add(j)
                    grown = True
    return linked


def grow_diag_final(forward: Links, backward: Links) -> set[Link]:
    """`grow_diag`, then the links of either direction of which one word has no link yet (Koehn et al. 2003)."""
    return _final(grow_diag(forward, backward), forward, backward, any)


def grow_diag_final_and(forward: Links, backward: Links) -> set[Link]:
    """`grow_diag`, then the links of either direction of which both words have no link yet (Koehn et al. 2005)."""
    return _final(grow_diag(forward, backward), forward, backward, all)


def _final(linked: set[Link], forward: Links, backward: Links, enough: Callable[[Iterator[bool]], bool]) -> set[Link]:
    for direction in (forward, backward):
        for link in sorted(direction):
            if enough(link[side] not in {other[side] for other in linked} for side in (0, 1)):
                linked.add(link)
    return linked


def _neighbours(link: Link) -> Iterator[Link]:
    steps = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    return ((link[0] + di, link[1] + dj) for di, dj in steps)


SYMMETRIZATIONS: dict[str, Callable[[Links, Links], set[Link]]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag": grow_diag,
    "grow-diag-final": grow_diag_final,
    "grow-diag-final-and": grow_diag_final_and,
}
