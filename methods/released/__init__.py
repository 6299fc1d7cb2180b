"""Released forms of methods: sub-classes that reproduce the released code, defects included."""
