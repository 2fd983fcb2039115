"""CursorDecoding: the task and the picture of it."""
