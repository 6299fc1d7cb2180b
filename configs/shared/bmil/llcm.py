"""BMIL on LLCM, where it was not published: all visible images, which hardly outnumber the infrared ones."""

method = {"subset": 1.0}
