"""Making an index version: planned in shards, embedded, loaded, verified."""
