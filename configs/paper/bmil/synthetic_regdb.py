"""BMIL on synthetic people in RegDB's layout: as in SYSU-MM01's layout."""

_base_ = "synthetic_sysu.py"
