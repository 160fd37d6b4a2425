#!/usr/bin/env bash
# Makes the images that deploy/compose.yaml runs: meshd:local and meshd-prometheus:local.
#
#   deploy/image.sh [--here] [--profile dist|release] [--binary FILE]
#
# By deploy/Dockerfile and deploy/prometheus/Dockerfile where their base images can be had; elsewhere, and with --here, from
# a static meshd that is built on this machine (or is FILE), and from the `prometheus` that is installed on it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

here=""
profile=""
binary=""
while (($#)); do
    case "$1" in
        --here) here=yes ;;
        --profile) profile=${2:?"--profile wants dist or release"}; shift ;;
        --binary) binary=${2:?"--binary wants a file"}; here=yes; shift ;;
        *) printf 'deploy/image.sh: what is %s? It takes --here, --profile dist|release and --binary FILE\n' "$1" >&2; exit 2 ;;
    esac
    shift
done

say() { printf '== %s\n' "$*"; }
fail() { printf 'deploy/image.sh: %s\n' "$*" >&2; exit 1; }

# What lies in the context and is no image of ours.
context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT

# can_be_had IMAGE: it is here, or can be brought.
can_be_had() {
    docker image inspect "$1" >/dev/null 2>&1 || timeout 600 docker pull --quiet "$1" >/dev/null 2>&1
}

commit="$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"

# A target that is named keeps the flag from build scripts and procedural macros, which cannot be static.
build_static() {
    local target directory
    target="$(rustc -vV | sed -n 's/^host: //p')"
    say "a static meshd for $target, by --profile $profile"
    MESHD_COMMIT="$commit" RUSTFLAGS="-C target-feature=+crt-static" \
        cargo build --locked --package meshd --bin meshd --profile "$profile" --target "$target"
    directory="$(cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')"
    binary="$directory/$target/$profile/meshd"
}

# The last stage of the users' Dockerfile, which copies what a stage before it built: here that is the context. One text says
# what the image is, however it is made.
node_stage() {
    sed -n '/^FROM scratch AS node$/,$p' deploy/Dockerfile | sed 's|--from=build ||; s| /out/| |'
}

node_image() {
    if [[ -z "$here" ]] && can_be_had rust:1.95-bookworm; then
        say "meshd:local, by deploy/Dockerfile"
        docker build -f deploy/Dockerfile --target node --build-arg COMMIT="$commit" \
            ${profile:+--build-arg PROFILE="$profile"} -t meshd:local .
        return
    fi
    profile=${profile:-release}
    [[ -n "$binary" ]] || build_static
    if readelf -l "$binary" | grep -q INTERP; then fail "$binary is not static: an image from scratch cannot run it"; fi
    say "meshd:local, from $binary"
    local at="$context/node"
    mkdir -p "$at/bin" "$at/data" "$at/invitations"
    strip -o "$at/bin/meshd" "$binary"
    chmod 0755 "$at/bin/meshd"
    node_stage >"$at/Dockerfile"
    docker build -t meshd:local "$at"
}

prometheus_image() {
    local base
    base="$(sed -n 's/^FROM //p' deploy/prometheus/Dockerfile)"
    if [[ -z "$here" ]] && can_be_had "$base"; then
        say "meshd-prometheus:local, by deploy/prometheus/Dockerfile"
        docker build -t meshd-prometheus:local deploy/prometheus
        return
    fi
    local program at="$context/prometheus"
    program="$(command -v prometheus)" || fail "$base cannot be had, and no prometheus is installed here (Debian's package has it)"
    say "meshd-prometheus:local, from $program"
    mkdir -p "$at/root/bin" "$at/data"
    cp -L "$program" "$at/root/bin/prometheus"
    # The libraries that it is linked with, where it looks for them; of a static one there are none.
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$at/root$(dirname "$library")"
        cp -L "$library" "$at/root$library"
    done
    cp -r deploy/prometheus/prometheus.yml deploy/prometheus/rules "$at/"
    cat >"$at/Dockerfile" <<'END'
FROM scratch
COPY root/ /
COPY --chown=65534:65534 data/ /prometheus/
COPY prometheus.yml /etc/prometheus/prometheus.yml
COPY rules/ /etc/prometheus/rules/
USER 65534:65534
EXPOSE 9090
VOLUME /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
END
    docker build -t meshd-prometheus:local "$at"
}

node_image
prometheus_image
for image in meshd:local meshd-prometheus:local; do
    say "$image: $(docker image inspect --format '{{.Size}}' "$image") bytes"
done
