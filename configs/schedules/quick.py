"""A try in seconds, for tiny synthetic people: ``--data synthetic:size=tiny --schedule quick``.

Two epochs on small batches show that everything works; the scores do not rank methods.
"""

data = {"height": 128, "width": 64}
encoder = {"name": "small"}
train = {"epochs": 2, "iterations": 10, "visible_clusters": 2, "infrared_clusters": 2, "instances": 4, "lr": 3.5e-4}
method = {"k1": 6, "k2": 2, "eps": 0.45, "warmup_epochs": 1, "intra_epochs": 1}
