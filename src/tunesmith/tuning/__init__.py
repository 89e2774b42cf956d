"""The public API on top of core, stores and executors: `tune`, `Study`, `Result`, job files, and the coordinator."""
