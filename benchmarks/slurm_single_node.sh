#!/bin/bash
# Start a single-node Slurm from Debian's packages and run a grid of two rows on it. Run it by hand as root; CI does not.
#
#   sudo PYTHON=.venv/bin/python benchmarks/slurm_single_node.sh
#
# Installs munge and slurm-wlm if they are missing. Configuration, state and logs are in a new folder, which is printed at
# the end. The daemons are stopped when the script ends.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
folder=$(mktemp -d /tmp/slurm-single-node.XXXXXX)
host=$(hostname -s)
pids=()

stop() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    echo "configuration, logs and results: $folder"
}
trap stop EXIT

command -v slurmctld munged >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends munge slurm-wlm

# the daemons authenticate with munge; its package creates the key
if ! munge -n >/dev/null 2>&1; then
    install -d -o munge -g munge /run/munge /var/lib/munge /var/log/munge
    runuser -u munge -- munged --foreground >"$folder/munged.log" 2>&1 &
    pids+=($!)
fi

mkdir "$folder/state" "$folder/spool"
export SLURM_CONF=$folder/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=single
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
echo "CgroupPlugin=cgroup/v1" >"$folder/cgroup.conf"

for _ in $(seq 50); do munge -n >/dev/null 2>&1 && break; sleep 0.2; done
slurmctld -D >"$folder/slurmctld.log" 2>&1 &
pids+=($!)
slurmd -D -N "$host" >"$folder/slurmd.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 0.3; done
sinfo

cat >"$folder/grid.py" <<'GRID'
rows = {
    "cluster contrast, continued": {"method": {"sscl": False, "hml": False, "amu": False}},
    "SCLHM": {"method": {}},
}
GRID
grid() {
    "$python" run.py ablation --method sclhm --protocol sysu_all --grid "$folder/grid.py" --seeds 1 \
        --data synthetic:size=tiny --device cpu --output "$folder/runs" \
        --launcher slurm --partition main --time 30 --jobs 2 \
        --set train.epochs=2 train.iterations=3 train.visible_clusters=2 train.infrared_clusters=2 \
        method.k1=6 method.eps=0.5 encoder.width=8 engine.threads=1
}
grid &
command_pid=$!
while kill -0 "$command_pid" 2>/dev/null; do squeue -h -o "squeue: %i %j %T %P %C cpus %N"; sleep 5; done
wait "$command_pid"
cat "$folder"/runs/ablations/*/table.md
test "$(find "$folder/runs/ablations" -name record.json | wc -l)" -eq 2
test "$(find "$folder/runs/stages" -name finished.json | wc -l)" -eq 3 # both rows share the first stage

submitted=$(cat "$folder"/runs/ablations/*/jobs/*/submitted.json)
grid
test "$submitted" = "$(cat "$folder"/runs/ablations/*/jobs/*/submitted.json)" # a second call submits nothing
echo "the grid ran through $(sbatch --version)"
