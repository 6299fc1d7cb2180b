"""Texts of a new method: its file, its tests, its rows and its section. ``$name`` and ``$title`` are replaced."""

from __future__ import annotations

from string import Template

METHOD = Template('''"""$title: TODO title of the paper, authors, venue, link."""

from __future__ import annotations

from dataclasses import dataclass

from usvi_bench.components.association import match
from usvi_bench.core.bounds import WEIGHT, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, PseudoLabels, StageProgress
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig


@dataclass(frozen=True)
class ${title}Config(ClusterContrastConfig):
    """Hyper-parameters of $title, beside those of cluster contrast."""

    cross_weight: float = bounded(0.25, 0, WEIGHT)
    """Weight of the cross-modal loss."""


@METHODS.register("$name")
class $title(ClusterContrast):
    """$title: infrared samples are also contrasted with the visible cluster matched to theirs.

    **Differs from** the paper and from released code: TODO.

    **Known publicly:** TODO. **Our reconstruction:** TODO.
    """

    Config = ${title}Config
    summary = "cluster contrast with a cross-modal term (TODO: venue and year)"

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        super().begin_epoch(features, labels, progress)
        _, self.partners = match(self.visible_memory.rows, self.infrared_memory.rows)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Add ``cross_weight * mean_i -log softmax_k(q_i.M_k / tau)[partner(y_i)]``, ``M`` the visible memory."""
        visible, infrared = self.embed_batch(batch)
        losses = self.contrast(visible, infrared, batch)
        partners = self.partners[batch.infrared.view_labels]
        losses["cross"] = self.config.cross_weight * self.visible_memory.loss(infrared, partners)
        return losses
''')
"""A method that trains: cluster contrast with one more loss, to be replaced."""

TEST = Template('''"""$title: the cross-modal loss against a loop from its definition."""

from __future__ import annotations

import math

import pytest
import torch
import world
from torch.nn.functional import normalize

from usvi_bench.core.types import Batch
from usvi_bench.methods.$name import $title, ${title}Config


def prepared(config: ${title}Config) -> tuple[$title, Batch]:
    """Return the method at the first step of an epoch, and a batch."""
    method = $title(config, world.encoder())
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.progress())
    method.begin_epoch(seen, labels, world.progress())
    return method, world.batch(labels, method)


@pytest.mark.parametrize("weight", [0.0, 0.25, 2.0])
def test_the_cross_loss_is_a_softmax_over_the_visible_rows(weight: float) -> None:
    method, batch = prepared(${title}Config(k1=6, k2=2, cross_weight=weight))
    with torch.no_grad():
        found = method.loss(batch, world.progress())["cross"]
        _, infrared = method.embed_batch(batch)
    terms = []
    for feature, label in zip(normalize(infrared), batch.infrared.labels.tolist(), strict=True):
        logits = [float(feature @ row) / method.config.temperature for row in method.visible_memory.rows]
        total = math.log(sum(math.exp(logit) for logit in logits))
        terms.append(total - logits[int(method.partners[label])])
    assert float(found) == pytest.approx(weight * sum(terms) / len(terms), rel=1e-4)
''')
"""A test of its formula."""

SECTION = Template("""## $title

TODO: the source, each equation with its symbols, what differs from the paper and from released code.

The loss of `$name` is `C_v + C_r + cross_weight * C_x`. `C_x` contrasts infrared samples with the rows of the visible
memory; the right row is that of the cluster that is matched to the sample's own.

| setting | meaning |
|---|---|
| `cross_weight` | weight of `C_x` |

""")
"""Section of ``docs/methods.md``."""

README_ROW = Template("| `$name` | TODO: the idea in a few words | TODO: what is public | TODO |\n")
FORM_ROW = Template("| `$name` | no | no |\n")
TEST_ROW = Template('    "$name": {"k1": 6, "k2": 2},\n')
