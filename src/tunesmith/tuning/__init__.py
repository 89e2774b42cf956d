"""The facade: `tune`, `Study`, `Result`, and the loop that wires engine, store and executor."""
