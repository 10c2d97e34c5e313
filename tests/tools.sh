# shellcheck shell=sh
# Installs the programs that some tests run for real: Debian's nginx and webhook, which receive alerts on a control host,
# and a Chromium for the pages of reports. It does so as root where apt knows them; anywhere else those tests are
# skipped, and say what they need.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
# shellcheck source=lab/engine.sh
. "$root/lab/engine.sh"

# sbin is not on every PATH, and Debian's nginx is there.
has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

missing=
has nginx || missing="$missing nginx-light"
has webhook || missing="$missing webhook"
[ -n "${TRADING_CORE_CHROMIUM:-}" ] || has chromium-headless-shell || has chromium || has chromium-browser ||
    has google-chrome || has google-chrome-stable || missing="$missing chromium-headless-shell"
[ -n "$missing" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || exit 0

engine_update_lists
known=
for package in $missing; do
    [ -z "$(engine_candidate "$package")" ] || known="$known $package"
done
[ -n "$known" ] || exit 0

engine_say "installing$known, for tests"
# The tests start their own, in a folder of the test: no service of the packages runs here, now or after a boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
mkdir -p "$engine_home"
# shellcheck disable=SC2086  # a list of package names
if engine_apt_install $known; then
    rm -f "$engine_home/apt.log"
else
    tail -n 5 "$engine_home/apt.log" >&2
    engine_say "could not install$known; tests that need them are skipped. Type: apt-get install$known"
fi
rmdir "$engine_home" 2>/dev/null || true
[ ! -d /run/systemd/system ] || for unit in nginx webhook; do
    case $known in *"$unit"*) systemctl disable --quiet "$unit" || true ;; esac
done
