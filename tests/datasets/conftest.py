from __future__ import annotations

import pytest
from trees import write_published_sysu


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Every test has a cache of its own and sees no data set of this machine."""
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("USVI_DATA", raising=False)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """SYSU-MM01 in its published numbers; leave it as it is."""
    return write_published_sysu(tmp_path_factory.mktemp("published"))
