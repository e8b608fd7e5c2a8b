"""How every program of Tessera loads its configuration, logs and tells the time."""
