#!/usr/bin/env bash
# A real SLURM on this machine, controller and node, in a folder of its own: slurm.sh start|stop FOLDER.
# Needs root, slurm-wlm and munge. Afterwards: export SLURM_CONF=FOLDER/slurm.conf
set -euo pipefail
command=$1 folder=$(realpath -m "$2")

stop() {
  if SLURM_CONF=$folder/slurm.conf timeout 10 scancel --user "$(id -un)" 2>/dev/null; then
    for _ in $(seq 100); do
      [ -n "$(SLURM_CONF=$folder/slurm.conf timeout 10 squeue --noheader 2>/dev/null)" ] || break
      sleep 0.1
    done
  fi
  for name in slurmd slurmctld munged; do
    if [ -s "$folder/$name.pid" ]; then
      pid=$(cat "$folder/$name.pid")
      kill "$pid" 2>/dev/null || true
      for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    fi
  done
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

if [ "$command" = stop ]; then
  stop
  if [ -d /sys/fs/cgroup/memory/slurm ]; then
    find /sys/fs/cgroup/memory/slurm -depth -type d -exec rmdir --ignore-fail-on-non-empty {} \; 2>/dev/null || true
  fi
  exit
fi

mkdir -p "$folder/state" "$folder/spool"
chmod 755 "$folder"
cd "$folder"
# Jobs are held to their memory where this machine lets us make a cgroup (v1) for them.
task=task/none
if [ -d /sys/fs/cgroup/memory ] && mkdir -p /sys/fs/cgroup/memory/slurm 2>/dev/null; then
  task=task/cgroup
  cat > cgroup.conf <<END
CgroupMountpoint=/sys/fs/cgroup
CgroupPlugin=cgroup/v1
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
END
fi
cat > slurm.conf <<END
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=$task
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
FirstJobId=$((RANDOM + 1000))
MailProg=/bin/true
ReturnToService=2
KillWait=5
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=2048
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$folder/slurm.conf
(umask 077; head -c 128 /dev/urandom > munge.key)
munged --key-file munge.key --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
  --log-file "$folder/munged.log" --seed-file "$folder/munge.seed" --force
slurmctld
slurmd
for _ in $(seq 100); do
  if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then exit 0; fi
  sleep 0.2
done
echo "SLURM did not start:" >&2
tail -n 5 ./*.log >&2
stop
exit 1
