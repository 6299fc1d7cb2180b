"""Training by several processes, one per GPU, started by ``torchrun`` or by Slurm's ``srun``.

Every process draws the same global batches and holds the same memories. Each embeds its share of a batch;
:func:`~usvi_bench.core.distributed.collectives.all_gather_rows` gives all features to every process, so that losses
and memory updates are equal everywhere, whatever the method. With one process every function here is the identity.
"""
