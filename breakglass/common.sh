# shellcheck shell=sh disable=SC2034 # who sources it reads the variables
# What the entry script and halt-now share. Sourced with $root set to the checkout; needs no environment.

say() { printf '%s\n' "$*" >&2; }

# Sets stop_inventory, stop_reason, stop_by, stop_scope, stop_incident_id, stop_grace, stop_check and stop_words (the words
# that are no option). stop_unclear is the first option that is not understood exactly: only without it may a shell act on
# the rest.
parse_stop_options() {
    stop_inventory=${TRADING_CORE_INVENTORY:-$root/inventories/lab}
    stop_reason='' stop_by='' stop_scope='' stop_incident_id='' stop_grace='' stop_check='' stop_words='' stop_unclear=''
    stop_inventories=0
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
        -i | --inventory | --inventory-file | -e | --extra-vars)
            [ $# -gt 0 ] || { unclear "$option" && return; }
            value=$1
            shift
            ;;
        --inventory=* | --inventory-file=* | --extra-vars=*) value=${option#*=} ;;
        -i?* | -e?*) value=${option#-?} ;;
        *) value= ;;
        esac
        case $option in
        -i* | --inventory | --inventory=* | --inventory-file | --inventory-file=*)
            stop_inventory=$value
            stop_inventories=$((stop_inventories + 1))
            [ "$stop_inventories" = 1 ] || unclear "a second -i"
            ;;
        -e* | --extra-vars | --extra-vars=*) stop_variable "$value" ;;
        -v | -vv | -vvv | -vvvv) ;;
        -C | --check) stop_check=yes ;;
        -*) unclear "$option" ;;
        *) stop_words="$stop_words${stop_words:+ }$option" ;;
        esac
    done
}

stop_variable() { # key=value
    case $1 in
    reason=*) stop_reason=${1#*=} ;;
    by=*) stop_by=${1#*=} ;;
    scope=*[!A-Za-z0-9._-]* | incident_id=*[!A-Za-z0-9._-]* | grace_period_seconds=*[!A-Za-z0-9._-]*) unclear "-e $1" ;;
    scope=*) stop_scope=${1#*=} ;;
    incident_id=*) stop_incident_id=${1#*=} ;;
    grace_period_seconds=*) stop_grace=${1#*=} ;;
    data_corruption=* | stop_prometheus=*) ;; # what an incident does after the stop
    *) unclear "-e $1" ;;
    esac
}

unclear() { stop_unclear=${stop_unclear:-$1}; }

absolute() { # path
    case $1 in /*) printf '%s\n' "${1%/}" ;; *) printf '%s/%s\n' "$(pwd -P)" "${1%/}" ;; esac
}

# Where halt-now's host list for an inventory is: not in the checkout, so that no `git clean` takes it.
halt_list_path() { # inventory
    key=$(absolute "$1" | cksum)
    printf '%s/trading-core/hosts-%s\n' "${XDG_STATE_HOME:-${HOME:-$root/.cache}/.local/state}" "${key%% *}"
}

# A number for the inventory as it is now, empty where a file cannot say what the inventory holds: a script, a list of
# hosts, nothing at all.
inventory_fingerprint() { # inventory
    [ -e "$1" ] && [ -z "$(find -L "$1" -type f -perm /111 2>/dev/null | head -n 1)" ] || return 0
    {
        find -L "$(absolute "$1")" -type f -exec cksum {} + | sort
        cat "$root/roles/estate/defaults/main.yml" "$root/ansible.cfg" | cksum
        env | grep -E '^(HOME|USER|TRADING_CORE_LAB_HOME|ANSIBLE_[A-Z_]*)=' | grep -v '^ANSIBLE_CONFIG=' | sort
    } 2>/dev/null | cksum | tr ' ' '-'
}

operator() {
    name=$(git config user.name 2>/dev/null || true)
    printf '%s@%s\n' "${name:-$(id -un)}" "$(uname -n)"
}
