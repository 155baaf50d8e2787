# shellcheck shell=bash
# A private RabbitMQ node on loopback only. Sourced, never run.
#
# It has no plugin, since Relink needs none, unless RABBITMQ_MANAGEMENT asks for the one over which
# `relink doctor` looks at what AMQP does not tell.
#
# Not the wrapper in /usr/sbin: it insists on root or the user rabbitmq and on the system's
# folders. The node has its own epmd, because a shared one would outlive or underlive the run.

RABBITMQ_BIN=/usr/lib/rabbitmq/bin
RABBITMQ_PID=''
EPMD_PID=''
RABBITMQ_MANAGEMENT=''

rabbitmq_installed() { [[ -x $RABBITMQ_BIN/rabbitmq-server ]] && epmd_program >/dev/null; }

epmd_program() {
    command -v epmd && return 0
    local candidate
    for candidate in /usr/lib/erlang/erts-*/bin/epmd; do
        [[ -x $candidate ]] && printf '%s\n' "$candidate" && return 0
    done
    return 1
}

# Dead-lettering at least once came with RabbitMQ 3.10; Ubuntu 22.04 packages an older one.
rabbitmq_new_enough() {
    local home version
    home=$(readlink -f "$RABBITMQ_BIN/rabbitmq-server")
    version=${home#*/rabbitmq_server-}
    version=${version%%/*}
    [[ $version =~ ^[0-9]+\.[0-9]+ ]] || return 0
    [[ $(printf '3.10\n%s\n' "$version" | sort -V | head -n 1) == 3.10 ]] && return 0
    complain "RabbitMQ $version is installed, but Relink needs 3.10 or newer."
    complain 'Install a newer one from rabbitmq.com, or set RELINK_TEST_AMQP_URL to a running one.'
    return 1
}

rabbitmq_user() {
    if ((EUID != 0)); then
        id -un
    elif id rabbitmq >/dev/null 2>&1; then
        printf 'rabbitmq\n'
    else
        printf 'nobody\n'
    fi
}

# Writes configuration, cookie and the rabbitmqctl wrapper, and fills RABBITMQ_ENV, the whole
# environment of the node. Each path is set, so that nothing of a system instance is read.
rabbitmq_prepare() {
    local user=$1 amqp=$2 dist=$3 epmd=$4 ctl=$5 dir=$SERVERS_DIR/rabbitmq
    rm -rf -- "$dir"
    mkdir -p "$dir/data" "$dir/log" "$dir/generated" "$dir/conf.d" "$dir/plugins"
    printf '[].\n' >"$dir/advanced.config"
    printf '[%s].\n' "${RABBITMQ_MANAGEMENT:+rabbitmq_management}" >"$dir/enabled_plugins"
    cat >"$dir/rabbitmq.conf" <<CONFIGURATION
$(rabbitmq_listeners "$amqp" "$dir/tls")
log.console = true
log.console.level = info
log.file = false
raft.wal_max_size_bytes = 67108864
CONFIGURATION
    if [[ -n $RABBITMQ_MANAGEMENT ]]; then
        free_port || return 1
        RABBITMQ_MANAGEMENT_PORT=$FREE_PORT
        cat >>"$dir/rabbitmq.conf" <<CONFIGURATION
management.tcp.ip = 127.0.0.1
management.tcp.port = $RABBITMQ_MANAGEMENT_PORT
CONFIGURATION
    fi
    (umask 377 && od -An -N20 -tx1 /dev/urandom | tr -d ' \n' >"$dir/.erlang.cookie")
    RABBITMQ_ENV=(
        HOME="$dir" RUNNING_UNDER_SYSTEMD=true
        RABBITMQ_NODENAME="relink-$amqp@localhost" RABBITMQ_NODE_PORT="$amqp"
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_DIST_PORT="$dist"
        ERL_EPMD_PORT="$epmd" ERL_EPMD_ADDRESS=127.0.0.1
        RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_LOGS=-
        RABBITMQ_PID_FILE="$dir/node.pid" RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins"
        RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf"
        RABBITMQ_CONFIG_FILES="$dir/conf.d" RABBITMQ_ADVANCED_CONFIG_FILE="$dir/advanced.config"
        RABBITMQ_GENERATED_CONFIG_DIR="$dir/generated"
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
        RABBITMQ_CTL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
        RABBITMQ_CTL_DIST_PORT_MIN="$ctl" RABBITMQ_CTL_DIST_PORT_MAX="$((ctl + 20))"
    )
    [[ -z $TLS_SOURCE ]] || tls_install "$user" "$dir/tls"
    rabbitmq_hide_plugins "$dir/plugins"
    rabbitmq_write_wrapper "$user"
    ((EUID != 0)) || chown -R "$user": "$dir"
}

# rabbitmq_listeners PORT FOLDER: with certificates there is no plain port, and whoever connects has
# to show a certificate of the same authority.
rabbitmq_listeners() {
    if [[ -z $TLS_SOURCE ]]; then
        say "listeners.tcp.1 = 127.0.0.1:$1"
        return
    fi
    say "listeners.tcp = none"
    say "listeners.ssl.1 = 127.0.0.1:$1"
    say "ssl_options.cacertfile = $2/authority.pem"
    say "ssl_options.certfile = $2/server.pem"
    say "ssl_options.keyfile = $2/server-key.pem"
    say "ssl_options.verify = verify_peer"
    say "ssl_options.fail_if_no_peer_cert = true"
}

# The node keeps what it has read for two minutes.
rabbitmq_renew() {
    tls_install "$(rabbitmq_user)" "$SERVERS_DIR/rabbitmq/tls" &&
        "$SERVERS_DIR/rabbitmqctl" eval 'ssl:clear_pem_cache().' >/dev/null
}

# The node reads every plugin it finds, enabled or not, which doubles its start. It is shown a folder
# with its own application and what the management API needs. Should a later version mind, the next
# attempt shows them all.
RABBITMQ_HIDE_PLUGINS=yes
rabbitmq_hide_plugins() {
    local home
    home=$(readlink -f "$RABBITMQ_BIN/rabbitmq-server")
    home=${home%/sbin/*}
    [[ -n $RABBITMQ_HIDE_PLUGINS ]] && compgen -G "$home/plugins/rabbit-*" >/dev/null || return 0
    ln -s "$home"/plugins/rabbit-* "$1/"
    if [[ -n $RABBITMQ_MANAGEMENT ]]; then
        ln -s "$home"/plugins/{rabbitmq_management,rabbitmq_management_agent,rabbitmq_web_dispatch}-* \
            "$home"/plugins/{amqp_client,cowboy,cowlib}-* "$1/"
    fi
    RABBITMQ_ENV+=(RABBITMQ_PLUGINS_DIR="$1")
}

# The wrapper is a single word for the tests and runs as the node's user, who may read the cookie.
rabbitmq_write_wrapper() {
    local wrapper=$SERVERS_DIR/rabbitmqctl
    as_user "$1"
    {
        printf '#!/bin/sh\n'
        printf '%q ' exec "${AS_USER[@]}" env -i -C "$SERVERS_DIR" LANG=C.UTF-8 \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin "${RABBITMQ_ENV[@]}" "$RABBITMQ_BIN/rabbitmqctl"
        printf '"$@"\n'
    } >"$wrapper"
    chmod 755 "$wrapper"
}

# Starts epmd and the node on fresh ports without waiting for the node.
rabbitmq_launch() {
    local user amqp dist epmd
    user=$(rabbitmq_user)
    free_port && amqp=$FREE_PORT && free_port && dist=$FREE_PORT || return 1
    free_port && epmd=$FREE_PORT && free_port || return 1
    rabbitmq_prepare "$user" "$amqp" "$dist" "$epmd" "$FREE_PORT" || return 1
    spawn "$user" KILL "$SERVERS_DIR/epmd.log" HOME="$SERVERS_DIR/rabbitmq" \
        "$(epmd_program)" -address 127.0.0.1 -port "$epmd"
    EPMD_PID=$SPAWNED_PID
    # The node would start a stray epmd of its own if it found none.
    wait_until 5 port_answers "$epmd" && running "$EPMD_PID" || return 1
    RABBITMQ_PORT=$amqp
    rabbitmq_spawn
}

# The node on what is prepared: for the first time, or again with its data after it ended.
rabbitmq_spawn() {
    spawn "$(rabbitmq_user)" KILL "$SERVERS_DIR/rabbitmq.log" "${RABBITMQ_ENV[@]}" \
        "$RABBITMQ_BIN/rabbitmq-server"
    RABBITMQ_PID=$SPAWNED_PID
}

# The node's own words, not just an open port, which could be another run's.
rabbitmq_settled() {
    grep -qs 'Server startup complete' "$SERVERS_DIR/rabbitmq.log" || gone "$RABBITMQ_PID"
}

rabbitmq_ready() {
    wait_until 60 rabbitmq_settled && running "$RABBITMQ_PID" && port_answers "$RABBITMQ_PORT"
}

# Waits for the node launched before; when it failed, tries twice more on other ports.
rabbitmq_await() {
    local attempt
    for attempt in 1 2 3; do
        rabbitmq_ready && return 0
        complain "RabbitMQ did not start (attempt $attempt of 3)"
        ((attempt < 3)) || show_log "$SERVERS_DIR/rabbitmq.log"
        rabbitmq_stop
        RABBITMQ_HIDE_PLUGINS=''
        ((attempt == 3)) || rabbitmq_launch || true
    done
    return 1
}

# SIGKILL at once: the data is thrown away, and an orderly stop takes three seconds.
rabbitmq_stop() {
    stop_process "$RABBITMQ_PID" KILL 5
    stop_process "$EPMD_PID" TERM 2
    RABBITMQ_PID=''
    EPMD_PID=''
}
