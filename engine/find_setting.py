"""Settings and options that a mistyped or foreign name probably means."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from usvi_bench.core.bounds import bounds_of
from usvi_bench.core.errors import closest
from usvi_bench.core.options import command
from usvi_bench.core.registry import ENCODERS, METHODS
from usvi_bench.engine.config import GROUPS, RunConfig

REGISTRIES = {"method": METHODS, "encoder": ENCODERS}
"""Groups whose settings depend on a registered class."""
Groups = Mapping[str, Collection[str]]
"""Names of the settings of each group; the group of settings without a prefix is empty."""

EXPLAINED = {
    "mode": "all-search and indoor-search of SYSU-MM01 are protocols: --protocol sysu_all, --protocol sysu_indoor",
    "seeds": "a run has one seed, --seed N; repeat the command for each, or run a grid with 'ablation --seeds N'",
    "trial": "all ten trials of SYSU-MM01 are scored; a trial of RegDB is a fold: --set data.folds={value}",
}
"""Options in other code bases without one counterpart, with an explanation."""
COUNTS = ("gpus", "num_gpus", "n_gpus", "n_gpu", "ngpu", "world_size", "nproc", "nproc_per_node", "num_processes")
"""Options in other code bases for the number of processes, one for each GPU."""
_BATCH = ("train.visible_clusters", "train.infrared_clusters", "train.instances")
FOREIGN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("max_epoch", "max_epochs", "num_epochs", "n_epochs", "epoch"), ("train.epochs",)),
    **dict.fromkeys(("iters", "iter", "num_iters", "steps"), ("train.iterations",)),
    **dict.fromkeys(("batch_size", "batch", "bs", "train_batch", "ims_per_batch"), _BATCH),
    **dict.fromkeys(("num_instances", "num_instance", "num_pos"), ("train.instances",)),
    **dict.fromkeys(("test_batch", "test_batch_size", "eval_batch"), ("train.embed_batch",)),
    **dict.fromkeys(("learning_rate", "base_lr"), ("train.lr",)),
    "wd": ("train.weight_decay",),
    **dict.fromkeys(("step_size", "milestones"), ("train.lr_step",)),
    "gamma": ("train.lr_factor",),
    **dict.fromkeys(("warmup", "warmup_epochs", "warmup_step"), ("train.lr_warmup",)),
    **dict.fromkeys(("amp", "fp16", "bf16", "mixed_precision"), ("train.precision",)),
    **dict.fromkeys(("img_h", "img_height"), ("data.height",)),
    **dict.fromkeys(("img_w", "img_width"), ("data.width",)),
    "fold": ("data.folds",),
    **dict.fromkeys(("temp", "tau"), ("method.temperature",)),
    **dict.fromkeys(("arch", "backbone", "net"), ("encoder.name",)),
    "sync_bn": ("encoder.bn_groups",),
    **dict.fromkeys(("eval_step", "eval_freq", "eval_interval", "eval_period", "test_freq"), ("evaluate_every",)),
    **dict.fromkeys(("workers", "num_workers", "num_threads"), ("engine.threads",)),
    **dict.fromkeys(("gpu", "gpu_id", "gpu_ids", "cuda", "devices"), ("--device",)),
    "dataset": ("--protocol", "--data"),
    **dict.fromkeys(("data_dir", "data_path", "data_root", "dataset_dir", "root"), ("--data",)),
    **dict.fromkeys(
        ("logs_dir", "log_dir", "log_path", "save_dir", "save_path", "output_dir", "work_dir"), ("--output",)
    ),
    **dict.fromkeys(("pretrained", "pretrain", "init", "model_path"), ("--weights",)),
    **dict.fromkeys(("resume_from", "auto_resume"), ("--resume",)),
    "model": ("--method",),
    **dict.fromkeys(("config", "cfg", "config_file"), ("--schedule", "--setting")),
}
"""Names in other code bases (AGW, Cluster-Contrast, fast-reid, torchreid ...), and the setting or option for each."""


def similar_settings(name: str, groups: Groups) -> list[str]:
    """Return the full names of settings that a name may mean, best first; empty if none is similar.

    >>> similar_settings("lr", {"train": ["lr", "epochs"], "method": ["eps"]})
    ['train.lr']
    >>> similar_settings("trian.epoch", {"train": ["lr", "epochs"], "method": ["eps"]})
    ['train.epochs']
    """
    group, _, last = name.rpartition(".")
    word = _plain(last)
    every = [(each, setting) for each, names in groups.items() for setting in names]
    if equal := [_full(*pair) for pair in every if pair[1] == word]:
        return sorted(equal, key=lambda full: (closest(group, [full.rpartition(".")[0]]) == [], full))
    foreign = [full for full in FOREIGN.get(word, ()) if full in {_full(*pair) for pair in every}]
    if foreign:
        return foreign
    for likely in [group] if group in groups else closest(group, groups)[:1]:
        if close := closest(word, groups[likely]):
            return [_full(likely, setting) for setting in close]
    close = closest(word, {setting for _, setting in every})
    return [_full(*pair) for setting in close for pair in every if pair[1] == setting]


def explain_unknown(name: str, groups: Groups) -> str:
    """Explain a name that is no setting: by similar settings, by the methods that have it, or by all known names."""
    group, _, last = name.rpartition(".")
    similar = similar_settings(name, groups)
    elsewhere = any(full.rpartition(".")[2] == _plain(last) for full in similar)
    if (group or not elsewhere) and (found := owners(group, last)):
        return f"it is a setting of {', '.join(found)}; see {command('settings', 'METHOD')}"
    if similar:
        return f"did you mean {' or '.join(similar[:3])}?"
    names = groups[group] if group and group in groups else [each for each in groups if each]
    return f"known: {', '.join(sorted(names))}; {command('settings', 'METHOD')} describes them"


def owners(group: str, name: str) -> list[str]:
    """Return the methods and encoders that have a setting; without a group, those of any kind."""
    registries = REGISTRIES.values() if not group else [REGISTRIES[group]] if group in REGISTRIES else []
    return [
        each
        for registry in registries
        for each in registry.names()
        if name in {item.name for item in fields(registry.get(each).Config)}
    ]


def explain_words(words: Sequence[str], flags: Collection[str]) -> str:
    """Explain the options of a command line that do not exist, by similar options and settings.

    Args:
        words: the words that were not understood, with their values.
        flags: options of the command.
    """
    hints = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("-"):
            name, _, value = word.lstrip("-").partition("=")
            value = value or ("" if following.startswith("-") else following)
            hints += [f"for --{name:.40}, {hint}"] if (hint := _hint(name, value or "VALUE", flags)) else []
    if len(hints) == 1:
        return hints[0].partition(", ")[2]
    return "; ".join(hints)


def _hint(name: str, value: str, flags: Collection[str]) -> str:
    word, groups = _plain(name), all_groups()
    if word in EXPLAINED:
        return EXPLAINED[word].format(value=value)
    if word in COUNTS:
        if "--processes" in flags:
            return f"did you mean --processes {value}?"
        return f"start one process for each GPU: torchrun --nproc-per-node {value} run.py ...; see docs/training.md"
    known = [flag for flag in FOREIGN.get(word, ()) if flag in flags]
    settings = [full for full in similar_settings(name, groups) if not known]
    named = word in FOREIGN or any(full.rpartition(".")[2] == word for full in settings)
    if not named and "." not in name and (close := closest(f"--{name}", flags)):
        return f"did you mean {' or '.join(close)}?"
    if settings == list(_BATCH):
        clusters, instances = " ".join(f"{name}=P" for name in settings[:2]), settings[2]
        return f"a batch has P x K images of each modality: --set {clusters} {instances}=K"
    given = [*known, *(f"--set {full}={value}" for full in settings)]
    hint = f"did you mean {' or '.join(given)}?" if given else ""
    return f"{hint} To select a GPU, set CUDA_VISIBLE_DEVICES={value}" if known == ["--device"] else hint


def all_groups() -> dict[str, set[str]]:
    """Return the names of the settings of all groups, with those of every method and encoder."""
    groups: dict[str, set[str]] = {"": set()}
    for item in fields(RunConfig):
        if is_dataclass(kind := get_type_hints(RunConfig)[item.name]):
            groups[GROUPS.get(item.name, item.name)] = {field.name for field in fields(kind)}
        elif bounds_of(RunConfig, item.name):
            groups[""].add(item.name)
    for group, registry in REGISTRIES.items():
        groups[group] |= {field.name for name in registry.names() for field in fields(registry.get(name).Config)}
    return groups


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def _full(group: str, name: str) -> str:
    return f"{group}.{name}" if group else name
