# shellcheck shell=bash
# Installs what the tests need from the distribution, and nothing when it is all there. Sourced.

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='# Put here by the Relink tests while they install packages.'
SUDO=()

python_has() { [[ -x $RELINK_TEST_PYTHON ]] && "$RELINK_TEST_PYTHON" -c "import $1" 2>/dev/null; }

# The names of the packages that are missing, in MISSING_PACKAGES.
find_missing_packages() {
    MISSING_PACKAGES=()
    [[ -n ${RELINK_TEST_AMQP_URL:-} ]] || rabbitmq_installed || MISSING_PACKAGES+=(rabbitmq-server)
    [[ -n ${RELINK_TEST_DATABASE_URL:-} ]] || postgres_installed || MISSING_PACKAGES+=(postgresql)
    [[ -x $RELINK_TEST_PYTHON ]] || MISSING_PACKAGES+=(python3)
    python_has pika || MISSING_PACKAGES+=(python3-pika)
    python_has yaml || MISSING_PACKAGES+=(python3-yaml)
    [[ -x /usr/bin/chromium ]] || MISSING_PACKAGES+=(chromium)
    [[ -x /usr/bin/chromedriver ]] || MISSING_PACKAGES+=(chromium-driver)
    { ! axe_missing || command -v npm >/dev/null; } || MISSING_PACKAGES+=(npm)
    # With it comes promtool.
    [[ -x /usr/bin/prometheus && -x /usr/bin/promtool ]] || MISSING_PACKAGES+=(prometheus)
    ((${#MISSING_PACKAGES[@]} == 0))
}

# What single checks need, and say so when it is not there, in WISHED_PACKAGES.
find_wished_packages() {
    WISHED_PACKAGES=()
    [[ -x /usr/sbin/pgbouncer ]] || WISHED_PACKAGES+=(pgbouncer)
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || WISHED_PACKAGES+=(libfaketime)
    command -v valgrind >/dev/null || WISHED_PACKAGES+=(valgrind)
    python_has jsonschema || WISHED_PACKAGES+=(python3-jsonschema)
    # Where axe-core is there already, only the readers of deploy/contracts need it.
    { axe_missing || command -v npm >/dev/null; } || WISHED_PACKAGES+=(npm)
    python_has pip || WISHED_PACKAGES+=(python3-pip)
    ((${#WISHED_PACKAGES[@]} == 0))
}

cannot_install() {
    complain "Cannot install: $1"
    complain "Install these packages yourself and run again: ${MISSING_PACKAGES[*]}"
    complain 'Servers that run elsewhere are used through RELINK_TEST_AMQP_URL and'
    complain 'RELINK_TEST_DATABASE_URL; another Python through RELINK_TEST_PYTHON.'
    return 1
}

# Packages of servers start them as services of this machine. The tests want only the programs.
deny_services() {
    if [[ ! -e $POLICY ]]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" |
            "${SUDO[@]}" install -m 755 /dev/stdin "$POLICY"
    fi
    "$POLICY" rabbitmq-server start >/dev/null 2>&1
    (($? == 101))
}

allow_services_again() {
    grep -qsF "$POLICY_MARK" "$POLICY" || return 0
    "${SUDO[@]}" rm -f "$POLICY"
}

run_apt() {
    local log=$SERVERS_DIR/apt.log
    "${SUDO[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
        "$@" </dev/null >"$log" 2>&1 || { show_log "$log"; return 1; }
}

install_missing_packages() {
    find_missing_packages && find_wished_packages && return 0
    if ! may_install; then
        # Nobody is asked for what is only wished for.
        find_missing_packages || cannot_install "$WHY_NOT"
        return
    fi
    find_missing_packages
    say "The tests need packages of this distribution that are missing:" \
        "${MISSING_PACKAGES[*]} ${WISHED_PACKAGES[*]}"
    say "Installing them now:${SUDO[*]:+ ${SUDO[*]}} apt-get install --no-install-recommends"
    say '(only the programs: no service is started, and none that runs is touched)'
    # One run at a time installs; the others find everything there.
    local lock result=0
    exec {lock}<"$(command -v apt-get)"
    flock "$lock"
    { find_missing_packages && find_wished_packages; } || install_locked || result=1
    exec {lock}<&-
    return "$result"
}

# Whether packages can be installed at all; if not, WHY_NOT says why.
may_install() {
    find_wished_packages
    command -v apt-get >/dev/null || { WHY_NOT='there is no apt-get here.'; return 1; }
    ((EUID != 0)) || return 0
    command -v sudo >/dev/null || { WHY_NOT='neither root nor sudo.'; return 1; }
    SUDO=(sudo)
    # Without a terminal a password prompt would wait for ever.
    [[ -t 2 && -z ${CI:-} ]] || SUDO=(sudo -n)
}

install_locked() {
    local result=0
    if ! deny_services; then
        complain "$POLICY would let the packages start services."
        find_missing_packages || cannot_install 'nothing may be started.'
        return
    fi
    run_apt update || complain 'The package lists could not be fetched; trying with the old ones.'
    find_missing_packages ||
        run_apt install --no-install-recommends "${MISSING_PACKAGES[@]}" || result=1
    # Each by itself: one that this distribution does not have must not keep the other away.
    find_wished_packages
    local package
    for package in "${WISHED_PACKAGES[@]}"; do
        run_apt install --no-install-recommends "$package" ||
            complain "$package could not be installed: tests that need it are left out."
    done
    allow_services_again
    ((result == 0)) || { cannot_install 'apt-get failed (above).'; return; }
    find_missing_packages || cannot_install 'the packages are there, but their programs are not.'
}
