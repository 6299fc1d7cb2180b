from __future__ import annotations

import pytest

from tests.datasets.trees import write_published_sysu


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Give every test an empty cache and hide the data sets of this machine."""
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("USVI_DATA", raising=False)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Write SYSU-MM01 with its published counts; tests must not change it."""
    return write_published_sysu(tmp_path_factory.mktemp("published"))
