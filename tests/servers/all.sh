# shellcheck shell=bash
# Everything the tests need outside of Rust: one entry for tests/run and tests/servers/with. Sourced.

SERVERS_SOURCE=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/servers/process.sh
. "$SERVERS_SOURCE/process.sh"
# shellcheck source=tests/servers/tls.sh
. "$SERVERS_SOURCE/tls.sh"
# shellcheck source=tests/servers/rabbitmq.sh
. "$SERVERS_SOURCE/rabbitmq.sh"
# shellcheck source=tests/servers/postgres.sh
. "$SERVERS_SOURCE/postgres.sh"
# shellcheck source=tests/servers/packages.sh
. "$SERVERS_SOURCE/packages.sh"
# shellcheck source=tests/servers/axe.sh
. "$SERVERS_SOURCE/axe.sh"
# shellcheck source=tests/servers/deny.sh
. "$SERVERS_SOURCE/deny.sh"
# shellcheck source=tests/servers/schemas.sh
. "$SERVERS_SOURCE/schemas.sh"
# shellcheck source=tests/servers/kubernetes.sh
. "$SERVERS_SOURCE/kubernetes.sh"
# shellcheck source=tests/servers/contracts.sh
. "$SERVERS_SOURCE/contracts.sh"

# Debian's own Python: one from elsewhere does not see the packages of the distribution.
export RELINK_TEST_PYTHON=${RELINK_TEST_PYTHON:-/usr/bin/python3}
# It leaves nothing beside the scripts that it runs.
export PYTHONDONTWRITEBYTECODE=1

prepare_servers() {
    sweep_stale_dirs
    create_servers_dir && install_missing_packages || return 1
    [[ -n ${RELINK_TEST_AMQP_URL:-} ]] || rabbitmq_new_enough
}

# Starts what no variable names already and exports where it is. RabbitMQ boots while PostgreSQL
# is being initialised.
start_servers() {
    local own_broker='' own_database=''
    [[ -n ${RELINK_TEST_AMQP_URL:-} ]] || own_broker=yes
    [[ -n ${RELINK_TEST_DATABASE_URL:-} ]] || own_database=yes
    export RELINK_TEST_SERVERS_DIR=$SERVERS_DIR
    RABBITMQ_MANAGEMENT=yes
    [[ -z $own_broker ]] || rabbitmq_launch || true
    if [[ -n $own_database ]]; then
        postgres_start || return 1
        export RELINK_TEST_DATABASE_URL=postgres://postgres@127.0.0.1:$POSTGRES_PORT/postgres
    fi
    if [[ -n $own_broker ]]; then
        rabbitmq_await || return 1
        export RELINK_TEST_AMQP_URL=amqp://guest:guest@127.0.0.1:$RABBITMQ_PORT/%2f
        export RELINK_TEST_MANAGEMENT_URL=http://127.0.0.1:$RABBITMQ_MANAGEMENT_PORT
        export RELINK_TEST_RABBITMQCTL=$SERVERS_DIR/rabbitmqctl
    fi
    # Without the credentials: servers named by the caller may have real ones.
    say "RabbitMQ at ${RELINK_TEST_AMQP_URL##*@}, PostgreSQL at ${RELINK_TEST_DATABASE_URL##*@}," \
        "logs in $SERVERS_DIR"
}

stop_servers() {
    postgres_stop
    rabbitmq_stop
    remove_servers_dir
}
