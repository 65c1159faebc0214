"""Fixtures for tests that talk to a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from support.client import Client
from support.desks import Desks

from filestore.store import Store
from ops import keys
from ops.settings import Settings
from tasks.broker import broker_url


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty file store."""
    store = Store(tmp_path)
    store.prepare()
    return store


@pytest.fixture
def desks(client: Client, server: Settings, tmp_path: Path) -> Iterator[Desks]:
    """A dispatcher and a worker that do what the test says."""
    with Celery("test", broker=broker_url(server.redis), set_as_current=False) as app:
        app.conf.broker_transport_options = {"global_keyprefix": keys.CELERY}
        yield Desks(client, app, server.model_copy(update={"data": tmp_path}))


@pytest.fixture
def group(client: Client) -> None:
    """The stream and its group, empty."""
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)
