# shellcheck shell=bash
# Processes, ports and the temporary folder of one test run. Sourced, never run.
#
# Every server gets a session of its own, so that an interrupt from the terminal reaches only the
# script, which then stops the servers in order. The kernel ends a server whose script was killed
# with SIGKILL (parent-death signal); the folder it leaves is swept by the next run.

SERVERS_DIR=''
SPAWNED_PID=''
declare -a TAKEN_PORTS=()

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# The start time of a process in clock ticks: together with its id it names a process for good.
process_start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086 # splitting the fields is the point
    set -- $stat
    printf '%s\n' "${20}"
}

# Creates SERVERS_DIR below /tmp, which unprivileged users can enter, whatever TMPDIR says.
create_servers_dir() {
    SERVERS_DIR=$(mktemp -d /tmp/relink-tests.XXXXXXXX) || return 1
    chmod 755 "$SERVERS_DIR"
    printf '%s %s\n' "$$" "$(process_start_time $$)" >"$SERVERS_DIR/owner"
}

remove_servers_dir() {
    [[ -n $SERVERS_DIR && -d $SERVERS_DIR ]] || return 0
    rm -rf -- "$SERVERS_DIR"
    SERVERS_DIR=''
}

# Removes what runs that were killed with SIGKILL left behind. Folders of living runs, of other
# users, and those too young to have an owner file yet stay.
sweep_stale_dirs() {
    local dir pid started file
    for dir in /tmp/relink-tests.????????; do
        [[ -d $dir && ! -L $dir && -O $dir && -s $dir/owner ]] || continue
        read -r pid started <"$dir/owner"
        [[ $(process_start_time "$pid") == "$started" ]] && continue
        for file in "$dir"/*.pid; do
            [[ -s $file ]] && kill_leftover "$(<"$file")" "$dir"
        done
        say "swept $dir, left by a run that was killed"
        rm -rf -- "$dir"
    done
}

# Kills a recorded process only if it still is what it was: started with that folder as its home.
kill_leftover() {
    grep -qzF "HOME=$2" "/proc/$1/environ" 2>/dev/null || return 0
    kill -KILL -- "$1" 2>/dev/null || true
}

# The words that make a command run as another user; none when this user is unprivileged itself.
# The answer is in the array AS_USER.
as_user() {
    AS_USER=()
    if ((EUID == 0)); then
        AS_USER=(setpriv --reuid "$(id -u "$1")" --regid "$(id -g "$1")" --clear-groups)
    fi
}

# spawn USER DEATH_SIGNAL LOG COMMAND...: starts a server with nothing but a plain environment and
# its own home, and leaves its process id in SPAWNED_PID and in LOG with .pid for .log. Not from a
# subshell or a pipeline: the server lives no longer than the shell that spawned it.
spawn() {
    local user=$1 death_signal=$2 log=$3
    shift 3
    as_user "$user"
    setsid "${AS_USER[@]}" setpriv --pdeathsig "$death_signal" env -i -C "$SERVERS_DIR" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        "$@" </dev/null >"$log" 2>&1 &
    SPAWNED_PID=$!
    # Or bash would report its death.
    disown "$SPAWNED_PID"
    printf '%s\n' "$SPAWNED_PID" >"${log%.log}.pid"
}

running() { [[ -n $1 ]] && kill -0 "$1" 2>/dev/null; }

# wait_until SECONDS COMMAND...: asks every 50 ms until the command succeeds.
wait_until() {
    local tries=$(($1 * 20))
    shift
    while ((tries-- > 0)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

gone() { ! running "$1"; }

# stop_process PID SIGNAL SECONDS: asks the process, then ends its whole session.
stop_process() {
    running "$1" || return 0
    kill "-$2" "$1" 2>/dev/null || true
    wait_until "$3" gone "$1" || complain "process $1 ignored SIG$2 for $3 s: killing it"
    kill -KILL -- "-$1" 2>/dev/null || true
    wait_until 5 gone "$1" || complain "process $1 could not be ended"
}

show_log() {
    complain "--- end of $1"
    tail -n 30 "$1" >&2
    complain "---"
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether any socket of this machine, listening or not, has that local port.
port_in_use() {
    local hex
    printf -v hex ':%04X' "$1"
    awk -v port="$hex" 'substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# free_port: a random free port in FREE_PORT. Below 32768, because ports above are handed out to
# outgoing connections and a restarted server may find its own taken. Between the look and the bind
# another run may take it: starting a server therefore tries again with other ports.
free_port() {
    local tries=200
    while ((tries-- > 0)); do
        FREE_PORT=$((12000 + (RANDOM * 32768 + RANDOM) % 20000))
        [[ " ${TAKEN_PORTS[*]} " == *" $FREE_PORT "* ]] && continue
        port_in_use "$FREE_PORT" && continue
        TAKEN_PORTS+=("$FREE_PORT")
        return 0
    done
    complain 'no free port between 12000 and 31999'
    return 1
}
