"""Names of the metrics, in the order in which every table shows them."""

RANKS = (1, 5, 10, 20)
"""Ranks at which the cumulative matching characteristic (CMC) is reported."""

METRICS = (*(f"R{rank}" for rank in RANKS), "mAP", "mINP")
"""All metrics of a score, as fractions."""
RERANKED = "+rerank(20,6,.3)"
"""End of the name of a re-ranked feature: k1, k2 and lambda of k-reciprocal encoding."""
