"""No method but the supervised bound can learn from identities: other identities, same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.cli import main
from engine.run import Run
from engine.types import PseudoLabels

QUICK = ["train.epochs=2", "train.iterations=2", "train.visible_clusters=2", "train.infrared_clusters=2"]
QUICK += ["encoder.width=8", "engine.threads=1"]
CLUSTERS = ["method.k1=6", "method.eps=0.5"]


def final_weights(output: Path, method: str, data: Path) -> dict[str, torch.Tensor]:
    settings = QUICK + (CLUSTERS if method != "supervised" else [])
    arguments = ["--method", method, "--protocol", "sysu_all", "--data", str(data), "--output", str(output)]
    assert main([*arguments, "--set", *settings]) == 0
    path = max(output.glob(f"stages/{method}-*/epoch_*.pt"))
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["models"]["student"]
    return state


@pytest.mark.parametrize(("method", "same"), [("cluster_contrast", True), ("sclhm", True), ("supervised", False)])
def test_permuted_identities(
    method: str, same: bool, tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = final_weights(tmp_path / "true", method, tiny_people["sysu"])
    true_identities = Run._identities

    def permuted(self: Run, *tables: Any) -> PseudoLabels:
        labels = true_identities(self, *tables)
        return replace(labels, visible=labels.visible.flip(0), infrared=labels.infrared.roll(5))

    monkeypatch.setattr(Run, "_identities", permuted)
    second = final_weights(tmp_path / "permuted", method, tiny_people["sysu"])
    assert all(torch.equal(first[name], second[name]) for name in first) == same
