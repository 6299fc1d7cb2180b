"""BMIL on RegDB as published (Terminator8758/BMIL @79cc647): all visible images.

The inherited settings for SYSU-MM01 also jitter infrared images; the released code does not on RegDB.
"""

_base_ = "sysu.py"
method = {"subset": 1.0}
