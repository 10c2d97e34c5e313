# shellcheck shell=sh disable=SC2034 # who sources it reads the variables
# What the entry script and halt-now share. Sourced with $root set to the checkout; needs no environment.

newline='
'
unset GREP_OPTIONS GREP_COLORS # of a person's shell: a stop reads the same everywhere
umask u+rwx # without it nothing that is made here could be read again
# A terminal or a log that is gone stops nobody from stopping; what standard output does not take goes to standard error.
{ true 3>&2; } || exec 2>/dev/null
{ true 3>&1; } 2>/dev/null || exec >&2
{ true 3<&0; } 2>/dev/null || exec </dev/null

say() { printf '%s\n' "$*" >&2 || :; }

# The verdict, after an empty line. Where standard output does not take it, standard error does: the exit code says the same.
show_verdict() { # line
    { printf '\n%s\n' "$1" | tr -d '\033'; } 2>/dev/null || say "$(printf '%s' "$1" | tr -d '\033')"
}

# A value that no trading-halt takes for an option, an older one on a host neither: it removes the blank.
as_value() { case $1 in -* | —* | –*) printf ' %s' "$1" ;; *) printf '%s' "$1" ;; esac; } # text

# Calls a function with each line; the same as in trading-halt, and never a here-document for the same reason.
each_line() { # lines, function, up to two more arguments of it
    IFS=$newline
    for line in $1; do
        unset IFS
        "$2" "$line" "${3:-}" "${4:-}"
    done
    unset IFS
}

# One path for a place, however it is typed: ./x, x/, x//y, ~/x, through a link.
absolute() { # path
    typed=$1
    case $typed in \~/*) typed=${HOME:-}/${typed#\~/} ;; esac
    if [ -d "$typed" ]; then
        (CDPATH='' cd -P -- "$typed" && pwd -P) && return
    fi
    folder=$(CDPATH='' cd -P -- "$(dirname -- "$typed")" 2>/dev/null && pwd -P) || folder=$(pwd -P)/$(dirname -- "$typed")
    printf '%s/%s\n' "${folder%/}" "${typed##*/}"
}

# Where halt-now's host list for an inventory is: not in the checkout, so that no `git clean` takes it. Where the place that
# the environment names is none, the list of the home, also where the environment names no home.
halt_list_path() { # inventory
    key=$(absolute "$1" | cksum)
    key=trading-core/hosts-${key%% *}
    if [ -z "${XDG_STATE_HOME:-}" ] || [ ! -d "$XDG_STATE_HOME" ]; then
        home=${HOME:-$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)}
        state=${home:-$root/.cache}/.local/state
        [ -z "${XDG_STATE_HOME:-}" ] || [ -r "$state/$key" ] || state=$XDG_STATE_HOME
    else
        state=$XDG_STATE_HOME
    fi
    printf '%s\n' "$state/$key"
}

# A number for the inventory as it is now, empty where a file cannot say what the inventory holds: a script, a list of
# hosts, nothing at all.
inventory_fingerprint() { # inventory
    place=$(absolute "$1")
    [ -e "$place" ] && [ -z "$(find -L "$place" -type f -perm /111 2>/dev/null | head -n 1)" ] || return 0
    {
        find -L "$place" -type f -exec cksum {} + | sort
        cat "$root/roles/estate/defaults/main.yml" "$root/ansible.cfg" | cksum
        env | grep -E '^(HOME|USER|TRADING_CORE_LAB_HOME)=' | sort
    } 2>/dev/null | cksum | tr ' ' '-'
}

operator() {
    name=$(git config user.name 2>/dev/null || true)
    printf '%s@%s\n' "${name:-$(id -un)}" "$(uname -n)"
}

# Becomes a command in an environment of our own: what Ansible, Python and the locale read is set here or absent, whatever
# stands in the operator's shell, a unit or a job. Kept is what says who and where one is, and how the network is reached.
in_own_environment() { # command and its words
    left_out=
    for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | sort -u); do
        case $name in
        HOME | USER | LOGNAME | SHELL | PATH | TERM | COLORTERM | NO_COLOR | TZ | TMPDIR | XDG_* | SSH_AUTH_SOCK | CI | \
            http_proxy | https_proxy | ftp_proxy | all_proxy | no_proxy | \
            HTTP_PROXY | HTTPS_PROXY | FTP_PROXY | ALL_PROXY | NO_PROXY | \
            SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | TRADING_CORE_*)
            eval "set -- \"$name=\${$name-}\" \"\$@\""
            ;;
        ANSIBLE_CONFIG) ;;
        ANSIBLE_*) left_out="$left_out${left_out:+, }$name" ;;
        esac
    done
    [ -z "$left_out" ] || say "runbook: Ansible does not see $left_out of this shell (a vault's password: TRADING_CORE_VAULT_PASSWORD_FILE)."
    # A password file that is not there would end the run, and a stop needs none.
    if [ -n "${TRADING_CORE_VAULT_PASSWORD_FILE:-}" ]; then
        if [ -r "$TRADING_CORE_VAULT_PASSWORD_FILE" ]; then
            set -- "ANSIBLE_VAULT_PASSWORD_FILE=$TRADING_CORE_VAULT_PASSWORD_FILE" "$@"
        else
            say "runbook: TRADING_CORE_VAULT_PASSWORD_FILE cannot be read and is left out: $TRADING_CORE_VAULT_PASSWORD_FILE"
        fi
    fi
    [ -z "${TRADING_CORE_ANSIBLE_HOME:-}" ] || set -- "ANSIBLE_HOME=$TRADING_CORE_ANSIBLE_HOME" "$@"
    exec env -i LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$root/ansible.cfg" "$@"
}
