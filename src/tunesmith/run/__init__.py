"""Where trials run: executors, and what they share."""
