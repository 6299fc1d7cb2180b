"""A run from settings to record.

``experiment`` (what is asked for) -> ``load_config`` -> ``run`` (everything checked) -> ``execute``: ``stages`` and
``training`` (the epoch), ``evaluation``, ``output`` (the folder of the run).
"""
