#!/usr/bin/env bash
# Start a private, throw-away SLURM cluster on loopback: munged, slurmctld and a few slurmd on virtual nodes.
#
#   start_cluster.sh FOLDER PORT [ACCOUNTING] [USER_SIGNAL]
#
#   FOLDER       everything of the cluster lives here (state, logs, keys, pid files, env.sh)
#   PORT         slurmctld listens on PORT, node i on PORT+i
#   ACCOUNTING   shim: a small `sacct` that asks squeue | none: `sacct` fails, as on clusters without accounting
#   USER_SIGNAL  yes: preemption sends the job's own signal first | no: SLURM's default, it does not
#
# Works as root and as a plain user. Returns 0 only after a job has run; then `. FOLDER/env.sh` in a shell, and
# `stop_cluster.sh FOLDER` at the end. Needs slurmctld, slurmd, slurm-client and munge.
set -euo pipefail

folder=$1 port=$2 accounting=${3:-shim} user_signal=${4:-yes}
nodes=${MT_SLURM_NODES:-3} cpus=16 gpus=8
here=$(cd "$(dirname "$0")" && pwd)
export SLURM_CONF=$folder/etc/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin # where Debian puts the daemons

fail() { echo "start_cluster: $*" >&2; exit 1; }

retry() { # retry TENTHS COMMAND…: until the command succeeds
  local left=$1; shift
  until "$@"; do left=$((left - 1)); [ "$left" -gt 0 ] || return 1; sleep 0.1; done
}

check_tools() {
  local tool
  for tool in munged slurmctld slurmd sbatch srun squeue scontrol; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install slurmctld slurmd slurm-client munge"
  done
}

make_folders() {
  [ ! -e "$folder" ] || [ -e "$folder/etc/slurm.conf" ] || [ -z "$(ls -A "$folder")" ] ||
    fail "$folder is not empty and not a cluster of ours"
  rm -rf "$folder"
  umask 022
  mkdir -p "$folder"/{etc,run,log,state,spool,devices,bin,munge,secret}
  chmod 755 "$folder" "$folder/munge"
  chmod 700 "$folder/secret"
}

# Without any address but 127.0.0.1 slurmctld cannot listen (its name look-up ignores loopback), so that a
# machine without network needs a second private address on lo.
ensure_address() {
  [ -n "$(hostname -I 2>/dev/null | tr -d ' ')" ] && return
  ip link set lo up && ip addr add 10.77.77.77/32 dev lo && touch "$folder/run/address" ||
    fail "no address but loopback; as root: ip addr add 10.77.77.77/32 dev lo"
}

start_munge() {
  (umask 077; head -c 1024 /dev/urandom > "$folder/secret/key")
  munged --socket="$folder/munge/socket" --key-file="$folder/secret/key" --seed-file="$folder/secret/seed" \
    --pid-file="$folder/munge/munged.pid" --log-file="$folder/munge/munged.log" --num-threads=2 --origin=127.0.0.1
}

# A GPU must be a device file: links to /dev/null do, and give distinct CUDA_VISIBLE_DEVICES.
write_gres() {
  local i
  for i in $(seq 0 $((gpus - 1))); do ln -s /dev/null "$folder/devices/gpu$i"; done
  echo "NodeName=n[1-$nodes] Name=gpu Type=fake File=$folder/devices/gpu[0-$((gpus - 1))]" > "$folder/etc/gres.conf"
}

# cred_expire is also how long a requeued job waits before it may start again (120 s by default).
# NoInAddrAny and NoCtldInAddrAny: the daemons listen on loopback only.
# Cores binds every task to the cores that it asked for, as clusters do whose jobs share nodes.
# FirstJobId follows the clock, so that a fresh cluster does not hand out the ids of an earlier one.
write_config() {
  local me signal=""
  me=$(id -un)
  [ "$user_signal" = yes ] && signal="SlurmctldParameters=preempt_send_user_signal"
  cat > "$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$me
SlurmdUser=$me
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
TaskPluginParam=Cores
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
$signal
MinJobAge=86400
FirstJobId=$(($(date +%s) % 50000000 + 1))
MaxJobId=67043328
KillWait=5
MessageTimeout=10
SlurmdTimeout=15
SlurmctldTimeout=15
UnkillableStepTimeout=30
ReturnToService=2
InactiveLimit=0
Waittime=0
PriorityType=priority/basic
PropagateResourceLimits=NONE
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-$nodes] NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 1))-$((port + nodes)) CPUs=$cpus RealMemory=65536 Gres=gpu:fake:$gpus State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=15 DefMemPerCPU=512
PartitionName=high Nodes=ALL Default=NO MaxTime=INFINITE DefaultTime=60 State=UP PriorityTier=10 PreemptMode=OFF DefMemPerCPU=512
CONF
}

# With accounting the real sacct knows ended jobs; here slurmctld keeps them for a day and the shim asks it.
write_sacct() {
  if [ "$accounting" = shim ]; then
    cat > "$folder/bin/sacct" <<'SHIM'
#!/usr/bin/env bash
# `sacct --noheader --parsable2 --format JobID,State,NodeList [--jobs ID[,ID…]]…`, answered by squeue.
ids=()
while [ $# -gt 0 ]; do
  case $1 in -j | --jobs) ids+=("$2"); shift ;; --jobs=*) ids+=("${1#*=}") ;; esac
  shift
done
wanted=(); IFS=,; [ ${#ids[@]} -eq 0 ] || wanted=(-j "${ids[*]}")
squeue -h -t all -o '%i|%T|%N' "${wanted[@]}" 2>/dev/null || true # sacct is silent about ids it does not know
SHIM
    chmod 755 "$folder/bin/sacct"
  fi
  cat > "$folder/env.sh" <<ENV
export SLURM_CONF=$SLURM_CONF
export PATH=$folder/bin:\$PATH
ENV
}

is_up() { timeout 10 scontrol ping 2>/dev/null | grep -q 'is UP'; }
all_idle() { [ "$(sinfo -h -N -p low -t idle -o %N 2>/dev/null | wc -l)" = "$nodes" ]; }

start_daemons() {
  local i
  slurmctld -f "$SLURM_CONF"
  retry 100 is_up || fail "slurmctld does not answer; see $folder/log"
  for i in $(seq "$nodes"); do slurmd -N "n$i" -f "$SLURM_CONF"; done
  retry 300 all_idle || fail "the nodes do not register; see $folder/log"
}

run_test_job() {
  local out=$folder/log/first_job.out
  sbatch --parsable -p high -t 1 -D / -o "$out" --wrap 'srun -Q echo it works' >/dev/null
  retry 300 grep -qs 'it works' "$out" || fail "the first job did not run; see $folder/log"
}

check_tools
bash "$here/stop_cluster.sh" "$folder" >/dev/null 2>&1 || true
make_folders
ensure_address
start_munge
write_gres
write_config
write_sacct
start_daemons
run_test_job
echo "up: $nodes nodes, $gpus fake GPUs each, accounting=$accounting, user_signal=$user_signal;  . $folder/env.sh"
