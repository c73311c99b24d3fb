"""The statistics of attention matrices written out in float64, the obvious way."""

import numpy as np


def softmax(scores, seen):
    """(…, Q, K) weights; rows that see nothing are 0."""
    scores = np.where(seen, scores.astype(np.float64), -np.inf)
    high = np.where(seen.any(-1, keepdims=True), scores.max(-1, keepdims=True), 0.0)
    weights = np.exp(scores - high)
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def entropy(weights):
    return -(weights * np.log(np.where(weights > 0, weights, 1.0))).sum(-1)


def statistics(weights, seen, scores, ids, sink=0):
    """Each of STATISTICS as (H, T), NaN where a row sees nothing; weights and scores (H, T, T)."""
    heads, tokens, _ = weights.shape
    found = {name: np.full((heads, tokens), np.nan) for name in NAMES}
    for h in range(heads):
        for i in range(tokens):
            keys = np.flatnonzero(seen[i])
            if len(keys) == 0:
                continue
            row, score = weights[h, i], scores[h, i, keys].astype(np.float64)
            found["entropy"][h, i] = entropy(row)
            found["max_weight"][h, i] = row.max()
            found["distance"][h, i] = sum(row[j] * (i - j) for j in keys)
            if sink in keys:
                found["sink"][h, i] = row[sink]
            found["previous_token"][h, i] = row[i - 1] if i > 0 else 0.0
            found["same_token"][h, i] = sum(row[j] for j in keys if j != i and ids[j] == ids[i])
            found["induction"][h, i] = sum(row[j] for j in keys if j != i and j > 0 and ids[j - 1] == ids[i])
            found["row_norm"][h, i] = np.sqrt(((score - score.mean()) ** 2).sum())
    return found


NAMES = ("entropy", "max_weight", "distance", "sink", "previous_token", "same_token", "induction", "row_norm")
