# shellcheck shell=sh
# shellcheck disable=SC2034 # The variables that load_environment sets are for the scripts that source this file.
# Functions shared by start, stop, status and keep, which source this file with `root` set and then call load_environment.

usage_code=2

# A process belongs to an environment when its descriptor 9 is the environment's lock file. Unlike a process id in a file
# this cannot be wrong: it ends with the process, and another program with a reused process id does not have it.

# load_environment <environment>: sets the paths and the variables of an environment. The folder /etc/ssmd, or the one
# that SSMD_ETC names, may have a file {environment}.env, with lines NAME=value, and {environment}.pem, the private key.
load_environment() {
    case $1 in
    '' | -* | .* | */*)
        echo "ssmd: '$1' is not a valid name of an environment" >&2
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
        # shellcheck disable=SC1090 # The operator's file.
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

# is_ours <pid>: whether a process belongs to the environment.
is_ours() {
    [ "/proc/$1/fd/9" -ef "$lock" ]
}

# processes: prints the processes of the environment, the keeper and its collector, one a line.
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
        echo "ssmd: process $pid of $environment belongs to another user; run this as that user, or as root" >&2
        exit 4
    fi
}

# address: prints the URL of the collector's HTTP server.
address() {
    case $listen in :*) echo "http://127.0.0.1$listen" ;; *) echo "http://$listen" ;; esac
}

# missing: prints what the collector is waiting for, nothing when all that was asked for is confirmed and coming; fails
# without an answer. It ignores the proxy that the environment may set: a proxy would connect to its own 127.0.0.1.
missing() {
    "$python" -c 'import json, sys, urllib.request as u
status = json.load(u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=5))
if status["state"] == "closed":
    print("")
elif "missing" in status:
    channels = status["channels"]
    # It is null where it is not known how the exchange confirms.
    waits = channels is None or any(channel["confirmed"] is False for channel in channels)
    print("; ".join(status["missing"]) or ("not confirmed yet" if waits else ""))
else:  # SSMD_PAGE=off
    print("" if status["state"] == "collecting" else status["state"])' \
        "$(address)/status" 2>/dev/null
}
