"""Training with several processes, one per GPU, started by ``torchrun`` or by Slurm's ``srun``.

Every process draws the same global batches and holds the same memories. Each process embeds its share of a batch.
:func:`~usvi_bench.core.distributed.collectives.all_gather_rows` then copies all features to every process, so that
losses and memory updates are equal in all processes for every method. With a single process the functions change
nothing.
"""
