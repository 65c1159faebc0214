"""The door out of the stream: reads commands in order and gives them to Celery."""
