"""Texts, records and reports of a stranger who wants markup or scripts in the pages, for the tests."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from tests.leaderboard.records import make_record, make_score
from usvi_bench.core.record import Record
from usvi_bench.core.sealed import write_sealed_json

PAYLOADS = {
    "image": "![a https://x/onerror=document.title=/HACKED/.source// b](n.png)",
    "script": "<script>document.title='HACKED'</script>",
    "attribute": "\"><img src=x onerror=document.title='HACKED'>",
    "quote": "' onmouseover='HACKED",
    "javascript": "[a](javascript:alert`HACKED`) javascript:alert(1)",
    "data": "[a](data:text/html;base64,PHNjcmlwdD4=) <data:text/html,x>",
    "title": '[a](https://x.org/"onclick=HACKED "b\' onfocus=HACKED")',
    "outside": "[a](../../../../etc/passwd) [b](//x.org/y) [c](\\\\x\\y) [d](file:///etc/passwd)",
    "reference": "[a]: javascript:alert(1)\n\n[a]",
    "cdata": "]]><script>HACKED</script><![CDATA[",
    "comment": "--><script>HACKED</script><!--",
    "entity": "&lt;script&gt;HACKED&lt;/script&gt; &#106;avascript:x &#x3c;img src=x onerror=HACKED&#x3e;",
    "json": "</script><script>HACKED</script>",
    "template": "{{ 7 * 7 }}{% raw %}${HACKED}",
    "direction": "abc\u202edcba\u2066x\u2069\u200b",
    "control": "a\x00b\x07c\x1b[31m d\x85",
    "table": "a | b\n| - | - |\n<b onclick=HACKED>c</b>",
    "backticks": "`a` ``<img src=x onerror=HACKED>`` ```",
    "long": "x" * 5000,
    "brackets": "[" * 3000 + "*_" * 1000,
    "formula": "=cmd|' /C calc'!A0",
    "latex": r"\input{/etc/passwd} $\frac{ % & # _ ^ ~",
}
FORBIDDEN_TAGS = {"iframe", "object", "embed", "form", "base", "frame", "applet", "portal", "noscript"}


class Strict(HTMLParser):
    """Parser that collects everything in a page that could run, load or lead somewhere."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.policies: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.faults.append(f"{tag}: repeated attribute")
        self.faults += [f"{tag} {name}={value}" for name, value in attrs if name.startswith("on") or name == "style"]
        self.faults += [tag] if tag in FORBIDDEN_TAGS or tag == "style" else []
        if tag == "meta" and "http-equiv" in given:
            self.policies.append(f"{given['http-equiv']}: {given.get('content')}")
        if tag == "script":
            self.scripts.append(given)
        self.links += [str(given["href"])] if given.get("href") else []
        self.sources += [str(given[name]) for name in ("src", "data-png", "srcset", "poster") if given.get(name)]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def unknown_decl(self, data: str) -> None:
        self.faults.append(f"declaration {data}")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"instruction {data}")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment {data}")


def hostile_record(text: str, seed: int = 0) -> Record:
    """Make a record that has a text in every field that may have any."""
    made = make_record()
    words = {
        "setting": text,
        "protocol": text,
        "method": text,
        "start_weights": {"source": text, "sha256": text},
        "headline": {**made.result.headline, "gallery": text, "feature": text, "model": text, "selection": text},
        "config": {"method": {text: text, "form": text}, text: {text: text}},
        "dataset": {**made.result.dataset, "name": text, "fingerprint": text, "description": text},
    }
    place = {
        **dict.fromkeys(("commit", "cpu", "batch_norm", "finished"), text),
        "environment": {text: text},
        "seconds": {text: 1.0},
        "plugins": [{"name": text, "sha256": text, "origin": "import", "parts": [text, f"method {text}"]}],
        "overrides": {"settings": {text: text}, "schedule": text},
    }
    kind = dict.fromkeys(("gallery", "feature", "model", "selection"), text)
    return make_record(seed=seed, provenance=place, scores=[make_score(0.3, **kind)], trials=1, **words)


def spoil_report(folder: Path, text: str) -> None:
    """Put a text into every field of ``report.json`` that may have any."""
    path = folder / "report.json"
    content = json.loads(path.read_text())
    content |= {"title": text, "summary": [text], "notes": [text], "pictures": {"shown": True, "why": text}}
    for section in content["sections"]:
        section |= {"title": text, "text": text}
    for figure in content["figures"]:
        figure |= {"title": text, "caption": text, "alt": text}
    for table in content["tables"]:
        table |= {"title": text, "note": text, "columns": [text] * len(table["columns"])}
        table["rows"] = [[text for _ in row] for row in table["rows"]]
    for image in content["images"]:
        image |= {"path": text, "modality": text}
    for panel in content["data"]["tsne"]["panels"]:
        panel["title"] = text
    content["data"]["tsne"]["rule"] = content["data"]["rankings"]["rule"] = text
    del content["digest"]
    write_sealed_json(path, content)
