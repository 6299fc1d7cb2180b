"""Methods as their released code computes them, defects included: ``--set method.form=released``.

A file is named like the method that it imitates. It holds one sub-class of the method's class, with ``Released`` before
the name. The docstring of each overridden function describes the defect that it reproduces, if any. The sub-classes are
not registered as methods; :meth:`usvi_bench.methods.base.Method.in_form` finds them by name.
"""
