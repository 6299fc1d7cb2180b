"""Methods as their released code computes them, defects included: ``--set method.form=released``.

A file is named like the method that it imitates and holds one sub-class of it, ``Released`` and the method's class
name. Each method of that class that differs shows one defect. The files are no methods of their own: nothing registers
them, and :meth:`usvi_bench.methods.base.Method.in_form` finds them by name.
"""
