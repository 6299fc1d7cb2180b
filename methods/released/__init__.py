"""Methods as their released code computes them, defects included: ``--set method.form=released``.

A file is named like the method that it imitates. It holds one sub-class of the method's class, with ``Released`` before
the name. Each overridden function reproduces one defect, which its docstring describes. The sub-classes are not
registered as methods; :meth:`usvi_bench.methods.base.Method.in_form` finds them by name.
"""
