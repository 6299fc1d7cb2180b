"""Commands besides training, with a few words about each."""

SUMMARIES = {
    "ablation": "run the rows of a method's grid over seeds",
    "check": "list contradictions in records",
    "cluster": "cluster pictures by their features",
    "demo": "train two methods briefly and compare them",
    "describe": "list what 'paper' and 'released' change",
    "doctor": "check this machine, or one training on it",
    "embed": "write the features of pictures",
    "evaluate": "score a model that others trained",
    "export": "write a model as ONNX files",
    "new": "write a working method to start from",
    "openset": "write the open-set report of features",
    "pretrain": "make starting weights for synthetic people",
    "report": "write the report of a run, or compare several",
    "search": "search a gallery by pictures",
    "settings": "list every setting with its meaning",
    "site": "write the static site of all results",
    "verify": "compare an epoch with a released log",
}
COMMANDS = {name: f"usvi_bench.cli.{name}" for name in SUMMARIES}
"""Module of each command: the word after ``run.py``, and the module whose ``main`` it calls."""
