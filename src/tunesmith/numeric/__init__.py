"""Mathematics for searchers: arrays in, arrays out. Nothing here knows what a trial is."""
