"""Explanations of the terms of the site. Pages show them when a term is pointed at, focused or touched."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

_RANK = "share of the queries with an image of the right person among the first {} of the ranked gallery"
TERMS: Mapping[str, str] = {
    "R1": "Rank-1: share of the queries whose most similar gallery image shows the right person, in percent. Higher is "
    "better.",
    **{f"R{k}": f"Rank-{k}: {_RANK.format(k)}, in percent." for k in (2, 3, 5, 10, 20)},
    "mAP": "Mean average precision, in percent: 100 if, for every query, all images of the right person are ranked "
    "before all others. Higher is better.",
    "mINP": "Mean inverse negative penalty, in percent: high if even the last image of the right person is ranked "
    "early.",
    "mAP, 95 % interval": "Dot: mean mAP over trainings. Line: its 95 % confidence interval. Small dots: single "
    "trainings. Dashed line: chance.",
    "seeds": "Number of trainings that differ in their random seed only. Scores are means over them, ± their "
    "standard deviation.",
    "seed": "Number from which all random draws of a training derive.",
    "minutes": "Time of one run in minutes, training and scoring.",
    "records": "One number for each seed: a link to the page of that run.",
    "protocol": "Rule of a data set for queries, galleries and metrics, such as sysu_all: SYSU-MM01, all cameras.",
    "setting": "Base configuration of a run. shared: one schedule, network and clustering for all methods of a data "
    "set. paper: the method's own batches, schedule and network.",
    "shared setting": "One schedule, network and clustering for all methods of a data set, apart from the clustering "
    "settings that a method requires.",
    "paper setting": "Batches, schedule and network of the method's own paper or scripts.",
    "form": "repaired: the method as its paper states it. released: with the defects of its released code.",
    "repaired form": "Methods as their papers state them, without the defects of released code.",
    "released form": "Methods with the defects of their released code.",
    "single-shot": "A gallery has one image of each person from each camera.",
    "multi-shot": "A gallery has ten images of each person from each camera.",
    "seeded gallery": "The gallery is drawn at random, with a fixed seed for each trial: the same for all methods.",
    "all gallery": "The gallery has all test images of its modality.",
    "headline": "The network and the epoch (the last one) whose scores all tables show, chosen without test scores.",
    "oracle": "Scores of the epoch that is best on the test set. Such a choice uses test scores, so it is no result.",
    "best epoch by test score": "Also called oracle. Such a choice uses test scores, so it is no result.",
    "re-ranked": "By k-reciprocal encoding, which uses all queries at once; never ranked.",
    "student": "Network that is trained by gradient descent.",
    "teacher": "Network whose weights are a moving average of the student's.",
    "start": "The weights that the training starts from.",
    "starting weights": "The encoder before any training of the method.",
    "chance": "Score of a random ranking. Any useful method is above it.",
    "untrained": "The encoder before any training of the method: a reference, not ranked.",
    "reference": "A row for comparison. It is not ranked.",
    "uses identities": "Trained with the true identities, which no other method receives: a reference, not ranked.",
    "evidence": "How well a published figure is supported, from the method's own paper to a table of another paper.",
    "cameras": "Whether a method uses the camera of an image in training.",
    "labels": "True identities used in training: none (unsupervised), some (semi-supervised) or all (supervised).",
}
"""Explanation of each term, in one or two sentences."""
_QUALIFIED = re.compile(r"(student|teacher|re-ranked) (R1|mAP)")


def explanation(text: str) -> str:
    """Return the explanation of a term; empty for other words.

    >>> explanation("Seeds")[:25]
    'Number of trainings that '
    """
    if found := _QUALIFIED.fullmatch(text):
        return f"{TERMS[found[2]]} {found[1].capitalize()}: {TERMS[found[1]]}"
    return TERMS.get(text) or TERMS.get(text[:1].lower() + text[1:], "")


def explained(text: str) -> Markup:
    """Mark each of the terms in a list of words, which are separated by commas; all words are escaped.

    >>> print(explained("start, <b>"))
    <abbr title="The weights that the training starts from.">start</abbr>, &lt;b&gt;
    """
    whole = explanation(text)
    parts = [text] if whole else re.split(r"(, )", text)
    return Markup("").join(_marked(part) for part in parts)


def _marked(text: str) -> Markup:
    found = explanation(text)
    return Markup('<abbr title="{}">{}</abbr>').format(found, text) if found else escape(text)
