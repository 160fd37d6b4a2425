#!/usr/bin/env bash
# Brings up the mesh of deploy/compose.yaml, works it while it is cut, killed and healed, and checks what it promised: each
# task that was acknowledged has ended, with its own result; each value that was agreed on is there, on both sides of the
# cut; what was agreed on verifies. Ends by itself, with what it made; the exit code is 0 only if all of that holds.
#
#   deploy/image.sh && deploy/testnet.sh [--keep]
#
# --keep leaves it running, and says how to use it and how to end it. Needs docker, docker-compose (1.29 or v2) and curl.
# PROMETHEUS_PORT is where Prometheus can be asked from this machine (default: a free one); MESHD_PROJECT names the containers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

keep=""
case "${1-}" in
    "") ;;
    --keep) keep=yes ;;
    *) printf 'deploy/testnet.sh: what is %s? It takes --keep\n' "$1" >&2; exit 2 ;;
esac

readonly project=${MESHD_PROJECT:-meshd-testnet}
readonly full=(bootstrap member-1 member-2 member-3)
readonly workers=(worker-1 worker-2 worker-3)
readonly nodes=("${full[@]}" "${workers[@]}")
readonly cut=(member-3 worker-3)
readonly killed=(member-1 worker-1)
readonly rounds=25
readonly texts=60
# Long enough for a loaded machine: what reaches it has failed.
readonly patience_s=${MESHD_PATIENCE_S:-120}
export PROMETHEUS_PORT=${PROMETHEUS_PORT:-0}

here="$(mktemp -d)"
background=()

if docker compose version >/dev/null 2>&1; then compose_command=(docker compose); else compose_command=(docker-compose); fi
compose() { "${compose_command[@]}" --project-name "$project" --file compose.yaml "$@"; }

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

fail() {
    printf 'FAILED after %d s: %s\n' "$SECONDS" "$*" >&2
    compose ps >&2 || true
    compose logs --tail=15 "${nodes[@]}" >&2 || true
    exit 1
}

finish() {
    local code=$?
    ((${#background[@]} == 0)) || kill "${background[@]}" 2>/dev/null || true
    if [[ -n "$keep" ]]; then
        printf 'It goes on: %s exec bootstrap /usr/bin/meshd status\n' "${compose_command[*]} -p $project -f deploy/compose.yaml"
        printf 'End it by:  %s down --volumes\n' "${compose_command[*]} -p $project -f deploy/compose.yaml"
    else
        compose down --volumes --timeout 20 >"$here/down.log" 2>&1 || { cat "$here/down.log" >&2; code=1; }
    fi
    rm -rf "$here"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The container of a service, whichever compose named it.
container() { cat "$here/container-$1"; }

# A verb of a node, in its container: the API listens on that one's loopback alone.
meshd() {
    local node=$1
    shift
    docker exec -i "$(container "$node")" /usr/bin/meshd "$@"
}

# A number that a verb's JSON has under a key.
number() { grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d : -f 2; }

# until_holds WHAT COMMAND…: asks until it holds, and fails once that has taken too long.
until_holds() {
    local what=$1 begun=$SECONDS
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS - begun < patience_s)) || fail "waited $patience_s s in vain: $what"
        sleep 0.2
    done
    say "$what"
}

# A node is ready, and reaches so many members, itself included.
reaches() {
    local status
    status="$(meshd "$1" status --output json)" || return 1
    [[ "$status" == *'"ready":true'* && "$(number reachable <<<"$status")" == "$2" ]]
}

all_reach() {
    local count=$1 node
    shift
    for node in "$@"; do reaches "$node" "$count" || return 1; done
}

is_not_ready() { meshd "$1" health >/dev/null 2>&1; (($? == 75)); }

none_is_ready() {
    local node
    for node in "$@"; do is_not_ready "$node" || return 1; done
}

committee_is() {
    local status
    status="$(meshd bootstrap consensus status --output json)" || return 1
    [[ "$(number faults_tolerated <<<"$status")" == 1 && "$(number active <<<"$status")" == "$1" ]]
}

index() { meshd "$1" consensus status --output json | number index; }

# Each of the four has executed what was decided until then. Not that each votes: a member that asked for another primary
# alone follows the others, and votes again with the next change of the primary.
committee_has() {
    local status executed count=0
    status="$(meshd bootstrap consensus status --output json)" || return 1
    for executed in $(grep -o '"executed":[0-9]*' <<<"$status" | cut -d : -f 2); do
        ((executed >= $1)) || return 1
        count=$((count + 1))
    done
    ((count >= 4))
}

# Prometheus, asked from outside: how many series an expression has now.
series() {
    curl --silent --show-error --fail --get "http://$prometheus/api/v1/query" --data-urlencode "query=$1" | grep -o '"metric":' | wc -l
}
series_are() { [[ "$(series "$2")" == "$1" ]]; }

# Lines that many hands append are whole: each is shorter than a pipe's buffer.
acknowledge() { printf '%s\n' "$2" >>"$here/$1"; }

# Hands work to one node after another, the cut and the killed ones too, and notes what was acknowledged: exactly this has to
# be there in the end. What is refused, or answers too late, was never promised.
hand_in() {
    local round node id
    for ((round = 0; round < rounds; round++)); do
        node=${nodes[round % ${#nodes[@]}]}
        if id="$(timeout 20 docker exec "$(container "$node")" /usr/bin/meshd submit --detach --echo "echo of $round" 2>/dev/null)"; then
            acknowledge tasks "$id echo of $round"
        else
            acknowledge refused "task $round at $node"
        fi
        node=${nodes[(round + 3) % ${#nodes[@]}]}
        if timeout 20 docker exec "$(container "$node")" /usr/bin/meshd memory put --namespace testnet "key-$round" "value-$round" >/dev/null 2>&1; then
            acknowledge values "key-$round value-$round"
        else
            acknowledge refused "value $round at $node"
        fi
        printf '%s\n' "$round" >"$here/round"
    done
}
handed_in() { (($(cat "$here/round" 2>/dev/null || echo 0) >= $1)); }

work_goes_on() {
    local node=$1 said
    said="$(meshd "$node" submit --echo "through $node")" && [[ "$said" == "through $node" ]]
}
agreement_goes_on() { meshd "$1" memory put --namespace testnet "$2" yes; }

docker image inspect meshd:local meshd-prometheus:local >/dev/null 2>&1 || [[ -n "${MESHD_IMAGE-}${PROMETHEUS_IMAGE-}" ]] \
    || { printf 'deploy/testnet.sh: the images are not there: deploy/image.sh makes them\n' >&2; exit 2; }

# --- up

compose down --volumes --timeout 5 >/dev/null 2>&1 || true
begun=$SECONDS
compose up --detach >"$here/up.log" 2>&1 || { cat "$here/up.log" >&2; fail "compose up"; }
for node in "${nodes[@]}"; do compose ps -q "$node" >"$here/container-$node"; done
prometheus="$(compose port prometheus 9090)"
say "the containers run"
until_holds "all seven are ready and reach each other" all_reach 7 "${nodes[@]}"
until_holds "Prometheus has scraped all seven" series_are 7 'up{job="meshd"} == 1'
printf '        from `up` to here: %d s\n' $((SECONDS - begun))
until_holds "the committee is four" committee_is 4
rules="$(curl --silent --fail "http://$prometheus/api/v1/rules" | grep -o '"type":"alerting"' | wc -l)"
((rules > 0)) || fail "Prometheus has no alert rules"
say "Prometheus has $rules alert rules"

# --- work, while things go wrong

inputs="$here/inputs"
mkdir "$inputs" "$here/out"
chmod 0755 "$here"
chmod 0777 "$here/out"
for ((at = 0; at < texts; at++)); do
    for ((line = 0; line <= at; line++)); do printf 'line %d of the text %d\n' "$line" "$at"; done >"$inputs/$at.txt"
done

# A client beside the bootstrap node: on its loopback, with its token.
client() {
    docker run --rm --interactive --network "container:$(container bootstrap)" --volumes-from "$(container bootstrap)" \
        --volume "$(cd ../node/examples && pwd):/examples:ro" --volume "$inputs:/inputs:ro" --volume "$here/out:/out" \
        --read-only --cap-drop ALL --workdir /inputs "${MESHD_IMAGE:-meshd:local}" "$@"
}

mapfile -t names < <(cd "$inputs" && ls)
naps_job="$(client map --sleep 1s --detach --output json --name naps -- ::: "${names[@]}" | grep -o '"job":"[0-9a-f]*"' | cut -d '"' -f 4 | head -n 1)"
[[ -n "$naps_job" ]] || fail "the job of naps was not acknowledged"
say "a job of naps is acknowledged: ${naps_job:0:8}"
client map --wasm /examples/wasm/wc.wasm --out-dir /out --name words -- ::: "${names[@]}" >"$here/map.log" 2>&1 &
map=$!
hand_in &
hands=$!
background=("$map" "$hands")
until_holds "work is being handed in" handed_in 3

network="$(docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}' "$(container bootstrap)")"
for node in "${cut[@]}"; do docker network disconnect "$network" "$(container "$node")"; done
say "cut off, each from all: ${cut[*]}"
until_holds "the five others see that" all_reach 5 bootstrap member-1 member-2 worker-1 worker-2
until_holds "the cut ones say that they are not ready" none_is_ready "${cut[@]}"
until_holds "tasks go on without them" work_goes_on worker-2
until_holds "agreement goes on without them" agreement_goes_on member-2 during-the-cut
until_holds "Prometheus has an alert for each of them" series_are "${#cut[@]}" 'ALERTS{alertname="MeshNodeDown"}'

for node in "${cut[@]}"; do docker network connect --alias "$node" "$network" "$(container "$node")"; done
say "healed"
until_holds "all seven reach each other again" all_reach 7 "${nodes[@]}"
decided="$(index member-2)"
until_holds "each of the committee has the $decided batches of until then" committee_has "$decided"

for node in "${killed[@]}"; do docker kill --signal KILL "$(container "$node")" >/dev/null; done
say "killed with -9: ${killed[*]}"
until_holds "tasks go on without them" work_goes_on worker-3
until_holds "agreement goes on without them" agreement_goes_on member-3 after-the-kill
for node in "${killed[@]}"; do docker start "$(container "$node")" >/dev/null; done
say "started again"
until_holds "all seven reach each other again" all_reach 7 "${nodes[@]}"
decided="$(index member-2)"
until_holds "each of the committee has the $decided batches of until then" committee_has "$decided"

# --- what was promised

wait "$hands" || fail "handing in ended by itself"
wait "$map" || { cat "$here/map.log" >&2; fail "the job of words did not end well"; }
background=()
counts() { awk '{ print $1, $2, $3; exit }'; }
for file in "$inputs"/*.txt; do
    name="$(basename "$file")"
    [[ "$(counts <"$here/out/$name/stdout")" == "$(wc <"$file" | counts)" ]] \
        || fail "the words of $name were counted as: $(cat "$here/out/$name/stdout")"
done
say "$texts texts counted by WebAssembly, each as \`wc\` counts it"

naps_ended() { meshd worker-2 job attach "$naps_job"; }
until_holds "each nap has ended" naps_ended
tasks=0
while read -r id text; do
    said="$(meshd member-2 task result --wait "$id" </dev/null)" || fail "the task $id was acknowledged, and has no result"
    [[ "$said" == "$text" ]] || fail "the task $id is \`$text\`, and came to: $said"
    tasks=$((tasks + 1))
done <"$here/tasks"
values=0
while read -r key value; do
    for node in bootstrap member-3; do
        said="$(meshd "$node" memory get --namespace testnet "$key" </dev/null)" || fail "$key was agreed on, and $node has it not"
        [[ "$said" == "$value" ]] || fail "$key is $value, and $node says: $said"
    done
    values=$((values + 1))
done <"$here/values"
((tasks >= rounds / 2 && values >= rounds / 2)) || fail "only $tasks tasks and $values values of $rounds were acknowledged: too few to judge by"
say "$tasks acknowledged tasks have their results, $values acknowledged values are there; refused: $(wc -l <"$here/refused" 2>/dev/null || echo 0)"
meshd worker-1 ledger verify >/dev/null || fail "what was agreed on does not verify"
say "what was agreed on verifies"
until_holds "Prometheus scrapes all seven" series_are 7 'up{job="meshd"} == 1'
printf 'ok: nothing acknowledged was lost\n'
