# shellcheck shell=bash
# A private PostgreSQL cluster on loopback, with the durability of a real one. Sourced, never run.

POSTGRES_PID=''

# The folder with the newest server programs.
postgres_bin() {
    local dir
    while read -r dir; do
        [[ -x $dir/initdb && -x $dir/postgres ]] && printf '%s\n' "$dir" && return 0
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
    dir=$(readlink -f "$(command -v postgres)" 2>/dev/null) || return 1
    [[ -x ${dir%/*}/initdb ]] && printf '%s\n' "${dir%/*}"
}

postgres_installed() { postgres_bin >/dev/null; }

# PostgreSQL refuses to run as root.
postgres_user() {
    if ((EUID != 0)); then
        id -un
    elif id postgres >/dev/null 2>&1; then
        printf 'postgres\n'
    else
        printf 'nobody\n'
    fi
}

# Without syncing the files to disk: only what the tests write later shall be durable.
postgres_initialise() {
    local user=$1 dir=$SERVERS_DIR/postgres
    mkdir -p "$dir"
    ((EUID != 0)) || chown "$user": "$dir"
    as_user "$user"
    "${AS_USER[@]}" env -i -C "$dir" HOME="$dir" PATH=/usr/bin:/bin LANG=C.UTF-8 \
        "$(postgres_bin)/initdb" --pgdata="$dir/data" --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C --no-sync >"$SERVERS_DIR/initdb.log" 2>&1 || return 1
    [[ -z $TLS_SOURCE ]] || postgres_encrypt "$user"
}

# With certificates nobody gets in plainly, and the role `mutual` has to show one that bears its
# name, and to give its password. The options of the server are in POSTGRES_TLS.
POSTGRES_TLS=()
postgres_encrypt() {
    local dir=$SERVERS_DIR/postgres
    tls_install "$1" "$dir/tls" || return 1
    {
        say 'hostssl all mutual 127.0.0.1/32 scram-sha-256 clientcert=verify-full'
        say 'hostssl all postgres 127.0.0.1/32 trust'
    } >"$dir/data/pg_hba.conf"
    as_user "$1"
    say "CREATE ROLE mutual SUPERUSER LOGIN PASSWORD 'hunter2'" |
        "${AS_USER[@]}" env -i -C "$dir" PATH=/usr/bin:/bin LANG=C.UTF-8 \
            "$(postgres_bin)/postgres" --single -D "$dir/data" postgres \
            >>"$SERVERS_DIR/initdb.log" 2>&1 || return 1
    POSTGRES_TLS=(
        -c ssl=on -c "ssl_ca_file=$dir/tls/authority.pem"
        -c "ssl_cert_file=$dir/tls/server.pem" -c "ssl_key_file=$dir/tls/server-key.pem"
    )
}

# The server reads its certificates again at SIGHUP.
postgres_renew() {
    tls_install "$(postgres_user)" "$SERVERS_DIR/postgres/tls" && kill -HUP "$POSTGRES_PID"
}

# Line 8 of the pid file says when connections are taken; it is what pg_ctl waits for. Line 1 says
# whether the file is this server's, or what one that was killed has left.
postgres_settled() {
    local file=$SERVERS_DIR/postgres/data/postmaster.pid
    [[ $(sed -n 1p "$file" 2>/dev/null) == "$POSTGRES_PID" ]] &&
        [[ $(sed -n 8p "$file" 2>/dev/null) == ready* ]] || gone "$POSTGRES_PID"
}

postgres_launch() {
    free_port || return 1
    POSTGRES_PORT=$FREE_PORT
    postgres_spawn "$1"
}

# The server on its port: for the first time, or again with its data after it ended.
postgres_spawn() {
    local -a durability=(-c fsync=off -c full_page_writes=off)
    # What is measured has to be what a real server does.
    [[ -z ${RELINK_TEST_DURABLE:-} ]] || durability=(-c shared_buffers=1GB -c max_wal_size=4GB)
    # SIGINT is the fast shutdown: it also releases shared memory. Nothing here has to outlive a
    # crash of the machine, and a database for every test would otherwise be mostly waiting for the
    # disk; processes, the server's among them, may still be killed at any time.
    spawn "$1" INT "$SERVERS_DIR/postgres.log" HOME="$SERVERS_DIR/postgres" \
        "$(postgres_bin)/postgres" -D "$SERVERS_DIR/postgres/data" -p "$POSTGRES_PORT" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 \
        "${durability[@]}" "${POSTGRES_TLS[@]}"
    POSTGRES_PID=$SPAWNED_PID
    wait_until 60 postgres_settled && running "$POSTGRES_PID"
}

postgres_start() {
    local user attempt
    user=$(postgres_user)
    if ! postgres_initialise "$user"; then
        show_log "$SERVERS_DIR/initdb.log"
        return 1
    fi
    for attempt in 1 2 3; do
        postgres_launch "$user" && return 0
        complain "PostgreSQL did not start (attempt $attempt of 3)"
        ((attempt < 3)) || show_log "$SERVERS_DIR/postgres.log"
        postgres_stop
    done
    return 1
}

# SIGQUIT is the immediate shutdown: the data is thrown away.
postgres_stop() {
    stop_process "$POSTGRES_PID" QUIT 10
    POSTGRES_PID=''
}
