#!/usr/bin/env bash
# Answers recordings on three fresh machines of Google Cloud, fetches the results, and deletes the machines.
#
#   deploy/gcp/three-nodes.sh --project P --model models/SmolLM2-int8 --snapshots Datasets/recorded --output Reports/gcp
#   deploy/gcp/three-nodes.sh --project P --model … --snapshots … --output … --dry-run     # prints each command, runs none
#
# An output folder that holds an earlier run's ledger goes up first, and that run goes on.
# Needs gcloud with access to the project, and the tools built with MPI on Debian 12: swift build -c release --traits MPI
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: three-nodes.sh --project ID --model DIR --snapshots FILE-OR-DIR --output DIR [options]
  --zone ZONE            where the machines are (europe-west4-a)
  --machine-type TYPE    n1-standard-4: 4 virtual CPUs, 15 GB
  --name NAME            the machines are called NAME-1 to NAME-3 (qubic)
  --tools DIR            where qinfer was built (.build/release)
  --wire fp16|fp32       how hidden states travel (fp16)
  --batch COUNT          requests at work at once (128)
  --keep                 leave the machines running at the end
  --dry-run              print every command, run none
TEXT
}

project='' model='' snapshots='' output='' zone=europe-west4-a machine=n1-standard-4 name=qubic tools=.build/release
wire=fp16 batch=128 keep=no dry=no
nodes=3

fail() {
    echo "three-nodes: $*" >&2
    exit 64
}

while [ $# -gt 0 ]; do
    case $1 in
        --project | --model | --snapshots | --output | --zone | --machine-type | --name | --tools | --wire | --batch)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --project) project=$2 ;;
                --model) model=${2%/} ;;
                --snapshots) snapshots=${2%/} ;;
                --output) output=${2%/} ;;
                --zone) zone=$2 ;;
                --machine-type) machine=$2 ;;
                --name) name=$2 ;;
                --tools) tools=${2%/} ;;
                --wire) wire=$2 ;;
                --batch) batch=$2 ;;
            esac
            shift 2
            ;;
        --keep) keep=yes && shift ;;
        --dry-run) dry=yes && shift ;;
        --help | -h) usage && exit 0 ;;
        *) usage >&2 && fail "unknown argument: $1" ;;
    esac
done
for flag in project model snapshots output; do
    [ -n "${!flag}" ] || { usage >&2 && fail "--$flag is missing"; }
done
[[ $name =~ ^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$ ]] || fail "--name: expected lower-case letters, digits and dashes, got $name"
[[ $wire == fp16 || $wire == fp32 ]] || fail "--wire: expected fp16 or fp32, got $wire"
[[ $batch =~ ^[1-9][0-9]*$ ]] || fail "--batch: expected a number from 1 on, got $batch"
if [ "$dry" = no ]; then
    [ -f "$model/config.json" ] || fail "--model: $model holds no config.json"
    [ -e "$snapshots" ] || fail "--snapshots: there is no $snapshots"
    [ -x "$tools/qinfer" ] || fail "--tools: there is no $tools/qinfer; run: swift build -c release --traits MPI"
    command -v gcloud >/dev/null || fail "gcloud is not on the PATH"
fi

all=()
for ((i = 1; i <= nodes; i++)); do all+=("$name-$i"); done
first=${all[0]}
where=(--project "$project" --zone "$zone" --quiet)

step() { echo "three-nodes: $*" >&2; }

# Shows a command, and runs it unless this is a dry run.
run() {
    printf '+' >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
    [ "$dry" = yes ] || "$@"
}

# The output of a command; in a dry run, what stands for it.
ask() {
    local stand_in=$1
    shift
    if [ "$dry" = yes ]; then
        run "$@"
        echo "$stand_in"
    else
        run "$@"
    fi
}

on() {
    local node=$1
    shift
    run gcloud compute ssh "${where[@]}" "$node" --command "$*"
}

scratch=$(mktemp -d)
created=no
# shellcheck disable=SC2317  # called by the traps below
finish() {
    local status=$?
    trap - EXIT INT TERM
    rm -rf "$scratch"
    if [ "$created" = yes ]; then
        if [ "$keep" = yes ]; then
            step "the machines are left running, and cost money; delete them with:"
            echo "  gcloud compute instances delete ${all[*]} ${where[*]}" >&2
        else
            step "deleting the machines"
            run gcloud compute instances delete "${all[@]}" "${where[@]}" || {
                step "they could not be deleted: look after them yourself"
                [ "$status" -ne 0 ] || status=1
            }
        fi
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "packing the tools"
# Swift's own libraries come along: the machines have no compiler.
mkdir -p "$scratch/qubic/bin" "$scratch/qubic/lib"
if [ "$dry" = no ]; then
    cp "$tools/qinfer" scripts/mpirun.sh "$scratch/qubic/bin/"
    ldd "$tools/qinfer" | awk '$3 ~ /\/swift\// { print $3 }' | xargs -r cp --dereference --target-directory "$scratch/qubic/lib"
    cp -R Datasets/prompts "$scratch/qubic/prompts"
fi
run tar -C "$scratch" -czf "$scratch/qubic.tar.gz" qubic
run tar -C "$(dirname "$model")" -cf "$scratch/model.tar" "$(basename "$model")"
run tar -C "$(dirname "$snapshots")" -czf "$scratch/snapshots.tar.gz" "$(basename "$snapshots")"
archives=("$scratch/qubic.tar.gz" "$scratch/model.tar" "$scratch/snapshots.tar.gz")
resume=''
if [ -f "$output/run.sqlite" ]; then
    run tar -C "$output" -czf "$scratch/run.tar.gz" .
    archives+=("$scratch/run.tar.gz")
    resume=' --resume'
fi

step "creating $nodes × $machine in $zone"
# What is there already is somebody's, and must not be deleted at the end.
there=$(ask '' gcloud compute instances list "${where[@]:0:2}" --filter "zone:$zone AND name=(${all[*]})" --format 'value(name)')
[ -z "$there" ] || { step "there are machines of these names already, choose another --name: ${there//$'\n'/, }"; exit 1; }
created=yes
run gcloud compute instances create "${all[@]}" "${where[@]}" --machine-type "$machine" \
    --image-family debian-12 --image-project debian-cloud --boot-disk-size 30GB --boot-disk-type pd-balanced

step "waiting for them"
for node in "${all[@]}"; do
    attempt=1
    until on "$node" true; do
        [ $((attempt += 1)) -le 20 ] || { step "$node cannot be reached"; exit 1; }
        sleep "${THREE_NODES_PAUSE:-5}"
    done
done

step "installing libraries"
packages='libopenblas0-pthread libhdf5-103-1 libsqlite3-0 libpcre2-8-0 zlib1g openmpi-bin openssh-client procps rsync'
for node in "${all[@]}"; do
    on "$node" "sudo apt-get -o DPkg::Lock::Timeout=120 update -q && sudo DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends $packages"
done

step "letting the first node reach the others"
run ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$scratch/id_ed25519"
run gcloud compute scp "${where[@]}" "$scratch/id_ed25519" "$first:.ssh/id_ed25519"
for node in "${all[@]}"; do
    run gcloud compute scp "${where[@]}" "$scratch/id_ed25519.pub" "$node:qubic.pub"
    on "$node" 'cat qubic.pub >> .ssh/authorized_keys'
done

step "writing the hostfile"
addresses=()
for node in "${all[@]}"; do
    address=$(ask "ADDRESS-OF-$node" gcloud compute instances describe "$node" "${where[@]}" \
        --format 'value(networkInterfaces[0].networkIP)')
    [ -n "$address" ] || { step "$node has no address"; exit 1; }
    addresses+=("$address")
done
printf '%s slots=1\n' "${addresses[@]}" | tee "$scratch/hosts" >&2

step "distributing tools, model and recordings"
run gcloud compute scp "${where[@]}" "${archives[@]}" "$scratch/hosts" "$first:"
# Over the machines' own network: the model goes up once.
ssh_options='-o StrictHostKeyChecking=accept-new'
unpack='tar -xzf qubic.tar.gz && tar -xf model.tar'
on "$first" "$unpack && tar -xzf snapshots.tar.gz && mv --no-target-directory $(printf %q "$(basename "$model")") model && mv --no-target-directory $(printf %q "$(basename "$snapshots")") snapshots"
[ -z "$resume" ] || on "$first" 'mkdir run && tar -C run -xzf run.tar.gz'
for address in "${addresses[@]:1}"; do
    on "$first" "rsync --archive --rsh 'ssh $ssh_options' qubic model $address:"
done

# A node's speed is what it would do alone.
# shellcheck disable=SC2016  # their home, not ours
qinfer='env LD_LIBRARY_PATH=$HOME/qubic/lib $HOME/qubic/bin/qinfer'
step "measuring the nodes"
speeds=()
for address in "${addresses[@]}"; do
    line=$(ask '  "tokens_per_second" : 1' gcloud compute ssh "${where[@]}" "$first" --command \
        "ssh $ssh_options $address '$qinfer plan model --stages 1 --node-memory 1TB --json'" | grep '"tokens_per_second"') ||
        { step "$address could not be measured"; exit 1; }
    speeds+=("$(tr -dc '0-9.eE' <<<"${line##*:}")")
done
speed=$(printf '%s\n' "${speeds[@]}" | awk 'NR == 1 { one = $1 } { printf "%s%.3f", (NR > 1 ? "," : ""), $1 / one }')
on "$first" "$qinfer plan model --stages $nodes --node-speed $speed --node-memory 6GB"

step "answering"
status=0
on "$first" "qubic/bin/mpirun.sh --hostfile hosts -np $nodes --map-by node" \
    "--mca plm_rsh_args '$ssh_options' -x LD_LIBRARY_PATH=\$HOME/qubic/lib" \
    "\$HOME/qubic/bin/qinfer run model --snapshots snapshots --output run --prompts qubic/prompts" \
    "--transport mpi --stages $nodes --node-speed $speed --node-memory 6GB --batch $batch --wire $wire" \
    "--peer-timeout 10$resume" || status=$?
[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || step "the run ended with status $status; what it answered is fetched"

step "fetching the results"
run mkdir -p "$output" "$scratch/run"
run gcloud compute scp --recurse "${where[@]}" "$first:run/*" "$scratch/run"
# SQLite would play the log of an earlier fetch into the new ledger.
run rm -f "$output/run.sqlite-wal" "$output/run.sqlite-shm"
run cp -R "$scratch/run/." "$output"
if [ "$status" -eq 0 ] || [ "$status" -eq 2 ]; then run "$tools/qinfer" verify "$output"; fi
exit "$status"
