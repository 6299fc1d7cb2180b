"""Fake leaderboard folder and run folders with reports, small but complete, for the tests of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.leaderboard.records import make_record
from usvi_bench.core.record import Record, write_record
from usvi_bench.core.sealed import write_sealed_json
from usvi_bench.reports.ablation import write_ablation

HEADER = "method,venue,year,setting,uses_camera_labels,protocol,rank1,rank10,rank20,mAP,mINP,evidence,source"
PUBLISHED = [
    "ADCA,ACM MM,2022,unsupervised,no,sysu_all,45.5,,,42.7,,secondary,tables",
    "ADCA,ACM MM,2022,unsupervised,no,sysu_all,46.1,80.1,90.2,43.0,28.1,own repository,"
    "a/b log (differs from the paper table)",
    "CAJ,ICCV,2021,supervised,unknown,sysu_all,69.88,,,66.89,53.61,own repository,a/c README.md",
]
PEOPLE, EACH = 6, 3
FIGURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 60"><path d="M5 50L80 10" stroke="#0072b2"/></svg>'


def make_leaderboard(folder: Path, records: dict[str, Record]) -> Path:
    """Write ``records`` and ``published.csv`` as in the leaderboard folder."""
    for name, record in records.items():
        write_record(folder / "records" / name, record)
    (folder / "records").mkdir(parents=True, exist_ok=True)
    (folder / "published.csv").write_text("\n".join([HEADER, *PUBLISHED]) + "\n")
    return folder


def three_seeds() -> dict[str, Record]:
    """Make records of two methods, one leading in every seed, of the two references, and of an incomplete run."""
    found = {}
    for seed in range(3):
        found[f"sysu_all/adca-seed{seed}.json"] = make_record("adca", seed, [0.30 + 0.010 * seed])
        found[f"sysu_all/sclhm-seed{seed}.json"] = make_record("sclhm", seed, [0.40 + 0.011 * seed])
    found["sysu_all/untrained-seed0.json"] = make_record("untrained", 0, [0.1])
    found["sysu_all/supervised-seed0.json"] = make_record("supervised", 0, [0.9])
    found["sysu_all/pgm-seed0.json"] = make_record("pgm", 0, [0.2], trials=2)
    return found


def make_run(folder: Path, record: Record, *, shown: bool = True) -> Path:
    """Make a finished run with a report; ``shown`` adds pictures of people."""
    write_record(folder / "record.json", record)
    write_report_folder(folder / "report", record, shown=shown)
    return folder


def write_report_folder(folder: Path, record: Record, *, shown: bool) -> None:
    """Write ``report.json`` and the files that it names."""
    (folder / "pictures").mkdir(parents=True)
    images = []
    for i in range(PEOPLE * EACH * 2):
        person, modality = i // (2 * EACH), ("visible", "infrared")[i % 2]
        name = f"pictures/{i:04}.jpg"
        if shown:
            pixels = np.random.default_rng(person).integers(0, 255, (8, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((36, 72), Image.Resampling.NEAREST).save(folder / name)
        images.append(
            {
                "path": f"cam{1 + i % 2}/{person:04}/{i:04}.jpg",
                "identity": person,
                "camera": 1 + i % 2,
                "modality": modality,
                "picture": name if shown else None,
            }
        )
    (folder / "losses.svg").write_text(FIGURE)
    Image.new("RGB", (9, 6), "white").save(folder / "losses.png")
    write_sealed_json(folder / "report.json", report_content(images, record, shown))
    (folder / "report.md").write_text("# a report\n")


def report_content(images: list[dict[str, Any]], record: Record, shown: bool) -> dict[str, Any]:
    """Make a report with every part that the site shows."""
    draw = np.random.default_rng(0)
    people = np.array([image["identity"] for image in images])
    panels = []
    for title, noise in (("before training", 4.0), ("after training", 0.6)):
        x, y = (3 * f(people * 2 * np.pi / PEOPLE) + noise * draw.normal(size=len(images)) for f in (np.cos, np.sin))
        panels.append({"title": title, "x": x.round(4).tolist(), "y": y.round(4).tolist()})
    infrared = [i for i, image in enumerate(images) if image["modality"] == "infrared"]
    visible = [i for i, image in enumerate(images) if image["modality"] == "visible"]
    queries = [
        {
            "image": query,
            "ap": 1 - rank / len(infrared),
            "ranked": [
                {"image": i, "score": 0.9 - 0.05 * k, "right": images[i]["identity"] == images[query]["identity"]}
                for k, i in enumerate(np.roll(visible, -rank)[:10].tolist())
            ],
        }
        for rank, query in enumerate(infrared)
    ]
    losses = {
        "id": "losses",
        "title": "Losses",
        "caption": "Mean of an *epoch*.",
        "alt": "losses fall",
        "svg": "losses.svg",
    }
    return {
        "schema": 1,
        "kind": "run",
        "title": "a run",
        "summary": ["Data: made up."],
        "notes": ["Nothing is missing."],
        "pictures": {"shown": shown, "why": "a test"},
        "facts": {
            **{name: getattr(record.result, name) for name in ("method", "protocol", "seed", "config_hash")},
            "fingerprint": record.result.dataset["fingerprint"],
        },
        "runs": [],
        "sections": [
            {"id": "training", "title": "Training", "text": "", "figures": ["losses"], "tables": ["clusters"]}
        ],
        "figures": [{**losses, "png": "losses.png"}],
        "tables": [
            {
                "id": "clusters",
                "title": "Clusters",
                "columns": ["modality", "clusters"],
                "rows": [["visible", 41], ["infrared", None]],
                "note": "last epoch",
            }
        ],
        "images": images,
        "data": {
            "tsne": {
                "perplexity": 20.0,
                "seed": 0,
                "rule": "All people.",
                "images": list(range(len(images))),
                "panels": panels,
            },
            "rankings": {"rule": "All queries.", "depth": 10, "queries": queries},
        },
    }


GRID: dict[str, tuple[dict[str, bool], list[float]]] = {
    "baseline": ({"method.hml": False, "method.amu": False}, [0.200, 0.220]),
    "+ AMU": ({"method.hml": False}, [0.226, 0.242]),
    "+ HML": ({"method.amu": False}, [0.231, 0.255]),
    "SCLHM": ({}, [0.257, 0.277]),
}
"""Rows of an ablation: what each changes, and R1 by seed; mAP is 0.004 higher."""


def make_ablation(folder: Path) -> None:
    """Make a finished grid of four rows: two settings in all combinations."""
    rows = []
    for i, (name, (settings, scores)) in enumerate(GRID.items()):
        runs = {str(seed): f"jobs/{i}-{seed}" for seed in range(len(scores))}
        values = {"method.hml": True, "method.amu": True, **settings}
        rows.append({"name": name, "settings": settings, "values": values, "runs": runs})
        for seed, score in enumerate(scores):
            record = make_record("sclhm", seed, [score], provenance={"ablation": f"sclhm-sysu_all: {name}"})
            write_record(folder / runs[str(seed)] / "record.json", record)
    about = {"method": "sclhm", "protocol": "sysu_all", "setting": "shared", "settings": {}, "seeds": 2}
    write_sealed_json(folder / "grid.json", {**about, "data": "made-up people (small)", "rows": rows})
    write_ablation(folder)
