# shellcheck shell=sh disable=SC2034 # who sources it reads the variables
# How the words of a stop are read. A stop is never refused for what was typed: plain words are the reason, an option that
# is not known is named and left out. Sourced after common.sh by the entry script and by halt-now.

TEXT_BYTES=500 # of any text that a person types; a longer one is cut

# The long options of a stop. A shortened one, as Ansible allows it, means the first that begins so.
LONG_OPTIONS='--check --dry-run --help --version --inventory --inventory-file --extra-vars --limit --tags --skip-tags
--start-at-task --syntax-check --list-hosts --list-tasks --list-tags --reason --by --scope --incident --incident-id --mode
--grace-seconds'
carriage_return=$(printf '\r')

# What a word is meant to be: without the carriage return of a file from Windows, with the dashes that an editor made one
# of, and an abbreviated option in full. Sets $meant, to the word itself where it is none of our options.
mean() { # word
    meant=$1
    case $1 in
    -*"$carriage_return" | —*"$carriage_return") mean "${1%"$carriage_return"}" && return ;;
    -check | -dry-run | -help | -version) long=-$1 ;;
    --??*) long=$1 ;;
    ––?*) long=--${1#––} ;;
    —?*) long=--${1#—} ;;
    –??*) long=--${1#–} ;;
    –?) meant=-${1#–} && return ;;
    *) return 0 ;;
    esac
    value_too=
    case $long in *=*) value_too="=${long#*=}" && long=${long%%=*} ;; esac
    for option in $LONG_OPTIONS; do
        case $option in
        "$long"*)
            meant=$option$value_too
            return
            ;;
        esac
    done
}

# Reads several short options in one word, -Cv or -ve. Fails where it is none. Sets $flags, a blank before each, and $rest,
# an option that takes a value, with what of it is there.
read_cluster() { # word
    flags='' rest=${1#-}
    while [ -n "$rest" ]; do
        case $rest in
        [CDJKbhknv]*) flags="$flags -${rest%"${rest#?}"}" rest=${rest#?} ;;
        [ieltfucTM]*) rest=-$rest && return ;;
        *) return 1 ;;
        esac
    done
}

# Words that never act, wherever they stand, also after `--`: who asks for help or for a dry run wants nothing stopped.
# Short ones count only before the first plain word, since afterwards they may be part of a sentence. Sets asked_for to
# help, version, check or nothing.
find_what_never_acts() { # words
    asked_for='' plain='' before=''
    for word in "$@"; do
        mean "$word"
        case $meant in
        --) plain='' ;;
        --help | --help=*) asked_for=help ;;
        --version | --version=*) [ "$asked_for" = help ] || asked_for=version ;;
        --check | --check=* | --dry-run | --dry-run=*) asked_for=${asked_for:-check} ;;
        --*) ;;
        -?*)
            if [ -z "$plain" ] && read_cluster "$meant"; then
                case $flags in *h*) asked_for=help ;; esac
                case $flags in *[Cn]*) asked_for=${asked_for:-check} ;; esac
            fi
            ;;
        *) takes_value "$before" || plain=yes ;;
        esac
        before=$meant
    done
}

takes_value() { # option
    case $1 in
    -i | --inventory | --inventory-file | -e | --extra-vars | -l | --limit | -t | --tags | --skip-tags | --start-at-task | \
        --reason | --by | --scope | --incident | --incident-id | --mode | --grace-seconds | \
        --vault-id | --vault-password-file | --vault-pass-file | --become-password-file | --become-pass-file | \
        --connection-password-file | --conn-pass-file) ;;
    *) is_ansibles "$1" ;;
    esac
}

is_ansibles() { # option; whether ansible-playbook takes a value with it, and a stop has no use for it
    case $1 in
    -f | --forks | -u | --user | -c | --connection | -T | --timeout | -M | --module-path | --private-key | --key-file | \
        --become-method | --become-user | --ssh-common-args | --ssh-extra-args | --sftp-extra-args | --scp-extra-args) ;;
    *) return 1 ;;
    esac
}

# Reads the words of a stop. Sets
#   stop_inventory, stop_inventories   the last -i, and how many there were; stop_inventory_argv, all of them for eval
#   stop_reason, stop_by, stop_scope, stop_incident_id, stop_grace, stop_mode, stop_check
#   stop_argv       the words for ansible-playbook but -i, quoted for eval
#   stop_narrowed   the option, if any, that asks for less than every host and every bot of the inventory
#   stop_extra      yes where there is more in stop_argv than this project's own variables
parse_stop_options() { # procedure, words
    stop_procedure=$1
    shift
    stop_inventory=${TRADING_CORE_INVENTORY:-$root/inventories/lab}
    stop_reason='' stop_by='' stop_scope='' stop_incident_id='' stop_grace='' stop_mode='' stop_check='' stop_words=''
    stop_argv='' stop_narrowed='' stop_inventories=0 stop_inventory_argv='' stop_extra='' stop_shows=''
    find_what_never_acts "$@"
    [ "$asked_for" != check ] || stop_check=yes
    words_left=1000 is_raw=''
    while [ $# -gt 0 ]; do
        word=$1 value='' has_value='' joined=
        shift
        words_left=$((words_left - 1))
        [ "$words_left" -gt 0 ] || { say "$stop_procedure: what comes after a thousand words is left out." && break; }
        mean "$word"
        word=$meant typed=$meant
        case $word in
        --) is_raw=yes && continue ;;
        --?*=*) joined=yes value=${word#*=} has_value=yes word=${word%%=*} ;;
        -[CDJKbhknv]?*)
            if read_cluster "$word"; then
                for word in $flags; do stop_option || :; done
                [ -z "$rest" ] || set -- "$rest" "$@"
                continue
            fi
            ;;
        -[ieltfucTM]?*) joined=yes value=${word#-?} has_value=yes word=${word%"$value"} value=${value#=} ;;
        esac
        if takes_value "$word" && [ -z "$joined" ] && [ $# -gt 0 ]; then value=$1 has_value=yes && shift; fi
        stop_option || :
    done
    if [ "$stop_inventories" = 0 ]; then add_inventory "$stop_inventory"; fi
    [ -n "$stop_reason" ] || stop_reason=$stop_words
    others=$stop_argv
    own_options
    stop_argv="$others$stop_argv"
}

own_options() { # sets stop_argv to what this project itself has understood
    stop_argv=
    own_variable reason "$stop_reason"
    own_variable by "$stop_by"
    own_variable incident_id "$stop_incident_id"
    own_variable grace_period_seconds "$stop_grace"
    case $stop_procedure in
    bot_stop) own_variable mode "$stop_mode" ;;
    failsafe_stop | incident) own_variable scope "$stop_scope" ;;
    esac
    [ -z "$stop_check" ] || pass_on --check
}

stop_option() { # $word, and $value where $has_value
    case $word in
    -i | --inventory | --inventory-file)
        [ -n "$value" ] || { leave_out "$word"; return; }
        stop_inventory=$value
        stop_inventories=$((stop_inventories + 1))
        [ "$stop_inventories" = 1 ] || stop_narrowed="a second -i"
        add_inventory "$value"
        ;;
    -e | --extra-vars) stop_variable "$value" ;;
    --reason) given "$word" && stop_reason=$(plain_text "$value") ;;
    --by) given "$word" && stop_by=$(plain_text "$value") ;;
    --scope) given "$word" && stop_scope=$value ;;
    --mode) given "$word" && stop_mode=$value ;;
    --incident | --incident-id) given "$word" && stop_incident_id=$value ;;
    --grace-seconds) given "$word" && stop_grace=$value ;;
    -l | --limit | -t | --tags | --skip-tags | --start-at-task)
        given "$word" || return 0
        stop_narrowed="$word $value" stop_extra=yes
        pass_on "$word" && pass_on "$value"
        ;;
    --vault-id | --vault-password-file | --vault-pass-file | --become-password-file | --become-pass-file | \
        --connection-password-file | --conn-pass-file)
        # A file that is not there would keep Ansible from its work.
        if [ -r "${value#*@}" ]; then pass_on "$word" && pass_on "$value" && stop_extra=yes; else leave_out "$word $value"; fi
        ;;
    --syntax-check | --list-hosts | --list-tasks | --list-tags) pass_on "$word" && stop_shows=yes ;;
    -D | --diff | -v | -vv | -vvv | -vvvv | -K | --ask-become-pass | -k | --ask-pass | -J | --ask-vault-password | --ask-vault-pass)
        pass_on "$word"
        ;;
    --check | --dry-run | -C) ;; # seen before
    -n) [ -n "$stop_check" ] || add_word "$word" ;;
    *)
        if [ -n "$is_raw" ]; then # after `--`: for ansible-playbook, as it is
            pass_on "$typed" && stop_extra=yes
            [ -z "$has_value$joined" ] || [ -n "$joined" ] || pass_on "$value"
            return
        fi
        case $word in -*) leave_out "$word${has_value:+ $value}" && return ;; esac
        case $stop_procedure:$word in
        bot_stop:paper | bot_stop:live | bot_stop:all) [ -n "$stop_mode" ] || { stop_mode=$word && return; } ;;
        esac
        case $word in
        reason=* | by=* | scope=* | incident_id=* | mode=* | grace_period_seconds=* | data_corruption=* | stop_prometheus=*)
            stop_variable "$word"
            ;;
        *) add_word "$word" ;;
        esac
        ;;
    esac
}

add_inventory() { # inventory
    quote_word "$1"
    stop_inventory_argv="$stop_inventory_argv -i $quoted_word"
}

given() { [ -n "$has_value" ] || { leave_out "$1" && return 1; }; } # option

add_word() { [ ${#stop_words} -gt $TEXT_BYTES ] || stop_words="$stop_words${stop_words:+ }$(plain_text "$1")"; }

stop_variable() { # key=value
    case $1 in
    '') leave_out '-e without a value' ;;
    reason=*) stop_reason=$(plain_text "${1#*=}") ;;
    by=*) stop_by=$(plain_text "${1#*=}") ;;
    scope=* | mode=* | incident_id=* | grace_period_seconds=*)
        case $1 in
        scope=*) stop_scope=${1#*=} && stop_scope=${stop_scope%% *} ;;
        mode=*) stop_mode=${1#*=} && stop_mode=${stop_mode%% *} ;;
        incident_id=*) stop_incident_id=${1#*=} && stop_incident_id=${stop_incident_id%% *} ;;
        *) stop_grace=${1#*=} && stop_grace=${stop_grace%% *} ;;
        esac
        case $1 in *' '*=*) stop_variable "${1#* }" ;; esac # several in one -e
        ;;
    *)
        # Whether it asks for less than everything cannot be read here.
        case $1 in @* | *scope*) stop_narrowed="-e $1" ;; esac
        stop_extra=yes
        pass_on -e && pass_on "$1"
        ;;
    esac
}

# A variable of this project, as JSON: what a person types is never a template, a second variable or a number.
own_variable() { # name, value
    [ -n "$2" ] || return 0
    pass_on -e && pass_on "$(unsafe "$1" "$2")"
}

unsafe() { # name, value, at most so many bytes
    printf '{"%s": !unsafe "%s"}' "$1" "$(plain_text "$2" "${3:-}" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

pass_on() { # word
    quote_word "$1"
    stop_argv="$stop_argv $quoted_word"
}

quote_word() { # word -> $quoted_word
    case $1 in
    *\'*) quoted_word="'$(printf '%s.' "$1" | sed "s/'/'\\\\''/g")" && quoted_word="${quoted_word%.}'" ;;
    *) quoted_word="'$1'" ;;
    esac
}

leave_out() { say "${stop_procedure}: '$(plain_text "$1")' is not understood and left out."; } # words

# What a person typed as one line of valid UTF-8 without control characters (C1 too, and what YAML takes for none), cut.
plain_text() { # text, at most so many bytes
    bytes=${2:-$TEXT_BYTES}
    case $1 in
    *[!\ -~]*)
        printf "%.$((4 * bytes))s" "$1" | LC_ALL=C tr '\t\n\v\f\r' '     ' | LC_ALL=C tr -d '\000-\037\177' |
            valid_utf8 | LC_ALL=C sed "$no_c1" | LC_ALL=C cut -c "1-$bytes" | valid_utf8 | tr -d '\n'
        ;;
    *) printf "%.${bytes}s" "$1" ;;
    esac
}
valid_utf8() { iconv -c -f UTF-8 -t UTF-8 2>/dev/null || LC_ALL=C tr -d '\200-\377'; }
no_c1=$(printf 's/\302[\200-\237]//g; s/\357\277[\276\277]//g')
