# shellcheck shell=sh
# shellcheck disable=SC2034 # What settle sets is for those who source this.
# What start, stop, status, restart and keep share. They source this with `root` set, then call settle.

usage_code=2

# A process belongs to an environment when its descriptor 9 is the environment's lock file. Unlike a number in a file
# this cannot be wrong: it ends with the process, and no other program gets it with a reused number.

# settle <environment>: sets the paths and the variables of an environment. The folder /etc/ssmd, or the one that
# SSMD_ETC names, may hold {environment}.env, with lines NAME=value, and {environment}.pem, the private key.
settle() {
    case $1 in
    '' | -* | .* | */*)
        echo "ssmd: '$1' is no name of an environment" >&2
        exit "$usage_code"
        ;;
    esac
    environment=$1
    etc=$(readlink -f -- "${SSMD_ETC:-/etc/ssmd}") || etc=
    if [ -e "$etc/$environment.pem" ]; then
        KALSHI_API_SECRET=$etc/$environment.pem
        KALSHI_DEMO_API_SECRET=$KALSHI_API_SECRET
        export KALSHI_API_SECRET KALSHI_DEMO_API_SECRET
    fi
    if [ -e "$etc/$environment.env" ]; then
        set -a
        # shellcheck disable=SC1090 # The operator's own.
        . "$etc/$environment.env"
        set +a
    fi
    config=$(readlink -f -- "${SSMD_CONFIG_DIR:-$root/conf}") || config=$SSMD_CONFIG_DIR
    state=$(readlink -f -- "${SSMD_STATE_DIR:-$root}") || state=$SSMD_STATE_DIR
    listen=${SSMD_LISTEN:-127.0.0.1:8080}
    lock=$state/run/$environment.lock
    pid_file=$state/run/$environment.pid
    exit_file=$state/run/$environment.exit # The exit code of the collector that ended last.
    log=$state/log/$environment.log
    python=$root/.venv/bin/python
}

# is_ours <pid>
is_ours() {
    [ "/proc/$1/fd/9" -ef "$lock" ]
}

# holders: the processes of the environment, the keeper and its collector, one a line.
holders() {
    for process in /proc/[0-9]*; do
        if is_ours "${process#/proc/}"; then
            echo "${process#/proc/}"
        fi
    done
}

# keeper: the process that keeps the collector running; nothing when there is none.
keeper() {
    if read -r pid 2>/dev/null <"$pid_file" && is_ours "$pid"; then
        echo "$pid"
    fi
}

# require_sight: whose processes cannot be looked into, their state is not known.
require_sight() {
    if read -r pid 2>/dev/null <"$pid_file" && [ -d "/proc/$pid" ] && ! [ -r "/proc/$pid/fd" ]; then
        echo "ssmd: process $pid of $environment is somebody else's; ask as its user, or as root" >&2
        exit 4
    fi
}

# address: where the collector's HTTP server answers.
address() {
    case $listen in :*) echo "http://127.0.0.1$listen" ;; *) echo "http://$listen" ;; esac
}

# ask <path>: what the collector's HTTP server answers; fails when it does not answer with 200. Without the proxy that
# the environment may name for the exchange: it would be asked for its own 127.0.0.1.
ask() {
    "$python" -c 'import sys, urllib.request as u
print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=5).read().decode())' \
        "$(address)$1" 2>/dev/null
}
