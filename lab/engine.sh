# shellcheck shell=sh
# Brings up a Docker Engine for the lab where there is none, and ends the one it brought up.
#
#   sourced:  . lab/engine.sh; engine_ensure; engine_stop
#   run:      sh lab/engine.sh ensure | stop
#
# engine_ensure does nothing where an engine answers already. It installs and starts one only as
# root on Debian or Ubuntu; anywhere else it says what is missing, with the line to type, and
# returns 1. engine_stop ends only the daemon that engine_ensure itself has started.

engine_home=${TRADING_CORE_LAB_HOME:-$HOME/.local/state/trading-core-lab}
engine_log=$engine_home/dockerd.log
engine_record=$engine_home/dockerd.started
engine_answer_timeout_seconds=10
engine_start_timeout_seconds=60
engine_stop_timeout_seconds=30

engine_say() { printf 'engine: %s\n' "$*" >&2; }

# A daemon that hangs must read as "does not answer", hence the time limit.
engine_answers() {
    timeout "$engine_answer_timeout_seconds" docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Pids of processes called $1, only those in this PID namespace: the daemons inside running lab
# hosts are visible from here too, and are not ours to count or to signal.
engine_pids_of() {
    engine_namespace=$(readlink /proc/self/ns/pid)
    for engine_process in /proc/[0-9]*; do
        [ "$(cat "$engine_process/comm" 2>/dev/null)" = "$1" ] || continue
        [ "$(readlink "$engine_process/ns/pid" 2>/dev/null)" = "$engine_namespace" ] || continue
        printf '%s\n' "${engine_process#/proc/}"
    done
}

# "pid start-time" of pid $1 (field 22 of stat, counted after the name, which may hold spaces);
# a pid alone could belong to somebody else by now.
engine_identity() {
    engine_start=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20)
    [ -n "$engine_start" ] && printf '%s %s\n' "$1" "$engine_start"
}

engine_ensure() {
    engine_answers && return 0

    if [ -n "${DOCKER_HOST:-}" ]; then
        engine_say "DOCKER_HOST=$DOCKER_HOST does not answer. Start that engine, or type: unset DOCKER_HOST"
        return 1
    fi
    if timeout "$engine_answer_timeout_seconds" docker version 2>&1 | grep -qi 'permission denied'; then
        engine_say "a Docker Engine is here, but this account may not use it. Type: sudo usermod -aG docker $(id -un) && newgrp docker"
        return 1
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        engine_say "no Docker Engine answers, and this is not Debian or Ubuntu. Install Docker Engine with Compose v2 (https://docs.docker.com/engine/install/); under WSL2 start Docker Desktop and switch on its WSL integration. Then type: docker info"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        engine_say "no Docker Engine answers, and installing or starting one needs root. Type: sudo sh '$(engine_own_path)' ensure && sudo usermod -aG docker $(id -un) && newgrp docker"
        return 1
    fi

    engine_install && engine_start && engine_offer_compose
}

engine_own_path() {
    case ${0##*/} in
        engine.sh) readlink -f "$0" ;;
        *) printf '%s/lab/engine.sh' "$(cd "$(dirname "$0")" && pwd)" ;;
    esac
}

# The version apt would install of package $1; nothing where it knows none.
engine_candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -v '(none)'
}

engine_update_lists() {
    [ -n "${engine_lists_updated:-}" ] && return 0
    engine_say "updating package lists"
    # Lists of third parties that fail are none of our business: what counts is whether the
    # packages can be installed.
    apt-get update -qq >/dev/null 2>&1 || engine_say "some package lists could not be updated; going on"
    engine_lists_updated=yes
}

engine_apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$engine_home/apt.log" 2>&1
}

engine_install() {
    engine_missing=
    command -v dockerd >/dev/null 2>&1 || engine_missing="$engine_missing docker.io"
    command -v iptables >/dev/null 2>&1 || engine_missing="$engine_missing iptables"
    command -v mmdebstrap >/dev/null 2>&1 || engine_missing="$engine_missing mmdebstrap"
    command -v ssh-keygen >/dev/null 2>&1 || engine_missing="$engine_missing openssh-client"
    if [ -n "$engine_missing" ] || ! command -v docker >/dev/null 2>&1; then
        mkdir -p "$engine_home"
        engine_update_lists
        # Debian 13 has the command in a package of its own; before that docker.io brings it.
        if ! command -v docker >/dev/null 2>&1 && [ -n "$(engine_candidate docker-cli)" ]; then
            engine_missing="$engine_missing docker-cli"
        fi
        engine_say "installing$engine_missing"
        # shellcheck disable=SC2086  # a list of package names
        if ! engine_apt_install $engine_missing; then
            tail -n 15 "$engine_home/apt.log" >&2
            engine_say "could not install$engine_missing. Type: apt-get install$engine_missing"
            return 1
        fi
        rm -f "$engine_home/apt.log"
    fi
}

# A daemon that was killed leaves pid files and sockets. A pid file whose number somebody else has
# by now keeps dockerd from starting; a socket without containerd behind it makes it wait forever.
engine_remove_leftovers() {
    [ -n "$(engine_pids_of dockerd)" ] || rm -f /var/run/docker.pid /var/run/docker.sock
    [ -n "$(engine_pids_of containerd)" ] || rm -f /run/containerd/containerd.sock \
        /run/docker/containerd/containerd.pid /run/docker/containerd/containerd.sock
}

engine_start() {
    engine_answers && return 0
    mkdir -p "$engine_home"
    if [ -d /run/systemd/system ]; then
        engine_say "starting the daemon (systemd)"
        systemctl start docker.service >"$engine_log" 2>&1 || true
        engine_await_answer && { rm -f "$engine_log"; return 0; }
        journalctl --unit docker.service --lines 15 --no-pager >&2
        engine_say "the daemon did not answer within $engine_start_timeout_seconds s. Type: systemctl status docker"
        return 1
    fi

    if [ -z "$(engine_pids_of dockerd)" ]; then
        engine_remove_leftovers
        engine_say "starting the daemon (no systemd here; log: $engine_log)"
        # A session of its own, so that Ctrl-C at the terminal does not end it.
        setsid dockerd </dev/null >"$engine_log" 2>&1 &
    else
        engine_say "a daemon runs already; waiting for its answer"
        : >"$engine_log"
        engine_found_running=yes
    fi
    if ! engine_await_answer; then
        tail -n 15 "$engine_log" >&2
        engine_say "the daemon did not answer within $engine_start_timeout_seconds s; its last words are above. Type: dockerd"
        return 1
    fi
    [ -n "${engine_found_running:-}" ] || engine_identity "$(cat /var/run/docker.pid)" >"$engine_record"
}

engine_await_answer() {
    engine_deadline=$(($(date +%s) + engine_start_timeout_seconds))
    until engine_answers; do
        [ "$(date +%s)" -lt "$engine_deadline" ] || return 1
        sleep 0.3
    done
}

# Compose v2 beside the engine. The lab's own containers do not need it, so its absence is said
# and is no failure.
engine_offer_compose() {
    docker compose version >/dev/null 2>&1 && return 0
    engine_update_lists
    mkdir -p "$engine_home"
    for engine_package in docker-compose-v2 docker-compose; do
        case $(engine_candidate "$engine_package") in
            '' | 1.*) ;;
            *)
                engine_say "installing $engine_package"
                engine_apt_install "$engine_package"
                ;;
        esac
    done
    docker compose version >/dev/null 2>&1 || engine_compose_from_trixie
    rm -f "$engine_home/apt.log"
    docker compose version >/dev/null 2>&1 || engine_say "Compose v2 could not be installed; going on without. It is needed only to run the stacks on this machine itself"
    return 0
}

# Debian 12 has Compose v1 only. Debian 13's package needs nothing but libc6 >= 2.34; it is fetched
# with lists and cache of its own, so that this machine's apt never sees the newer release.
engine_compose_from_trixie() {
    engine_say "installing docker-compose of Debian 13"
    engine_private=$(mktemp -d) || return 1
    # shellcheck disable=SC2016  # apt's own placeholder, not the shell's
    engine_archive=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1)
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' \
        "${engine_archive:-http://deb.debian.org/debian/}" >"$engine_private/sources.list"
    mkdir -p "$engine_private/lists/partial" "$engine_private/cache/archives/partial"
    if ! {
        engine_private_apt update && (cd "$engine_private" && engine_private_apt download docker-compose) &&
            dpkg --install "$engine_private"/docker-compose_*.deb
    } >"$engine_home/apt.log" 2>&1; then
        tail -n 5 "$engine_home/apt.log" >&2
    fi
    rm -rf "$engine_private"
}

engine_private_apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$engine_private/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$engine_private/lists" -o Dir::Cache="$engine_private/cache" \
        -o APT::Sandbox::User=root "$@"
}

engine_stop() {
    [ -f "$engine_record" ] || return 0
    read -r engine_pid _ <"$engine_record"
    if [ "$(engine_identity "$engine_pid")" = "$(cat "$engine_record")" ]; then
        engine_left=$(timeout "$engine_answer_timeout_seconds" docker ps --all --quiet) || {
            engine_say "the daemon (pid $engine_pid) does not answer; left running, because what it holds is unknown. Type: tail $engine_log"
            return 1
        }
        if [ -n "$engine_left" ]; then
            engine_say "left running: $(printf '%s\n' "$engine_left" | wc -l) container(s) are still on it. See: docker ps --all"
            return 0
        fi
        kill -TERM "$engine_pid"
        engine_deadline=$(($(date +%s) + engine_stop_timeout_seconds))
        while [ "$(engine_identity "$engine_pid")" = "$(cat "$engine_record")" ]; do
            if [ "$(date +%s)" -ge "$engine_deadline" ]; then
                engine_say "the daemon (pid $engine_pid) did not end within $engine_stop_timeout_seconds s. Type: tail $engine_log"
                return 1
            fi
            sleep 0.2
        done
        engine_say "stopped the daemon (pid $engine_pid)"
    fi
    rm -f "$engine_record" "$engine_log"
    rmdir "$engine_home" 2>/dev/null || true
}

case ${0##*/} in
    engine.sh)
        case ${1:-} in
            ensure) engine_ensure ;;
            stop) engine_stop ;;
            *)
                echo "usage: sh lab/engine.sh ensure | stop" >&2
                exit 2
                ;;
        esac
        ;;
esac
