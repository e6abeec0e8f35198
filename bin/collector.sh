# shellcheck shell=sh
# shellcheck disable=SC2034 # The variables that load_environment sets are for the scripts that source this file.
# Functions shared by start, stop, restart, status and keep, which source this file with `root` set.

usage_code=2

# -h and --help print the comment at the top of the script.
case ${1:-} in
-h | --help)
    sed -n '2,${/^#/!q;s/^# //p;}' "$0"
    exit 0
    ;;
esac

# A collector is an environment, such as kalshi-dev, or one of its shards, such as kalshi-dev+2of4. A process belongs to it
# when its descriptor 9 is the collector's lock file. Unlike a process id in a file this cannot be wrong: it ends with the
# process, and another program with a reused process id does not have it.

# fail_usage <text>: reports wrong usage, and exits.
fail_usage() {
    echo "ssmd: $1" >&2
    exit "$usage_code"
}

show_usage() {
    echo "usage: $usage" >&2
    exit "$usage_code"
}

# parse <usage> <flag> <argument>...: reads the arguments of a script: one environment, the script's own flag, and
# --shards or --shard. Sets `name`, `flag` (empty without it), `shards` (empty without a number) and `shard`, as 2of4.
parse() {
    usage=$1 own_flag=$2 name='' flag='' shards='' shard=''
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
        "$own_flag") flag=$1 ;;
        --shards | --shard)
            [ $# -gt 1 ] || show_usage
            if [ "$1" = --shards ]; then
                is_number "$2" || fail_usage "--shards is '$2'; it must be a number from 1 to 999"
                shards=$2
            else
                is_number "${2%%/*}" && is_number "${2#*/}" && [ "${2%%/*}" -le "${2#*/}" ] ||
                    fail_usage "--shard is '$2'; it must be the number of a shard and how many there are, such as 2/4"
                shards=${2#*/} shard=${2%%/*}of${2#*/}
            fi
            shift
            ;;
        *)
            [ -z "$name" ] || show_usage
            name=$1
            ;;
        esac
        shift
    done
    case $name in
    '') show_usage ;;
    *+*) fail_usage "'$name' is not a valid name of an environment" ;;
    esac
    [ "$shards" != 1 ] || shard=''
}

is_number() {
    case $1 in '' | 0* | *[!0-9]* | ????*) return 1 ;; esac
}

# load_environment <collector>: sets the paths and the variables of an environment, or of a shard. The folder /etc/ssmd, or
# the one that SSMD_ETC names, may have a file {environment}.env, with lines NAME=value, and {environment}.pem, the private
# key. The shards of an environment share them; their ports follow one another.
load_environment() {
    case $1 in
    '' | -* | .* | */*) fail_usage "'$1' is not a valid name of an environment" ;;
    esac
    collector=$1
    environment=${1%%+*}
    label=${1#"$environment"}
    label=${label#+}
    shown=$environment
    [ -z "$label" ] || shown="$environment shard ${label%of*}/${label#*of}"
    etc=$(readlink -f -- "${SSMD_ETC:-/etc/ssmd}") || etc=
    if [ -e "$etc/$environment.pem" ]; then
        KALSHI_API_SECRET=$etc/$environment.pem
        KALSHI_DEMO_API_SECRET=$KALSHI_API_SECRET
        export KALSHI_API_SECRET KALSHI_DEMO_API_SECRET
    fi
    if [ -e "$etc/$environment.env" ]; then
        set -a
        # shellcheck disable=SC1090 # The operator's file.
        . "$etc/$environment.env"
        set +a
    fi
    config=$(readlink -f -- "${SSMD_CONFIG_DIR:-$root/conf}") || config=$SSMD_CONFIG_DIR
    state=$(readlink -f -- "${SSMD_STATE_DIR:-$root}") || state=$SSMD_STATE_DIR
    listen=${SSMD_LISTEN:-127.0.0.1:8080}
    if [ -n "$label" ]; then
        SSMD_SHARD=${label%of*}/${label#*of}
        export SSMD_SHARD
        listen=${listen%:*}:$((${listen##*:} + ${label%of*} - 1))
    fi
    lock=$state/run/$collector.lock
    pid_file=$state/run/$collector.pid
    exit_file=$state/run/$collector.exit # The exit code of the collector that ended last.
    log=$state/log/$collector.log
    python=$root/.venv/bin/python
}

# collectors <environment>: prints the collectors of an environment that run, or have died, one a line: itself, or its
# shards. It may be called before load_environment, for one environment.
collectors() {
    for found in "${SSMD_STATE_DIR:-$root}/run/$1.lock" "${SSMD_STATE_DIR:-$root}/run/$1"+*of*.lock; do
        [ -e "$found" ] || continue
        found=${found##*/}
        (
            load_environment "${found%.lock}"
            if [ -e "$pid_file" ] || [ -n "$(processes)" ]; then
                echo "$collector"
            fi
        )
    done
}

# in_order <environment> <collector>...: prints the collectors, with every shard that is missing among them, by number.
in_order() {
    of=$1
    shift
    for found in "$@"; do echo "${found#"$of"}"; done | sed 's/.*of//' | sort -nu | while read -r count; do
        [ -n "$count" ] || { echo "$of" && continue; }
        number=1
        while [ "$number" -le "$count" ]; do
            echo "$of+${number}of$count"
            number=$((number + 1))
        done
    done
}

# is_ours <pid>: whether a process belongs to the collector.
is_ours() {
    [ "/proc/$1/fd/9" -ef "$lock" ]
}

# processes: prints the processes of the collector: its keeper and itself, one a line.
processes() {
    for process in /proc/[0-9]*; do
        if is_ours "${process#/proc/}"; then
            echo "${process#/proc/}"
        fi
    done
}

# keeper: prints the process that keeps the collector running; nothing without one.
keeper() {
    if read -r pid 2>/dev/null <"$pid_file" && is_ours "$pid"; then
        echo "$pid"
    fi
}

# require_access: exits with 4 when the processes belong to another user: their state cannot be read.
require_access() {
    if read -r pid 2>/dev/null <"$pid_file" && [ -d "/proc/$pid" ] && ! [ -r "/proc/$pid/fd" ]; then
        echo "ssmd: process $pid of $shown belongs to another user; run this as that user, or as root" >&2
        exit 4
    fi
}

# coming: prints what bin/start says of a collector for which nothing is missing; or fails with 75 and prints what it waits
# for, or with 69 when no collector answers. It asks directly: a proxy of the environment would ask its own 127.0.0.1.
coming() {
    (cd -- "$root" && "$python" -m ssmd.collectors.coming "$listen" 2>/dev/null)
}
