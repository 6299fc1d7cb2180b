"""Dual cluster contrast on tiny synthetic people, from images to a score, with public parts of the suite.

``python examples/minimal.py [epochs]`` spells out the train loop that ``usvi_bench.run`` uses for every method.
"""

import sys

import numpy as np
import torch
from torch.nn.functional import normalize

import usvi_bench
from usvi_bench.components.augment import AugmentConfig, augment, normalise
from usvi_bench.components.clustering.dbscan import centroids, pseudo_labels
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.sampling import PKSampler
from usvi_bench.datasets.cache import decoded
from usvi_bench.engine.start_weights import shipped_weights

MODALITIES = ("visible", "infrared")
HEIGHT, WIDTH, CLUSTERS, INSTANCES, STEPS = 128, 64, 4, 4, 10

dataset = usvi_bench.open_data("sysu_all", "synthetic:size=tiny")
protocol = usvi_bench.PROTOCOLS.get("sysu_all")()
encoder = build_encoder(SmallConfig(), seed=0)
load_weights(encoder, shipped_weights(SmallConfig()))
optimizer = torch.optim.Adam(encoder.parameters(), lr=3.5e-4, weight_decay=5e-4)
generator, draws = torch.Generator().manual_seed(0), np.random.default_rng(0)


def images_of(table):
    """Decode the images of a table: ``[N, H, W, 3]`` uint8."""
    return torch.tensor(decoded(table, HEIGHT, WIDTH, "bicubic", dataset.fingerprint))


@torch.no_grad()
def embed(table):
    """Embed a table without augmentation: the mean over each image and its mirror, ``[N, D]``."""
    encoder.eval()
    images = normalise(images_of(table))
    return (encoder.embed(images, table.modality) + encoder.embed(images.flip(3), table.modality)) / 2


def score():
    """Score the encoder under the protocol; test images only."""
    evaluation = protocol.evaluate(lambda table: normalize(embed(table)).numpy(), dataset, 1, trained_on=1)
    return np.mean([trial.metrics["mAP"] for trial in evaluation.scores])


train = {modality: getattr(dataset.train(1), modality) for modality in MODALITIES}
pixels = {modality: images_of(table) for modality, table in train.items()}
print(f"before training: mAP {100 * score():.1f}")
for epoch in range(int(sys.argv[1]) if len(sys.argv) > 1 else 2):
    memories, samplers = {}, {}
    for modality, table in train.items():  # 1. label: cluster each modality on its own
        features = embed(table)
        labels = pseudo_labels(normalize(features), eps=0.5, k1=6, k2=3)
        memories[modality] = ClusterMemory(centroids(features, labels))  # 2. remember: a row per cluster
        samplers[modality] = PKSampler(labels, torch.from_numpy(table.cameras), CLUSTERS, INSTANCES, draws), labels
    encoder.train()
    for _ in range(STEPS):
        batch, targets = {}, {}
        for modality, (sampler, labels) in samplers.items():  # 3. draw P clusters x K images
            rows = sampler.draw()
            view = "plain" if modality == "visible" else "infrared"
            batch[modality] = augment(pixels[modality][rows], view, AugmentConfig(), generator)
            targets[modality] = labels[rows]
        features = encoder(batch["visible"], batch["infrared"]).split([len(batch[m]) for m in MODALITIES])
        features = dict(zip(MODALITIES, features, strict=True))
        loss = sum(memories[m].loss(features[m], targets[m]) for m in MODALITIES)  # 4. contrast
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for m in MODALITIES:  # 5. move the rows, after the step
            memories[m].update(features[m].detach(), targets[m])
    clusters = " + ".join(str(len(memories[m].rows)) for m in MODALITIES)
    print(f"epoch {epoch + 1}: loss {loss.item():.2f}, {clusters} clusters, mAP {100 * score():.1f}")
