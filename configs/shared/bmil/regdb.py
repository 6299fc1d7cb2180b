"""BMIL on RegDB: all visible images are clustered (Terminator8758/BMIL @79cc647)."""

method = {"subset": 1.0}
