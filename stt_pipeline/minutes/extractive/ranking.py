"""Ranks sentences by continuous LexRank. Sentences are lists of words; there are no language rules."""

from collections.abc import Sequence
from typing import Final

# Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", JAIR 22 (2004), section 3.3.
DAMPING: Final = 0.85
MAX_ROUNDS: Final = 50
TOLERANCE: Final = 1e-6


def lexrank(documents: Sequence[Sequence[str]]) -> list[float]:
    """Return one weight per sentence, given its content words; the sum of the weights is 1.

    Sentences are tf-idf vectors that vote for each other by cosine similarity. The similarity matrix is kept as a product
    of two sparse matrices, so a meeting of an hour takes milliseconds and little memory.
    """
    import numpy as np
    from scipy.sparse import csr_matrix, diags_array

    count = len(documents)
    vocabulary = {word: n for n, word in enumerate(sorted({word for words in documents for word in words}))}
    if not vocabulary:
        return [1.0 / count] * count if count else []
    rows = [n for n, words in enumerate(documents) for _ in words]
    columns = [vocabulary[word] for words in documents for word in words]
    terms = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, len(vocabulary)))
    in_sentences = np.asarray((terms > 0).sum(axis=0)).ravel()
    weighted = terms @ diags_array(np.log(count / in_sentences) + 1.0)
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    unit = diags_array(1.0 / np.maximum(norms, 1e-12)) @ weighted

    own = (norms > 0).astype(float)  # the similarity of a sentence to itself does not count
    degree = unit @ (unit.T @ np.ones(count)) - own
    linked = degree > 1e-9
    rank = np.full(count, 1.0 / count)
    for _ in range(MAX_ROUNDS):
        votes = np.divide(rank, degree, out=np.zeros(count), where=linked)
        spread = unit @ (unit.T @ votes) - own * votes
        # a sentence without similar ones distributes its weight evenly
        updated = (1 - DAMPING) / count + DAMPING * (spread + rank[~linked].sum() / count)
        if np.abs(updated - rank).sum() < TOLERANCE:
            rank = updated
            break
        rank = updated
    return [float(weight) for weight in rank]
