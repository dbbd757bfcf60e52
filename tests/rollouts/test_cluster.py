"""Which cluster a run joins, and what it says when there is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tooldojo.rollouts.cluster import FleetError, join_cluster, on_cluster, start_ray


def test_a_cluster_that_does_not_listen_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    join_cluster("")
    assert not on_cluster()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
    join_cluster(address)
    assert os.environ["RAY_ADDRESS"] == address
    with pytest.raises(FleetError, match=f"no Ray cluster answers at '{address}'.*ray start"):
        start_ray(tmp_path)
