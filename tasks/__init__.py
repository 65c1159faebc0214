"""Celery: one module per queue. ``celery -A tasks worker`` and ``celery -A tasks beat`` find it."""

from tasks.app import app as celery

__all__ = ["celery"]
