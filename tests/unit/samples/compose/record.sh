#!/bin/sh
# The ${…} and $(…) in single quotes are meant for Compose and for another shell.
# shellcheck disable=SC2016
# Records what Docker Compose prints. Usage, on a host with Compose and an image recording/box:1 (a busybox), from an
# empty folder that holds this script and ops/docker-compose.yml (the docker-compose.yml beside it): ./record.sh
set -eu
out=$(docker compose version --short | sed 's/-.*//')
mkdir -p "$out"
compose() { profile=$1; shift; docker compose --ansi never --progress plain --file ops/docker-compose.yml --profile "$profile" "$@"; }
say() { name=$1; shift; "$@" >"$out/$name.stdout" 2>"$out/$name.stderr" || true; }
inspect() { docker inspect "$2" | python3 -c 'import json, sys; 
seen = json.load(sys.stdin)[0]
kept = {key: seen[key] for key in ("Id", "Name", "Image", "State")}
kept["State"].get("Health", {}).pop("Log", None)
kept["HostConfig"] = {"RestartPolicy": seen["HostConfig"]["RestartPolicy"]}
kept["Config"] = {key: seen["Config"][key] for key in ("Image", "Labels")}
print(json.dumps(kept, indent=1))' >"$out/inspect_$1.json"; }

say error_missing_variable compose paper config --format json
export TRADING_MODE=live
say config_live compose live config --format json
say hash_live compose live config --hash '*'
say pruned_hash_live sh -c 'docker compose --file ops/docker-compose.yml --profile live config --format json |
  python3 -c "import json, sys; d = json.load(sys.stdin); d[\"services\"][\"bot\"].pop(\"depends_on\"); print(json.dumps(d))" |
  docker compose --file - --profile live config --hash "*"'
compose live up --detach bot 2>/dev/null
inspect live_bot sample-live-bot-1

export TRADING_MODE=paper
for profile in paper alerting sidecar built; do
  say "config_$profile" compose "$profile" config --format json
  say "hash_$profile" compose "$profile" config --hash '*'
done
say error_missing_file docker compose --file nosuch.yml config
say error_no_file sh -c 'cd "$(mktemp -d)" && docker compose config'
printf 'services:\n  a: [x\n' >broken.yml
say error_yaml docker compose --file broken.yml config
printf 'services:\n  a: {imag: x}\n' >broken.yml
say error_schema docker compose --file broken.yml config
printf 'services:\n  a: {image: "x:${TAG}", command: "${WORDS}"}\n' >broken.yml
say error_unset_variable docker compose --ansi never --file broken.yml config
printf 'services:\n  a: {image: x, profiles: [p], depends_on: [b]}\n  b: {image: x, profiles: [q]}\n' >broken.yml
say error_inactive_dependency docker compose --file broken.yml --profile p config
rm broken.yml
say error_unknown_service compose paper up --detach nosuch
say error_pull compose away up --detach --no-build --quiet-pull away
say error_no_build compose built up --detach --no-build --quiet-pull built
say error_no_engine env DOCKER_HOST=unix:///nosuch.sock docker compose --ansi never --file ops/docker-compose.yml --profile paper up --detach bot
say error_port compose greedy up --detach greedy
say error_one_shot env INIT_EXIT=4 docker compose --ansi never --progress plain --file ops/docker-compose.yml --profile alerting up --detach alertmanager
inspect failed_init sample-paper-am_init-1
compose crash up --detach crash 2>/dev/null
compose sick up --detach sick 2>/dev/null
compose paper up --detach bot 2>/dev/null
docker pause sample-paper-bot-1 >/dev/null
inspect paused_bot sample-paper-bot-1
say error_paused compose paper up --detach bot
inspect healthy_db sample-paper-db-1
inspect crashed sample-paper-crash-1
inspect sick sample-paper-sick-1
docker ps --all --quiet --filter label=com.docker.compose.version --filter name=^sample- | xargs docker rm --force >/dev/null
docker network ls --quiet --filter name=^sample- | xargs docker network rm >/dev/null
rm "$out"/error_*.stdout
find "$out" -empty -delete
sed -i 's/ on [0-9.]*:53/ on 192.0.2.53:53/' "$out/error_pull.stderr"
