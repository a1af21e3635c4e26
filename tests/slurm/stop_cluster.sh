#!/usr/bin/env bash
# Stop the cluster that start_cluster.sh started in FOLDER: cancel its jobs, then end its daemons by pid file.
# Safe to repeat, and safe where nothing runs: a pid counts only while /proc says that it is the expected daemon.
set -uo pipefail

folder=$1
export SLURM_CONF=$folder/etc/slurm.conf

alive() { # a zombie is dead
  local stat
  stat=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) && [ "${stat%% *}" != Z ]
}

end() { # end PID_FILE DAEMON
  local pid
  pid=$(cat "$1" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 0
  if tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -q "$2"; then
    kill "$pid"
    for _ in $(seq 100); do alive "$pid" || break; sleep 0.1; done
    alive "$pid" && kill -9 "$pid"
  fi
  rm -f "$1"
}

cancel_jobs() {
  timeout 5 scontrol ping 2>/dev/null | grep -q 'is UP' || return 0
  local ids
  ids=$(timeout 5 squeue -h -o %A | sort -u)
  [ -n "$ids" ] || return 0
  timeout 10 scancel -Q $ids
  timeout 10 scancel -Q --full -s KILL $ids
  for _ in $(seq 50); do [ -z "$(timeout 5 squeue -h -t RUNNING,COMPLETING)" ] && break; sleep 0.2; done
}

[ -s "$SLURM_CONF" ] || { echo "nothing to stop in $folder"; exit 0; }
cancel_jobs
for file in "$folder"/run/slurmd.*.pid; do end "$file" slurmd; done
end "$folder/run/slurmctld.pid" slurmctld
end "$folder/munge/munged.pid" munged
[ -e "$folder/run/address" ] && ip addr del 10.77.77.77/32 dev lo && rm -f "$folder/run/address"
echo stopped
