"""Engine: a run from its settings to its record.

``experiment`` (the description) -> ``load_config`` -> ``run`` (checked) -> ``execute``: ``stages`` and ``training``
(the epoch), ``evaluation``, ``output`` (the folder of the run).
"""
